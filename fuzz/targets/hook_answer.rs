//! See [`nextrush_fuzz::hook_answer`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::hook_answer(data));
