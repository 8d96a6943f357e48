//! The committed inputs, replayed without the fuzzer.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 13] = [
    ("decoder", nextrush_fuzz::decoder),
    ("round_trip", nextrush_fuzz::round_trip),
    ("deflate", nextrush_fuzz::deflate),
    ("deflate_round_trip", nextrush_fuzz::deflate_round_trip),
    ("handshake", nextrush_fuzz::handshake),
    ("command", nextrush_fuzz::command),
    ("settings", nextrush_fuzz::settings),
    ("tokens", nextrush_fuzz::tokens),
    ("forwarded", nextrush_fuzz::forwarded),
    ("proxy_header", nextrush_fuzz::proxy_header),
    ("hook_answer", nextrush_fuzz::hook_answer),
    ("tickets", nextrush_fuzz::tickets),
    ("api", nextrush_fuzz::api),
];

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let seeds: Vec<_> = paths
        .map(|path| (path.clone(), fs::read(path).expect("a seed can be read")))
        .collect();
    assert!(!seeds.is_empty(), "{folder:?} is empty");
    seeds
}

#[test]
fn every_seed_keeps_the_promises() {
    for (name, target) in TARGETS {
        for (path, input) in seeds(name) {
            // Shown if the target fails.
            println!("{}", path.display());
            target(&input);
        }
    }
}

#[test]
fn every_beginning_of_a_seed_keeps_the_promises() {
    for (name, target) in TARGETS {
        for (path, input) in seeds(name) {
            for end in 0..input.len() {
                println!("{}, {end} bytes of it", path.display());
                target(&input[..end]);
            }
        }
    }
}

#[test]
fn every_seed_with_one_byte_changed_keeps_the_promises() {
    for (name, target) in TARGETS {
        for (path, input) in seeds(name) {
            for place in 0..input.len() {
                for change in [0x01, 0x10, 0x80, 0xFF] {
                    println!("{}, byte {place} ^ {change:#04x}", path.display());
                    let mut input = input.clone();
                    input[place] ^= change;
                    target(&input);
                }
            }
        }
    }
}

/// Tells linear work from quadratic work: here the first takes milliseconds, the other minutes.
#[test]
fn headers_of_a_megabyte_are_judged_at_once() {
    let began = Instant::now();
    for (name, input) in seeds("handshake") {
        if !name.ends_with("request_with_subprotocols") && !name.ends_with("answer") {
            continue;
        }
        let input = String::from_utf8_lossy(&input).into_owned();
        for part in ["a,", "\t,", "a"] {
            let long = part.repeat((1 << 20) / part.len());
            for (end, _) in input.match_indices('\n').skip(1) {
                let (before, after) = input.split_at(end);
                nextrush_fuzz::handshake(format!("{before},{long}{after}").as_bytes());
            }
        }
    }
    let elapsed = began.elapsed();
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
}
