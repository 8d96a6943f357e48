//! See [`nextrush_fuzz::settings`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::settings(data));
