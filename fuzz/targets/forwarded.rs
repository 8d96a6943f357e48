//! See [`nextrush_fuzz::forwarded`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::forwarded(data));
