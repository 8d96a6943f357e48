//! The migration of a store in which parts have numbers instead of names.

use nextrush_broker::{CommandKey, Migration, TopicName};

use super::name::{RECORDS, TopicPath};
use crate::socket::parts::assert_part_name;

/// The last format of a store in which parts have numbers.
const NUMBERED: u32 = 2;

/// The names of parts that had numbers: the [`Migration`] of a store of format 2.
///
/// In that format the topics of a chat or of live updates were found by a number: how many
/// [`ChatServer`](crate::ChatServer)s, [`LiveUpdates`](crate::LiveUpdates) and
/// [`RoomManager`](crate::RoomManager)s the application had made before this one. Give each
/// part, by its old number, the name that the application gives it now:
///
/// ```
/// use nextrush::broker::EmbeddedBroker;
/// use nextrush::topic::NumberedParts;
/// use nextrush::{App, ChatServer, LiveUpdates};
///
/// # fn example(directory: &std::path::Path) -> Result<(), nextrush::broker::OpenError> {
/// let parts = NumberedParts::new().chat(0, "support").live(1, "news");
/// let broker = EmbeddedBroker::builder(directory).migration(parts).open()?;
///
/// let app: App = App::builder().broker(broker).build();
/// let support = ChatServer::new(&app, "support");
/// let news = LiveUpdates::new(&app, "news");
/// # drop((support, news));
/// # Ok(())
/// # }
/// ```
///
/// Histories, positions and the answers to commands move to the new names, as do the members
/// of channels who are waited for after a drain. Parts without a name here keep their number,
/// which no part of an application claims: the server warns of them when it starts.
#[derive(Clone, Debug, Default)]
#[must_use = "the parts are for the builder of an EmbeddedBroker"]
pub struct NumberedParts(Vec<Part>);

#[derive(Clone, Debug)]
struct Part {
    kind: &'static str,
    /// The number, as it is in the names of topics.
    number: String,
    name: String,
}

impl NumberedParts {
    /// No parts yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Gives a name to the chat with this number, counted from 0.
    ///
    /// # Panics
    ///
    /// Panics on an invalid name, and when the number or the name has been given already.
    #[track_caller]
    pub fn chat(self, number: u64, name: &str) -> Self {
        self.part("chat", number, name)
    }

    /// Gives a name to the live updates with this number, counted from 0.
    ///
    /// # Panics
    ///
    /// As [`chat`](Self::chat).
    #[track_caller]
    pub fn live(self, number: u64, name: &str) -> Self {
        self.part("live", number, name)
    }

    #[track_caller]
    fn part(mut self, kind: &'static str, number: u64, name: &str) -> Self {
        assert_part_name(kind, name);
        let number = number.to_string();
        for part in &self.0 {
            assert!(
                part.number != number,
                "two parts cannot have the number {number}"
            );
            assert!(part.name != name, "two parts cannot have the name {name:?}");
        }
        let name = name.to_owned();
        self.0.push(Part { kind, number, name });
        self
    }

    /// Finds the part that a topic or command belongs to, and its own name there.
    fn find<'a>(&self, old: &'a str) -> Option<(&Part, &'a str)> {
        let (kind, rest) = old.split_once('/')?;
        let (number, name) = rest.split_once('/')?;
        let is_here = |part: &&Part| part.kind == kind && part.number == number;
        Some((self.0.iter().find(is_here)?, name))
    }
}

impl Migration for NumberedParts {
    fn topic(&self, from: u32, topic: &TopicName) -> Option<TopicName> {
        if from > NUMBERED {
            return None;
        }
        if let Some(channel) = topic.as_str().strip_prefix("presence/") {
            let (part, channel) = self.find(channel)?;
            let path = TopicPath {
                kind: RECORDS,
                part: &part.name,
                name: channel,
            };
            return path.topic();
        }
        let (part, name) = self.find(topic.as_str())?;
        let path = TopicPath {
            kind: part.kind,
            part: &part.name,
            name,
        };
        path.topic()
    }

    fn command(&self, from: u32, key: &CommandKey) -> Option<CommandKey> {
        if from > NUMBERED {
            return None;
        }
        let (part, command) = self.find(key.as_str())?;
        // A key that is too long with the new name belongs to a user whose commands have no
        // keys any more.
        CommandKey::try_from(&*format!("{}/{}/{command}", part.kind, part.name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> NumberedParts {
        NumberedParts::new()
            .chat(0, "support")
            .live(1, "news")
            .live(12, "posts")
    }

    fn topic(name: &str) -> Option<String> {
        let name = TopicName::try_from(name).unwrap();
        parts().topic(2, &name).map(|name| name.to_string())
    }

    fn command(key: &str) -> Option<String> {
        let key = CommandKey::try_from(key).unwrap();
        parts().command(2, &key).map(|key| key.as_str().to_owned())
    }

    #[test]
    fn topics_of_parts_that_are_named_here_move_to_the_names() {
        for (old, new) in [
            ("chat/0/lobby", Some("chat/support/lobby")),
            ("chat/0/a/b/", Some("chat/support/a/b/")),
            ("chat/0/live/1/a", Some("chat/support/live/1/a")),
            ("live/1/presence-desk", Some("live/news/presence-desk")),
            ("live/12/7", Some("live/posts/7")),
            ("presence/live/1/desk/2", Some("records/news/desk/2")),
            // Of parts without a name here, or of none.
            ("live/0/lobby", None),
            ("chat/1/lobby", None),
            ("chat/00/lobby", None),
            ("live/120/7", None),
            ("presence/live/2/desk", None),
            ("presence/desk", None),
            ("chat/support/lobby", None),
            ("chat/0", None),
            ("orders", None),
        ] {
            assert_eq!(topic(old).as_deref(), new, "{old}");
        }
    }

    #[test]
    fn commands_move_with_their_parts() {
        for (old, new) in [
            (r#"chat/0/"ada"/c1"#, Some(r#"chat/support/"ada"/c1"#)),
            ("live/1/7/a/b/", Some("live/news/7/a/b/")),
            (
                r#"chat/0/"live/1/\"x\""/"/c"#,
                Some(r#"chat/support/"live/1/\"x\""/"/c"#),
            ),
            (r#"chat/1/"ada"/c1"#, None),
            // Keys of HTTP requests.
            ("api/chat/0/7/c", None),
            ("order 12", None),
        ] {
            assert_eq!(command(old).as_deref(), new, "{old}");
        }
    }

    #[test]
    fn the_longest_names_move_if_there_is_room() {
        let own = "x".repeat(255);
        let new = topic(&format!("chat/0/{own}"));
        assert_eq!(new, Some(format!("chat/support/{own}")));
        let long = "x".repeat(1024 - "chat/0/".len());
        assert_eq!(command(&format!("chat/0/{long}")), None);
    }

    #[test]
    fn a_store_with_names_keeps_them() {
        let name = TopicName::try_from("chat/0/lobby").unwrap();
        let key = CommandKey::try_from("chat/0/7/c").unwrap();
        assert_eq!(parts().topic(3, &name), None);
        assert_eq!(parts().command(3, &key), None);
    }

    #[test]
    #[should_panic(expected = "two parts cannot have the number 0")]
    fn a_number_has_one_name() {
        let _ = parts().live(0, "live");
    }

    #[test]
    #[should_panic(expected = "two parts cannot have the name \"news\"")]
    fn a_name_has_one_number() {
        let _ = parts().chat(3, "news");
    }

    #[test]
    #[should_panic(expected = "a chat cannot be named \"News\"")]
    fn a_name_is_that_of_a_part() {
        let _ = parts().chat(3, "News");
    }
}
