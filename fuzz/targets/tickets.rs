//! See [`nextrush_fuzz::tickets`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::tickets(data));
