//! See [`nextrush_fuzz::decoder`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::decoder(data));
