//! The channels of live updates, and who subscribes to them.

use std::time::Duration;

use nextrush::topic::SlowReaders;

use super::MINUTE;

/// A channel, or one for each user.
pub struct Channel {
    name: &'static str,
    /// The number and the age of the publications that the channel keeps; `None` if it keeps
    /// none.
    pub kept: Option<(usize, Duration)>,
    pub slow_readers: SlowReaders,
    pub kind: Kind,
}

/// The part that the application has in a channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// None: everybody may subscribe, and only the server publishes.
    Open,
    /// A rule says who subscribes, a hook loads the state, another one sees what clients publish.
    Team,
    /// The same, and what is published has a version for each row.
    Rows,
    /// The server subscribes each user to a channel of its own.
    Own,
}

const HOUR: Duration = Duration::from_secs(3600);

pub const CHANNELS: [Channel; 8] = [
    Channel {
        name: "kept-long",
        kept: Some((400, HOUR)),
        slow_readers: SlowReaders::Heal,
        kind: Kind::Open,
    },
    Channel {
        name: "kept-short",
        kept: Some((8, MINUTE)),
        slow_readers: SlowReaders::Heal,
        kind: Kind::Open,
    },
    Channel {
        name: "not-kept",
        kept: None,
        slow_readers: SlowReaders::Close,
        kind: Kind::Open,
    },
    Channel {
        name: "dropped",
        kept: None,
        slow_readers: SlowReaders::Drop,
        kind: Kind::Open,
    },
    Channel {
        name: "latest",
        kept: None,
        slow_readers: SlowReaders::Latest,
        kind: Kind::Open,
    },
    Channel {
        name: "team",
        kept: Some((60, HOUR)),
        slow_readers: SlowReaders::Heal,
        kind: Kind::Team,
    },
    Channel {
        name: "rows",
        kept: Some((60, HOUR)),
        slow_readers: SlowReaders::Heal,
        kind: Kind::Rows,
    },
    Channel {
        name: "user:{id}",
        kept: Some((20, HOUR)),
        slow_readers: SlowReaders::Heal,
        kind: Kind::Own,
    },
];
pub const KEPT_LONG: usize = 0;
pub const KEPT_SHORT: usize = 1;
/// The channels in which only the server has a say.
pub const OPEN: usize = 5;
pub const TEAM: usize = 5;
pub const ROWS: usize = 6;
pub const OWN: usize = 7;

/// The users of live updates. The first has two devices.
pub const USERS: [&str; 2] = ["ada", "bob"];
/// The user whom nothing happens to, and who asks whether anybody is held up.
pub const BYSTANDER: &str = "eve";

impl Channel {
    /// The pattern of the channel's policy.
    pub const fn pattern(&self) -> &'static str {
        self.name
    }

    /// The rows or posts of the channel are stored by the application.
    pub fn is_stored(&self) -> bool {
        matches!(self.kind, Kind::Team | Kind::Rows)
    }
}

/// The name of a channel, as a user knows it.
pub fn name_of(channel: usize, user: &str) -> String {
    CHANNELS[channel].name.replace("{id}", user)
}

pub fn topic_of_channel(channel: usize, user: &str) -> String {
    format!("live/live/{}", name_of(channel, user))
}

pub fn topic_of_room(room: usize) -> String {
    format!("chat/chat/{room}")
}
