//! See [`nextrush_fuzz::deflate`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::deflate(data));
