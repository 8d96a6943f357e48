//! Names of keys and channels.

use nextrush_broker::TopicName;

use crate::partition::{Partition, Tags};

/// The namer of keys and channels.
///
/// All keys of a topic share a tag and so a server. Channels belong to a server and not to one of
/// its databases, so their names have the number of the database.
pub(crate) struct Keys {
    prefix: String,
    database: u16,
    pub(crate) tags: Tags,
}

impl Keys {
    pub(crate) fn new(prefix: &str, database: u16) -> Self {
        Self {
            prefix: prefix.to_owned(),
            database,
            tags: Tags::new(),
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn key(&self, partition: Partition, kind: &str, name: &str) -> String {
        let (prefix, tag) = (&self.prefix, self.tags.tag(partition));
        format!("{prefix}:{{{tag}}}:{kind}:{name}")
    }

    /// The record of a topic.
    pub(crate) fn topic(&self, topic: &TopicName) -> String {
        self.key(Partition::of(topic.as_str()), "t", topic.as_str())
    }

    /// The pattern of the keys of topics, for `SCAN`.
    pub(crate) fn topics_pattern(&self) -> String {
        self.pattern("t")
    }

    /// The pattern of the keys of a kind, for `SCAN`.
    pub(crate) fn pattern(&self, kind: &str) -> String {
        let is_active = |char: char| "*?[]^\\".contains(char);
        let escape = |char: char| [Some('\\').filter(|_| is_active(char)), Some(char)];
        let prefix: String = self.prefix.chars().flat_map(escape).flatten().collect();
        format!("{prefix}:{{*}}:{kind}:*")
    }

    /// The topic whose record has this key; `None` for other keys.
    pub(crate) fn topic_of(&self, key: &str) -> Option<TopicName> {
        TopicName::try_from(self.name_in(key, "t")?).ok()
    }

    /// The name in a key of this kind; `None` for other keys.
    pub(crate) fn name_in<'a>(&self, key: &'a str, kind: &str) -> Option<&'a str> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix(":{")?;
        let (_, rest) = rest.split_once("}:")?;
        rest.strip_prefix(kind)?.strip_prefix(':')
    }

    /// The topic and the key of one of its publications, in a key of this kind.
    pub(crate) fn part_in<'a>(&self, key: &'a str, kind: &str) -> Option<(TopicName, &'a str)> {
        let (topic, part) = self.name_in(key, kind)?.split_once('\n')?;
        Some((TopicName::try_from(topic).ok()?, part))
    }

    /// The history of a topic.
    pub(crate) fn history(&self, topic: &TopicName) -> String {
        self.key(Partition::of(topic.as_str()), "h", topic.as_str())
    }

    /// The key of a publication that happens once.
    pub(crate) fn once(&self, topic: &TopicName, key: &str) -> String {
        // No topic holds a control character.
        let name = format!("{topic}\n{key}");
        self.key(Partition::of(topic.as_str()), "k", &name)
    }

    /// The last version of a part of a topic.
    pub(crate) fn version(&self, topic: &TopicName, key: &str) -> String {
        let name = format!("{topic}\n{key}");
        self.key(Partition::of(topic.as_str()), "v", &name)
    }

    fn channel_of(&self, kind: &str, name: &str) -> String {
        let kind = match self.database {
            0 => kind.to_owned(),
            database => format!("{kind}{database}"),
        };
        self.key(Partition::of(name), &kind, name)
    }

    /// The channel of a topic.
    pub(crate) fn channel(&self, topic: &TopicName) -> String {
        self.channel_of("c", topic.as_str())
    }

    /// The channel of a room.
    pub(crate) fn room(&self, room: &TopicName) -> String {
        self.channel_of("b", room.as_str())
    }

    /// The revision and the head of a roster.
    pub(crate) fn roster(&self, topic: &TopicName) -> String {
        self.key(Partition::of(topic.as_str()), "r", topic.as_str())
    }

    /// The members of a roster.
    pub(crate) fn members(&self, topic: &TopicName) -> String {
        self.key(Partition::of(topic.as_str()), "m", topic.as_str())
    }

    /// The channel of a roster.
    pub(crate) fn roster_channel(&self, topic: &TopicName) -> String {
        self.channel_of("p", topic.as_str())
    }

    /// The channel of a node.
    pub(crate) fn inbox(&self, node: &str) -> String {
        self.channel_of("n", node)
    }

    /// The nodes that live.
    pub(crate) fn nodes(&self) -> String {
        self.key(Partition::FIRST, "nodes", "")
    }

    /// The processes that have the names of nodes.
    pub(crate) fn processes(&self) -> String {
        self.key(Partition::FIRST, "processes", "")
    }

    /// The members that nodes have put into a set.
    pub(crate) fn leases(&self, set: &TopicName) -> String {
        self.key(Partition::of(set.as_str()), "l", set.as_str())
    }

    /// The claim to a command, or its answer.
    pub(crate) fn command(&self, owner: &str, key: &str) -> String {
        self.key(Partition::of(owner), "a", key)
    }

    /// The share of the owner of commands.
    pub(crate) fn share(&self, owner: &str) -> String {
        self.key(Partition::of(owner), "w", owner)
    }

    /// The bytes that the keys of an owner's publications take in a partition.
    pub(crate) fn publisher(&self, partition: Partition, owner: &str) -> String {
        self.key(partition, "u", owner)
    }

    /// The form of all keys of a deployment.
    pub(crate) fn layout(&self) -> String {
        self.key(Partition::FIRST, "layout", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_topic_share_a_tag_and_channels_tell_databases_apart() {
        let topic = TopicName::try_from("chat/chat/lobby").unwrap();
        let keys = Keys::new("nextrush", 0);
        assert_eq!(keys.topic(&topic), "nextrush:{f}:t:chat/chat/lobby");
        assert_eq!(keys.topic_of(&keys.topic(&topic)), Some(topic.clone()));
        assert_eq!(keys.topic_of(&keys.history(&topic)), None);
        let once = keys.once(&topic, "ada:t:1");
        assert_eq!(keys.part_in(&once, "k"), Some((topic.clone(), "ada:t:1")));
        assert_eq!(keys.topic_of(&once), None);
        assert_eq!(keys.topics_pattern(), "nextrush:{*}:t:*");
        assert_eq!(Keys::new("a*[", 0).topics_pattern(), "a\\*\\[:{*}:t:*");
        assert_eq!(keys.history(&topic), "nextrush:{f}:h:chat/chat/lobby");
        assert_eq!(
            keys.once(&topic, "ada/1"),
            "nextrush:{f}:k:chat/chat/lobby\nada/1"
        );
        assert_eq!(
            keys.version(&topic, "card 1"),
            "nextrush:{f}:v:chat/chat/lobby\ncard 1"
        );
        assert_eq!(keys.channel(&topic), "nextrush:{f}:c:chat/chat/lobby");
        let third = Keys::new("nextrush", 3).channel(&topic);
        assert_eq!(third, "nextrush:{f}:c3:chat/chat/lobby");
        assert_eq!(keys.roster(&topic), "nextrush:{f}:r:chat/chat/lobby");
        assert_eq!(keys.members(&topic), "nextrush:{f}:m:chat/chat/lobby");
        assert_eq!(
            keys.roster_channel(&topic),
            "nextrush:{f}:p:chat/chat/lobby"
        );
        assert_eq!(keys.command("ada", "ada/1"), "nextrush:{216}:a:ada/1");
        assert_eq!(keys.share("ada"), "nextrush:{216}:w:ada");
        assert_eq!(keys.layout(), "nextrush:{2b7}:layout:");
    }
}
