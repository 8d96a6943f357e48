//! See [`nextrush_fuzz::command`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::command(data));
