//! See [`nextrush_fuzz::deflate_round_trip`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nextrush_fuzz::deflate_round_trip(data));
