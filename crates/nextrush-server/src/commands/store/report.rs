//! The words of checks and sizes.

use std::fmt::Write as _;
use std::path::Path;

use nextrush::broker::{StoreCheck, StoreStats};
use nextrush::message::Timestamp;
use serde_json::{Value, json};

/// The outcome of a check.
pub(super) fn check(directory: &Path, check: &StoreCheck) -> String {
    let mut text = String::new();
    let directory = directory.display();
    for damage in &check.damages {
        // Writing to a string does not fail.
        let _ = writeln!(text, "damaged: {}\n   lost: {}", damage.what, damage.lost);
    }
    let counts = format!(
        "{} topics with {} publications",
        check.counts.topics, check.counts.publications
    );
    let _ = match (check.damages.is_empty(), check.opens) {
        (true, _) => writeln!(text, "{directory} is whole: {counts}"),
        (false, true) => writeln!(
            text,
            "{directory} is damaged; the rest can be read: {counts}"
        ),
        (false, false) => writeln!(
            text,
            "{directory} is damaged, and no server opens it: restore the files that are named, or \
             the whole directory from a backup"
        ),
    };
    text
}

/// The sizes of a store as a table.
pub(super) fn stats(stats: &StoreStats) -> String {
    let time = |ms: Option<u64>| match ms {
        Some(ms) => Timestamp::from_unix_ms(ms).to_string(),
        None => "none".to_owned(),
    };
    let of = &stats.bytes;
    let mut rows = vec![
        ("topics", stats.topics.to_string()),
        (
            "publications",
            match stats.deleted {
                0 => stats.publications.to_string(),
                deleted => format!("{}, of which {deleted} deleted", stats.publications),
            },
        ),
        ("data", bytes(stats.data_bytes)),
        ("oldest", time(stats.oldest_ms)),
        ("newest", time(stats.newest_ms)),
        ("commands", stats.commands.to_string()),
        ("idempotency keys", stats.once.to_string()),
        ("versions", stats.versions.to_string()),
        ("files", bytes(of.total())),
        ("  journals", bytes(of.journals)),
        ("  histories", bytes(of.histories)),
        ("  topics", bytes(of.topics)),
        ("  answers and keys", bytes(of.answers)),
        ("  other", bytes(of.other)),
    ];
    if !stats.largest.is_empty() {
        rows.push(("largest topics", String::new()));
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{}", format!("{name:<18} {value}").trim_end());
    }
    for topic in &stats.largest {
        let size = bytes(topic.bytes);
        let _ = writeln!(
            text,
            "  {size:>10} {:>8}  {}",
            topic.publications, topic.topic
        );
    }
    text
}

/// The sizes of a store as JSON.
pub(super) fn stats_json(stats: &StoreStats) -> String {
    let largest = stats.largest.iter().map(|topic| {
        json!({
            "topic": topic.topic.as_str(),
            "publications": topic.publications,
            "bytes": topic.bytes,
        })
    });
    let of = &stats.bytes;
    let value = json!({
        "topics": stats.topics,
        "publications": stats.publications,
        "deleted": stats.deleted,
        "dataBytes": stats.data_bytes,
        "oldestMs": stats.oldest_ms,
        "newestMs": stats.newest_ms,
        "commands": stats.commands,
        "idempotencyKeys": stats.once,
        "versions": stats.versions,
        "files": {
            "bytes": of.total(),
            "journals": of.journals,
            "histories": of.histories,
            "topics": of.topics,
            "answers": of.answers,
            "other": of.other,
        },
        "largest": largest.collect::<Vec<Value>>(),
    });
    format!("{value}\n")
}

/// A number of bytes for people.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_their_unit() {
        for (number, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (10 << 30, "10.0 GiB"),
            (1 << 52, "4096.0 TiB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
    }
}
