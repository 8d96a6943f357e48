//! See [`nextrush_fuzz::api`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::api(data));
