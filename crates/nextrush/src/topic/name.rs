//! Names of topics: how they are built, and read.

use std::fmt;

use nextrush_broker::TopicName;

use crate::socket::room_name::RoomName;

/// The place of a topic among those of an application: the kind of data that it holds, the
/// name of the part of the application that it belongs to, and its own name there.
///
/// Every topic name of the framework is made and read here: `<kind>/<part>/<topic>`, and
/// `topic/<topic>` for those of [`Handle::topic`](crate::Handle::topic), which belong to no
/// part. So topics of different parts never meet, whatever their names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TopicPath<'a> {
    pub(crate) kind: &'a str,
    /// Empty for topics that belong to no part.
    pub(crate) part: &'a str,
    pub(crate) name: &'a str,
}

/// The kind of the topics that belong to no part.
pub(crate) const PLAIN: &str = "topic";

/// The kind of the topics that a part keeps for itself.
pub(crate) const RECORDS: &str = "records";

impl<'a> TopicPath<'a> {
    /// Reads a topic's name; `None` if the framework did not make it.
    pub(crate) fn read(topic: &'a TopicName) -> Option<Self> {
        let (kind, rest) = split(topic.as_str())?;
        let (part, name) = match kind {
            PLAIN => ("", rest),
            _ => split(rest)?,
        };
        Some(Self { kind, part, name })
    }

    /// The topic of this path; `None` where the topic's own name is no valid one: empty,
    /// longer than 255 bytes, or with invisible characters.
    pub(crate) fn topic(self) -> Option<TopicName> {
        RoomName::new(self.name).ok()?;
        TopicName::try_from(self.to_string()).ok()
    }

    /// The beginning of all names of a part.
    pub(crate) fn prefix(kind: &str, part: &str) -> String {
        TopicPath {
            kind,
            part,
            name: "",
        }
        .to_string()
    }
}

impl fmt::Display for TopicPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, part, name } = self;
        match *kind {
            PLAIN => write!(f, "{kind}/{name}"),
            _ => write!(f, "{kind}/{part}/{name}"),
        }
    }
}

/// The texts before and behind the first slash. As `str::split_once`, which searches short texts
/// with a searcher for long ones: 70 instructions for the name of a room instead of 286.
fn split(text: &str) -> Option<(&str, &str)> {
    let slash = text.bytes().position(|byte| byte == b'/')?;
    Some((&text[..slash], &text[slash + 1..]))
}

/// The topic's own name, without kind and part.
pub(crate) fn own_name(topic: &TopicName) -> &str {
    TopicPath::read(topic).map_or(topic.as_str(), |path| path.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_was_made() {
        for (path, expected) in [
            (("chat", "support", "lobby"), "chat/support/lobby"),
            (("live", "live", "a/b"), "live/live/a/b"),
            (("topic", "", "orders"), "topic/orders"),
            (
                ("topic", "", "chat/support/lobby"),
                "topic/chat/support/lobby",
            ),
        ] {
            let (kind, part, name) = path;
            let path = TopicPath { kind, part, name };
            let topic = path.topic().unwrap();
            assert_eq!(topic.as_str(), expected);
            assert_eq!(TopicPath::read(&topic), Some(path));
            assert_eq!(own_name(&topic), name);
        }
    }

    #[test]
    fn a_name_that_no_room_could_have_makes_no_topic() {
        for name in ["", "a\nb", "a\0b", &"x".repeat(256)] {
            let path = TopicPath {
                kind: "chat",
                part: "chat",
                name,
            };
            assert_eq!(path.topic(), None, "{name:?}");
        }
    }
}
