//! See [`nextrush_fuzz::tokens`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::tokens(data));
