//! Questions for what became of a publication, and the verdicts on sockets.

use std::collections::BTreeMap;
use std::fmt;

use nextrush_broker::{NodeName, Position};
use serde::{Deserialize, Serialize};

use crate::message::{Timestamp, UserId};

/// A question for what became of a publication.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Question {
    /// The position of the publication.
    pub position: Position,
    /// The users whose sockets are asked for; the sockets of everybody if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// The most sockets that each node tells of.
    pub limit: usize,
}

impl Question {
    /// The most sockets of a node in an answer.
    pub const MOST: usize = 500;

    /// A question for the publication at a position, and for 100 sockets of each node at most.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self {
            position,
            users: Vec::new(),
            limit: 100,
        }
    }

    /// Asks for the sockets of a user, and of those named before.
    #[must_use]
    pub fn user(mut self, user: &UserId) -> Self {
        self.users.push(user.clone());
        self
    }

    /// Sets the most sockets that each node tells of, up to [`MOST`](Self::MOST). Those that did not
    /// get the publication come first.
    #[must_use]
    pub fn limit(mut self, sockets: usize) -> Self {
        self.limit = sockets;
        self
    }
}

/// The outcome of a question, over all nodes that have answered within 2 s.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Trace {
    /// The position that was asked for.
    pub position: Position,
    /// The state of the publication in the history.
    pub published: Published,
    /// The time of the publication, if the history has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// The verdicts on sockets: those that did not get the publication first.
    pub sockets: Vec<SocketTrace>,
    /// The number of sockets by verdict, also of those that are left out of the list.
    pub counts: BTreeMap<String, usize>,
    /// The nodes that have answered.
    pub nodes: Vec<OfNode>,
    /// The nodes that have not answered, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<NodeName>,
    /// `true` if the other nodes could not be known, as while the shared broker is away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others_unknown: bool,
}

impl Trace {
    /// Returns whether no socket was found, connected or not: as far as the nodes that have answered
    /// know, none of the users that were asked for has been connected.
    #[must_use]
    pub fn is_of_nobody(&self) -> bool {
        self.counts.is_empty()
    }
}

/// The state of a publication in the history of its topic.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Published {
    /// The history has it.
    Kept,
    /// The history has its place; it was deleted.
    Deleted,
    /// The history does not have it any more, or never had.
    Forgotten,
    /// Nothing was published at this offset yet.
    NotYet,
    /// The epoch is that of another life of the topic, or of another topic.
    OtherEpoch,
}

/// The answer of a node as a whole.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OfNode {
    /// The node.
    pub node: NodeName,
    /// The time from which on its record has everything; `None` if it keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_since: Option<Timestamp>,
    /// The time at which it handed the publication to its sockets, if it knows that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

/// The fate of a publication for a socket.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SocketTrace {
    /// The node of the socket.
    pub node: NodeName,
    /// The id of the socket, which it has on this node.
    pub socket: String,
    /// The user of the socket, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The verdict in words for people.
    pub text: String,
    /// The end of the socket, if it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// The end of a socket.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Closed {
    /// The time of the end.
    pub at: Timestamp,
    /// The code of the end: that of the server if it has closed the socket, else as in
    /// [`CloseReason`](crate::CloseReason).
    pub code: u16,
    /// The reason that belongs to it.
    pub reason: String,
}

/// The verdict on a socket.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(
    tag = "verdict",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Verdict {
    /// Written to the kernel: what the network and the client have made of it is not known here.
    Sent {
        /// The time, if this node knows it.
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// The client has said, when it came with a position, that it has seen the publication.
    Seen {
        /// The time at which it said so.
        at: Timestamp,
    },
    /// Given later.
    Healed {
        /// The time at which it was given.
        at: Timestamp,
        /// The way.
        how: Healing,
    },
    /// Still in the socket's backlog, as the client reads slowly.
    Waiting {
        /// The time at which it was published, if this node knows it.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// The socket reads slowly and skips publications: it is given this one, or what the policy for
    /// slow readers gives in its place, when it has taken its backlog.
    Lagging {
        /// The time since which it lags, if the record has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// The socket's node has not been given the publication yet.
    OnTheWay,
    /// Still in the socket's backlog when that ended.
    Unsent {
        /// The time of the end.
        at: Timestamp,
    },
    /// A subscriber did not get it, and was told so where the protocol has a word for it.
    LeftOut {
        /// The time at which that was decided.
        at: Timestamp,
        /// The reason.
        because: LeftOut,
    },
    /// The socket was no subscriber when the publication went out.
    NotSubscribed {
        /// The time at which it had ceased to be one, if it was one before.
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        /// The time at which it became one, if it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// The code of the reason: that of the refusal, `kicked`, that of the rule that was asked
        /// again, `unsubscribed`, `token-expired`, or `closed`.
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// The record does not reach back so far.
    Unknown,
}

/// The way in which a publication was given later.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Healing {
    /// To a client that came back with its position.
    Recovered,
    /// A part of the history, given to a client that came without a position that holds.
    History,
    /// To a slow reader that had taken its backlog.
    SlowReader,
}

/// The reason why a subscriber did not get a publication.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOut {
    /// A slow reader, in a channel that drops what slow readers miss.
    Dropped,
    /// A slow reader, in a channel that gives slow readers the latest value only.
    LatestValue,
    /// A history that did not reach back so far, for a slow reader or a client that came back.
    History,
    /// A position of another life of the topic, with which it came back.
    Epoch,
    /// A position ahead of what was published, with which it came back.
    Ahead,
    /// A slow reader that left while it lagged.
    LeftBehind,
    /// The topic has lost it for everybody.
    Lost,
}

impl Verdict {
    /// The name of the verdict, as in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Seen { .. } => "seen",
            Self::Healed { .. } => "healed",
            Self::Waiting { .. } => "waiting",
            Self::Lagging { .. } => "lagging",
            Self::OnTheWay => "on-the-way",
            Self::Unsent { .. } => "unsent",
            Self::LeftOut { .. } => "left-out",
            Self::NotSubscribed { .. } => "not-subscribed",
            Self::Unknown => "unknown",
        }
    }

    /// The certainty that the socket has got the publication: the higher, the surer. Of several
    /// subscriptions of a socket the highest counts.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::NotSubscribed { .. } => 0,
            Self::Unknown => 1,
            Self::LeftOut { .. } => 2,
            Self::Unsent { .. } => 3,
            Self::OnTheWay => 4,
            Self::Lagging { .. } => 5,
            Self::Waiting { .. } => 6,
            Self::Sent { .. } => 7,
            Self::Healed { .. } => 8,
            Self::Seen { .. } => 9,
        }
    }
}

/// A sentence for people.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = |f: &mut fmt::Formatter<'_>, since: &Option<Timestamp>| match since {
            Some(since) => write!(f, " since {since}"),
            None => Ok(()),
        };
        match self {
            Self::Sent { at: Some(at) } => write!(f, "sent at {at}"),
            Self::Sent { at: None } => f.write_str("sent"),
            Self::Seen { at } => write!(f, "seen, as its client said at {at}"),
            Self::Healed { at, how } => {
                write!(f, "healed at {at}, ")?;
                f.write_str(match how {
                    Healing::Recovered => "when it came back",
                    Healing::History => "with the history, when it subscribed",
                    Healing::SlowReader => "as a slow reader that had caught up",
                })
            }
            Self::Waiting { since: at } => {
                f.write_str("waiting in its backlog")?;
                since(f, at)
            }
            Self::Lagging { since: at } => {
                f.write_str("left out so far, as it reads slowly")?;
                since(f, at)
            }
            Self::OnTheWay => f.write_str("not at its node yet"),
            Self::Unsent { at } => {
                write!(
                    f,
                    "not sent: it waited in the backlog when the socket ended at {at}"
                )
            }
            Self::LeftOut { at, because } => {
                write!(f, "left out at {at}: ")?;
                f.write_str(match because {
                    LeftOut::Dropped => {
                        "it read slowly, and the channel drops what slow readers miss"
                    }
                    LeftOut::LatestValue => {
                        "it read slowly, and the channel gives slow readers the latest value only"
                    }
                    LeftOut::History => "the history did not reach back so far",
                    LeftOut::Epoch => "it came back with a position of another epoch",
                    LeftOut::Ahead => "it came back with a position ahead of the channel's",
                    LeftOut::LeftBehind => "it left while it lagged as a slow reader",
                    LeftOut::Lost => "the channel has lost it",
                })
            }
            Self::NotSubscribed {
                since: from,
                until,
                because,
            } => {
                f.write_str("not subscribed")?;
                since(f, from)?;
                if let Some(until) = until {
                    write!(f, " until {until}")?;
                }
                match because {
                    Some(because) => write!(f, ": {because}"),
                    None => Ok(()),
                }
            }
            Self::Unknown => f.write_str("unknown: the record does not reach back so far"),
        }
    }
}
