//! The messages between live updates and a client.

use nextrush_broker::{BrokerError, Epoch, Position};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::device::DeviceName;
use super::payload::{Encoding, Payload};
use super::shown::Diff;
use super::snapshot::PresenceSnapshot;
use crate::message::{ErrorCode, ErrorFields, ErrorMessage, Outgoing, Timestamp};
use crate::seldom::Seldom;
use crate::topic::{Recovered, Since, SubscribeError};

/// A message from a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Command {
    Subscribe {
        channel: String,
        since: Option<Since>,
        /// By which a lost device is known again.
        device: Option<DeviceName>,
    },
    Unsubscribe {
        channel: String,
    },
    /// Its data is taken from the text of the message.
    Publish,
    ChannelHistory {
        channel: String,
        /// The offset of the oldest publication that the client has.
        before: Option<u64>,
        limit: Option<usize>,
    },
    Presence {
        channel: String,
        /// The place at which the wanted page begins; `None` from clients that know no pages.
        after: Option<u64>,
    },
    /// Its data is taken from the text of the message.
    PresenceUpdate {
        channel: String,
    },
}

/// A message to a client.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Event<'a> {
    Subscribed {
        channel: &'a str,
        /// Its offset is the top: what is published next has one more.
        #[serde(flatten)]
        position: Position,
        #[serde(flatten)]
        recovered: Recovered,
        /// `true` if offsets may be left out, as only the newest update matters.
        #[serde(skip_serializing_if = "is_false")]
        latest: bool,
        /// `true` if the client's device is among the members; `false` while there is no room.
        #[serde(skip_serializing_if = "Option::is_none")]
        shown: Option<bool>,
        /// `true` if the server has subscribed the client, unasked.
        #[serde(skip_serializing_if = "is_false")]
        joined: bool,
        /// The state of the channel that the application has loaded, at the position or later.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
    },
    Unsubscribed {
        channel: &'a str,
        /// The reason, where the client has not asked for it.
        #[serde(flatten)]
        reason: Option<ErrorFields<'a>>,
    },
    Update {
        channel: &'a str,
        data: Payload<'a>,
        /// The encoding of the data, if that is bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding: Option<Encoding>,
        timestamp: Timestamp,
        offset: u64,
    },
    /// An update that was deleted.
    Deleted { channel: &'a str, offset: u64 },
    /// Updates that the client will not get.
    Gap {
        channel: &'a str,
        from: u64,
        to: u64,
        epoch: Epoch,
    },
    /// The channel goes on under another epoch, in which positions of the one before count up to
    /// this offset.
    Renewed {
        channel: &'a str,
        #[serde(flatten)]
        position: Position,
    },
    Presence {
        channel: &'a str,
        #[serde(flatten)]
        snapshot: &'a PresenceSnapshot,
    },
    PresenceDiff {
        channel: &'a str,
        #[serde(flatten)]
        diff: Diff,
    },
    /// The answer to a command with an id that has no other; with the place of what it
    /// published.
    Ack {
        #[serde(flatten)]
        published: Option<Position>,
        /// `true` if nothing was published, as the place has a newer version.
        #[serde(skip_serializing_if = "is_false")]
        outdated: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl From<Event<'_>> for Outgoing {
    fn from(event: Event<'_>) -> Self {
        Self::json(&event).expect("the events of live updates have string keys only")
    }
}

/// The time after which a subscription is tried again that a full store has refused.
const WHEN_FULL_MS: u64 = 10_000;

static NOT_SUBSCRIBED: Seldom = Seldom::new();

/// The answer to a client that could not subscribe.
pub(super) fn refusal(channel: &str, error: SubscribeError) -> ErrorMessage {
    let details = error.to_string();
    let (code, message) = match error {
        SubscribeError::Refused(Some(refusal)) => return *refusal,
        SubscribeError::InvalidName => (ErrorCode::InvalidName, "Invalid channel name"),
        SubscribeError::Refused(None) | SubscribeError::GivenUp => {
            (ErrorCode::SubscribeRefused, "Subscription refused")
        }
        SubscribeError::TooManyChannels { .. } => (ErrorCode::TooManyChannels, "Too many channels"),
        SubscribeError::Broker(error) => {
            if NOT_SUBSCRIBED.is_due() {
                tracing::error!(%error, channel, "cannot subscribe");
            }
            let refusal = ErrorMessage::of_broker("Channel unavailable", &error).details(details);
            return match error {
                // To subscribe takes next to nothing of the store, and a client that is told nothing
                // about a later time does not ask again.
                BrokerError::Full(_) => refusal.retry_after_ms(WHEN_FULL_MS),
                _ => refusal,
            };
        }
        SubscribeError::Join(_) => (ErrorCode::Unavailable, "Channel unavailable"),
    };
    ErrorMessage::new(code, message).details(details)
}
