//! The memory that a deflate bomb takes. A program of its own, as the figure is that of the
//! whole process.
#![cfg(target_os = "linux")]

use std::fs;

use flate2::{Compress, Compression, FlushCompress};
use nextrush_protocol::{
    Decoder, DeflateParams, FrameHead, Inflater, Limits, Opcode, ProtocolError, Role, encode_masked,
};

const MIB: usize = 1024 * 1024;

/// The most memory of the process so far, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: usize = kib.and_then(|kib| kib.parse().ok()).expect("a number");
    kib * 1024
}

#[test]
fn a_bomb_of_one_gibibyte_costs_less_than_twice_the_message_limit() {
    let limit = 16 * MIB;
    let mebibyte = {
        let mut out = Vec::with_capacity(8 * 1024);
        let mut stream = Compress::new(Compression::best(), false);
        let flush = FlushCompress::Sync;
        stream.compress_vec(&vec![0; MIB], &mut out, flush).unwrap();
        assert_eq!(stream.total_in(), MIB as u64);
        out
    };
    let bomb = mebibyte.repeat(1024);
    assert!(bomb.len() < 2 * MIB);
    let mut bytes = Vec::new();
    let head = FrameHead::from(Opcode::Binary).compressed(true);
    encode_masked(head, &bomb, [1, 2, 3, 4], &mut bytes);

    let mut inflater = Inflater::new();
    let before = peak();
    for _ in 0..20 {
        let mut input = bytes.clone();
        let mut decoder = Decoder::new(Role::Server, Limits::message(limit))
            .with_deflate(DeflateParams::default());
        let refused = decoder.decode_with(&mut input.as_mut_slice(), &mut inflater);
        assert_eq!(refused, Err(ProtocolError::MessageTooBig { limit }));
    }
    let grown = peak() - before;
    assert!(grown < 2 * limit, "{grown} bytes");
    // The measure works: without the limit it would have been a gibibyte.
    assert!(grown > limit / 2, "{grown} bytes");
}
