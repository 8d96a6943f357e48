//! The dialect of live channels.

use std::collections::HashSet;
use std::fmt;
use std::sync::Once;

use futures_util::future::BoxFuture;
use nextrush_broker::{Position, Publication, Retention, TopicName};
use nextrush_engine::CloseReason;
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;

use super::attempts::Attempts;
use super::messages::Event;
use super::pattern::Pattern;
use super::payload::Payload;
use super::policies::ChannelPolicies;
use super::presence::Presence;
use super::snapshot::Part;
use super::subscribers::Subscribers;
use crate::message::{ErrorCode, ErrorMessage, Outgoing, Timestamp};
use crate::socket::handle::Handle;
use crate::socket::work::Work;
use crate::topic::{CatchUp, Dialect, Gap, Leaver, Locked, ShowUser, SlowReaderPolicy, Topics};

/// The kind of data that live channels hold.
pub(super) const KIND: &str = "live";

/// The policies of live channels, their presence, and their wire form.
pub(super) struct Live {
    pub(super) app: Handle,
    /// The members of channels, from one process to the next.
    pub(super) records: Topics,
    pub(super) policies: ChannelPolicies,
    pub(super) show_user: ShowUser,
    pub(super) presence: Presence<Subscribers>,
    /// The work that each user makes by subscriptions and presence.
    pub(super) work: Work,
    /// Channels whose members of before a restart have been looked for.
    pub(super) taken_over: Mutex<HashSet<String>>,
    /// The subscriptions that clients are asking for.
    pub(super) attempts: Attempts,
    /// The one line of the log about sockets that presence does not show.
    pub(super) unseen: Once,
    /// The channels of users, which their sockets are subscribed to by themselves.
    pub(super) user_channel: Option<Pattern>,
}

impl Dialect for Live {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn publication(&self, channel: &str, _: Position, publication: &Publication) -> Outgoing {
        match Payload::of(publication) {
            Ok(data) => Outgoing::from(Event::Update {
                channel,
                encoding: data.encoding(),
                data,
                timestamp: Timestamp::from_unix_ms(publication.time_ms),
                offset: publication.offset,
            }),
            Err(error) => {
                tracing::error!(channel, %error, "a publication cannot be read");
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
        let presence = || self.presence.snapshot(channel.stored_name(), Part::First);
        let presence = has_presence.then(|| presence().message(name, None));
        gap.into_iter()
            .chain(behind.messages(channel))
            .chain(presence)
            .collect()
    }

    fn left(&self, channel: &Locked<'_>, leaver: &Leaver<'_>) {
        if !self.policies.has_presence(channel.name()) {
            return;
        }
        let (roster, socket) = (channel.stored_name(), leaver.socket.id());
        if leaver.closed.is_none_or(is_deliberate) {
            self.presence.leave(roster, socket);
        } else {
            self.presence.lose(roster, socket);
        }
    }

    fn settle(&self, topic: &TopicName) {
        self.presence.settle(topic);
    }

    fn deleted(&self, channel: &str, offset: u64) -> Option<Outgoing> {
        Some(Event::Deleted { channel, offset }.into())
    }

    fn emptied<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.hand_over(channel).await;
            if let Some(roster) = self.roster(channel) {
                self.presence.tidy(&roster);
            }
        })
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
