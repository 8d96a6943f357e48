//! The dialect of live channels.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nextrush_broker::{Position, Publication, Retention};
use nextrush_engine::{CloseReason, ConnectionId};
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::devices::GRACE;
use super::messages::Event;
use super::policy::ChannelPolicies;
use super::roster::Presence;
use super::shown::Diff;
use super::snapshot::Part;
use crate::message::{ErrorCode, ErrorMessage, Outgoing, Timestamp};
use crate::socket::handle::Handle;
use crate::socket::work::Work;
use crate::topic::{CatchUp, Dialect, Gap, Leaver, Locked, ShowUser, SlowReaderPolicy, Topics};

/// The policies of live channels, their presence, and their wire form.
pub(super) struct Live {
    pub(super) app: Handle,
    /// The members of channels, from one process to the next.
    pub(super) records: Topics,
    pub(super) policies: ChannelPolicies,
    pub(super) show_user: ShowUser,
    pub(super) presence: Arc<Presence<ConnectionId>>,
    /// The work that each user makes by subscriptions and presence.
    pub(super) work: Work,
    /// The moment from which grace periods are counted.
    pub(super) begun: Instant,
    /// Channels whose members of before a restart have been looked for.
    pub(super) taken_over: Mutex<HashSet<String>>,
}

impl Live {
    pub(super) fn now_ms(&self) -> u64 {
        millis_since(self.begun)
    }
}

/// Tells everybody in a channel what has changed, if anything has. Called while nothing else
/// happens in the topic, so that everybody gets the versions in their order.
pub(super) fn announce(channel: &Locked<'_>, diffs: impl IntoIterator<Item = Diff>) {
    for diff in diffs {
        channel.announce(Event::PresenceDiff {
            channel: channel.name(),
            diff,
        });
    }
}

pub(super) fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Dialect for Live {
    fn kind(&self) -> &'static str {
        "live"
    }

    fn publication(&self, channel: &str, _: Position, publication: &Publication) -> Outgoing {
        match serde_json::from_slice::<&RawValue>(&publication.data) {
            Ok(data) => Outgoing::from(Event::Update {
                channel,
                data,
                timestamp: Timestamp::from_unix_ms(publication.time_ms),
                offset: publication.offset,
            }),
            Err(error) => {
                tracing::error!(channel, %error, "a publication is no JSON");
                ErrorMessage::new(ErrorCode::Internal, "An update could not be read").into()
            }
        }
    }

    fn retention(&self, channel: &str) -> Retention {
        self.policies.retention(channel)
    }

    fn slow_readers(&self, channel: &str) -> SlowReaderPolicy {
        self.policies.slow_readers(channel)
    }

    fn gap(&self, channel: &str, gap: &Gap) -> Option<Outgoing> {
        let gap = Event::Gap {
            channel,
            from: gap.from.min(gap.to),
            to: gap.to,
            epoch: gap.epoch,
        };
        Some(gap.into())
    }

    fn renewed(&self, channel: &str, position: Position) -> Option<Outgoing> {
        Some(Event::Renewed { channel, position }.into())
    }

    /// Gap and updates, and at the end who is there: changes of presence have passed it by.
    fn catch_up(&self, channel: &Locked<'_>, behind: &CatchUp<'_>) -> Vec<Outgoing> {
        let name = channel.name();
        let gap = behind.gap.as_ref().and_then(|gap| self.gap(name, gap));
        let has_presence = behind.is_last && self.policies.has_presence(name);
        let presence = || self.presence.snapshot(name, Part::First);
        let presence = has_presence.then(|| presence().message(name, None));
        gap.into_iter()
            .chain(behind.messages(channel))
            .chain(presence)
            .collect()
    }

    fn left(&self, channel: &Locked<'_>, leaver: &Leaver<'_>) {
        let (name, id) = (channel.name(), leaver.socket.id());
        if leaver.closed.is_none_or(is_deliberate) {
            announce(channel, self.presence.leave(name, id));
        } else if self.presence.lose(name, id, self.now_ms()) {
            // Waits for the lost socket's user, and tells the others when that is in vain.
            let (presence, begun) = (Arc::clone(&self.presence), self.begun);
            let name = name.to_owned();
            channel.later(GRACE, move |channel| {
                let left = presence.expire(&name, millis_since(begun));
                if let Some(channel) = channel {
                    announce(channel, left);
                }
            });
        }
    }

    fn deleted(&self, channel: &str, offset: u64) -> Option<Outgoing> {
        Some(Event::Deleted { channel, offset }.into())
    }

    fn emptied<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.hand_over(channel))
    }
}

/// Tells a close that the client wanted from a lost connection.
fn is_deliberate(reason: &CloseReason) -> bool {
    // A browser closes with 1001 when its page is left, and without a code when told so.
    let own = [
        CloseCode::NORMAL,
        CloseCode::GOING_AWAY,
        CloseCode::NO_STATUS,
    ];
    reason.clean && own.contains(&reason.code)
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("records", &self.records)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}
