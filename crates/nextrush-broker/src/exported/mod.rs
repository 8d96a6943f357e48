//! The contents of a store apart from the store: as values, and as lines of JSON.

mod error;
mod line;
mod reader;
mod writer;

use std::sync::Arc;

use bytes::Bytes;

pub use self::error::ExportError;
pub use self::reader::ExportReader;
pub use self::writer::ExportWriter;
use crate::answer::{CommandKey, Fingerprint};
use crate::position::{Epoch, Position};
use crate::publication::Publication;
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// A part of a store's contents, as it goes from one store to another: see [`ExportWriter`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Exported {
    /// The epoch from which a store derives those of topics without publications. Stores that
    /// do it in another way leave it out.
    Unborn(Epoch),
    /// A topic with its history.
    Topic(ExportedTopic),
    /// A publication that happens once.
    Once(ExportedOnce),
    /// The last version of a part of a topic.
    Version(ExportedVersion),
    /// A command that was executed.
    Command(ExportedCommand),
}

/// A topic with all that is remembered of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportedTopic {
    /// Its name.
    pub topic: TopicName,
    /// The position of the newest publication.
    pub position: Position,
    /// The time of the newest publication, in milliseconds since 1970.
    pub published_ms: u64,
    /// The bounds of its history.
    pub retention: Retention,
    /// The last [version](crate::Version) of the topic as a whole, and the offset of the
    /// publication that had it.
    pub version: Option<(u64, u64)>,
    /// The end of the life that this one continues.
    pub earlier: Option<Position>,
    /// The history: without a gap up to the newest, or empty.
    pub publications: Vec<Arc<Publication>>,
}

impl ExportedTopic {
    /// A topic without a version, a life before, and a history.
    #[must_use]
    pub const fn new(
        topic: TopicName,
        position: Position,
        published_ms: u64,
        retention: Retention,
    ) -> Self {
        Self {
            topic,
            position,
            published_ms,
            retention,
            version: None,
            earlier: None,
            publications: Vec::new(),
        }
    }
}

/// The key of a publication that happens [once](crate::Once).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportedOnce {
    /// The topic, which comes before.
    pub topic: TopicName,
    /// The key.
    pub key: CommandKey,
    /// The place of the publication.
    pub position: Position,
    /// The fingerprint of what was published.
    pub fingerprint: Option<Fingerprint>,
    /// The end of the window, in milliseconds since 1970.
    pub ends_ms: u64,
}

impl ExportedOnce {
    /// A key without a fingerprint.
    #[must_use]
    pub const fn new(topic: TopicName, key: CommandKey, position: Position, ends_ms: u64) -> Self {
        Self {
            topic,
            key,
            position,
            fingerprint: None,
            ends_ms,
        }
    }
}

/// The last [version](crate::Version) of a part of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportedVersion {
    /// The topic, which comes before.
    pub topic: TopicName,
    /// The part of it.
    pub key: CommandKey,
    /// The version.
    pub number: u64,
    /// The place of the publication that had it.
    pub position: Position,
    /// The time until which it is remembered, in milliseconds since 1970.
    pub ends_ms: u64,
}

impl ExportedVersion {
    /// A version of a part.
    #[must_use]
    pub const fn new(
        topic: TopicName,
        key: CommandKey,
        number: u64,
        position: Position,
        ends_ms: u64,
    ) -> Self {
        Self {
            topic,
            key,
            number,
            position,
            ends_ms,
        }
    }
}

/// A command that was executed, or at least begun.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportedCommand {
    /// The key.
    pub key: CommandKey,
    /// The fingerprint of the command.
    pub fingerprint: Option<Fingerprint>,
    /// The answer; `None` of a command that is executed at most once and was not answered.
    pub answer: Option<Bytes>,
    /// The end of the window, in milliseconds since 1970.
    pub ends_ms: u64,
}

impl ExportedCommand {
    /// A command without a fingerprint.
    #[must_use]
    pub const fn new(key: CommandKey, answer: Option<Bytes>, ends_ms: u64) -> Self {
        Self {
            key,
            fingerprint: None,
            answer,
            ends_ms,
        }
    }
}

/// The size of an export.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportCounts {
    /// The number of topics.
    pub topics: u64,
    /// The number of publications.
    pub publications: u64,
}

impl ExportCounts {
    fn add(&mut self, item: &Exported) {
        if let Exported::Topic(topic) = item {
            self.topics += 1;
            self.publications += topic.publications.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::owner::Owner;

    const EPOCH: &str = "018bcfe5-6800-7abc-8def-0123456789ab";

    fn items() -> Vec<Exported> {
        let epoch: Epoch = EPOCH.parse().unwrap();
        let topic = TopicName::try_from("live/live/posts").unwrap();
        let key = CommandKey::try_from("ada/1").unwrap();
        let retention = Retention::count(3)
            .max_age(Duration::from_secs(60))
            .max_bytes(99);
        let whole = ExportedTopic {
            version: Some((u64::MAX, 6)),
            earlier: Some(Position::new(epoch, 4)),
            publications: vec![
                Arc::new(Publication::new(5, 100, "a").by(Some(Owner::new("ada")))),
                Arc::new(Publication::new(6, 101, "\n").deleted()),
                Arc::new(Publication::new(7, 102, &b"\xff\x00"[..])),
            ],
            ..ExportedTopic::new(topic.clone(), Position::new(epoch, 7), 102, retention)
        };
        let empty = TopicName::try_from("z").unwrap();
        let unbounded = Retention::count(usize::MAX);
        let position = Position::new(epoch, 7);
        let begun = CommandKey::try_from("ada/2").unwrap();
        vec![
            Exported::Unborn(epoch),
            Exported::Topic(whole),
            Exported::Topic(ExportedTopic::new(empty, position, 9, unbounded)),
            Exported::Once(ExportedOnce {
                fingerprint: Some(Fingerprint::of(b"a")),
                ..ExportedOnce::new(topic.clone(), key.clone(), position, 5)
            }),
            Exported::Version(ExportedVersion::new(topic, key.clone(), 8, position, 6)),
            Exported::Command(ExportedCommand::new(key, Some("{}".into()), 7)),
            Exported::Command(ExportedCommand::new(begun, None, 8)),
        ]
    }

    fn lines() -> String {
        let mut writer = ExportWriter::new(Vec::new()).unwrap();
        for item in items() {
            writer.write(&item).unwrap();
        }
        let (bytes, counts) = writer.finish().unwrap();
        assert_eq!((counts.topics, counts.publications), (2, 3));
        String::from_utf8(bytes).unwrap()
    }

    fn read(text: &str) -> Result<Vec<Exported>, String> {
        let read: Result<Vec<_>, _> = ExportReader::new(text.as_bytes()).collect();
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_exported_is_read_again_as_it_was() {
        assert_eq!(read(&lines()).unwrap(), items());
    }

    #[test]
    fn each_line_has_this_form() {
        let epoch = format!(r#""epoch":"{EPOCH}""#);
        let expected = [
            r#"{"type":"export","format":1}"#.to_owned(),
            format!(r#"{{"type":"unborn",{epoch}}}"#),
            format!(
                r#"{{"type":"topic","topic":"live/live/posts","position":{{{epoch},"offset":7}},"publishedMs":102,"count":3,"ageMs":60000,"bytes":99,"version":{{"number":18446744073709551615,"offset":6}},"earlier":{{{epoch},"offset":4}},"publications":3}}"#
            ),
            r#"{"type":"publication","offset":5,"timeMs":100,"owner":"ada","text":"a"}"#.to_owned(),
            r#"{"type":"publication","offset":6,"timeMs":101,"deleted":true}"#.to_owned(),
            r#"{"type":"publication","offset":7,"timeMs":102,"base64":"/wA="}"#.to_owned(),
            format!(
                r#"{{"type":"topic","topic":"z","position":{{{epoch},"offset":7}},"publishedMs":9,"publications":0}}"#
            ),
            format!(
                r#"{{"type":"once","topic":"live/live/posts","key":"ada/1","position":{{{epoch},"offset":7}},"fingerprint":"e6c632b61e964e1f","endsMs":5}}"#
            ),
            format!(
                r#"{{"type":"version","topic":"live/live/posts","key":"ada/1","number":8,"position":{{{epoch},"offset":7}},"endsMs":6}}"#
            ),
            r#"{"type":"command","key":"ada/1","endsMs":7,"text":"{}"}"#.to_owned(),
            r#"{"type":"command","key":"ada/2","endsMs":8}"#.to_owned(),
            r#"{"type":"end","topics":2,"publications":3}"#.to_owned(),
        ];
        assert!(lines().lines().eq(expected.iter()), "{}", lines());
    }

    #[test]
    fn an_export_that_was_cut_or_changed_is_refused_with_the_line() {
        let good = lines();
        let all: Vec<_> = good.lines().collect();
        for length in 0..all.len() {
            let cut = all[..length].join("\n");
            assert!(read(&cut).is_err(), "{length} lines");
        }
        let bytes = good.len() - 3;
        assert!(read(&good[..bytes]).is_err());
        for (line, from, to) in [
            (1, "\"format\":1", "\"format\":2"),
            (3, "\"publications\":3", "\"publications\":2"),
            (3, "\"publications\":3", "\"publications\":8"),
            (3, "live/live/posts", ""),
            (3, "\"offset\":7}", "\"offset\":6}"),
            (4, "\"offset\":5", "\"offset\":4"),
            (4, "\"text\":\"a\"", "\"text\":\"a\",\"base64\":\"YQ==\""),
            (4, "\"text\"", "\"txt\""),
            (6, "/wA=", "/wA"),
            (8, "e6c632b61e964e1f", "e6"),
            (8, "live/live/posts", "other"),
            (12, "\"topics\":2", "\"topics\":3"),
        ] {
            let mut bad: Vec<_> = all.iter().map(|line| (*line).to_owned()).collect();
            let changed = bad[line - 1].replacen(from, to, 1);
            assert_ne!(changed, bad[line - 1], "{from}");
            bad[line - 1] = changed;
            let error = read(&bad.join("\n")).unwrap_err();
            assert!(error.starts_with("line "), "{from} to {to}: {error}");
        }
        let more = format!("{good}{}\n", all[1]);
        assert!(read(&more).is_err());
        let twice = [&all[..6], &all[2..]].concat().join("\n");
        assert!(read(&twice).is_err());
        assert_eq!(
            read("x\n").unwrap_err(),
            "line 1: this is no export of a store"
        );
    }
}
