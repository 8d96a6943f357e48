//! What goes over the wire between `LiveUpdates` and a client.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::Outgoing;
use crate::message::Timestamp;
use crate::message::{ErrorCode, ErrorMessage};
use crate::topic::presence::{Diff, Snapshot};
use crate::topic::since::{Recovered, Since};
use crate::topic::topics::SubscribeError;

/// What a client may send.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Command {
    Subscribe {
        channel: String,
        since: Option<Since>,
    },
    Unsubscribe {
        channel: String,
    },
    /// What it holds is taken from the message as it is.
    Publish,
    Presence {
        channel: String,
    },
    PresenceUpdate {
        channel: String,
        data: Value,
    },
}

/// What a client gets.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Event<'a> {
    Subscribed {
        channel: &'a str,
        epoch: String,
        /// The top: what is published next has one more.
        offset: u64,
        #[serde(flatten)]
        recovered: Recovered,
        /// Whether offsets may be left out, as only the newest update matters.
        #[serde(skip_serializing_if = "is_false")]
        latest: bool,
    },
    Unsubscribed {
        channel: &'a str,
    },
    Update {
        channel: &'a str,
        data: &'a RawValue,
        timestamp: Timestamp,
        offset: u64,
    },
    /// What the client will not get.
    Gap {
        channel: &'a str,
        from: u64,
        to: u64,
        epoch: String,
    },
    Presence {
        channel: &'a str,
        #[serde(flatten)]
        snapshot: Snapshot,
    },
    PresenceDiff {
        channel: &'a str,
        #[serde(flatten)]
        diff: Diff,
    },
    /// To a command with an id that has no answer of its own.
    Ack,
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

/// What a client gets that could not subscribe.
pub(super) fn refusal(channel: &str, error: &SubscribeError) -> ErrorMessage {
    let (code, message) = match error {
        SubscribeError::InvalidName => (ErrorCode::InvalidName, "Invalid channel name"),
        SubscribeError::Refused | SubscribeError::GivenUp => {
            (ErrorCode::SubscribeRefused, "Subscription refused")
        }
        SubscribeError::TooManyChannels { .. } => (ErrorCode::TooManyChannels, "Too many channels"),
        SubscribeError::Join(_) | SubscribeError::Broker(_) => {
            tracing::error!(%error, channel, "cannot subscribe");
            (ErrorCode::Unavailable, "Channel unavailable")
        }
    };
    ErrorMessage::new(code, message).details(error.to_string())
}
