//! Errors of topics.

use nextrush_broker::BrokerError;

use crate::message::ErrorMessage;
use crate::socket::join::JoinError;

/// A name that no topic can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a topic's name has 1 to 255 bytes and no control characters")]
#[non_exhaustive]
pub struct InvalidTopicName;

/// The reason why something could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The name is empty, longer than 255 bytes, or holds control characters.
    #[error("invalid channel name")]
    InvalidName,
    /// The data cannot be written as JSON.
    #[error("the data cannot be written as JSON")]
    Data(#[from] serde_json::Error),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<InvalidTopicName> for PublishError {
    fn from(_: InvalidTopicName) -> Self {
        Self::InvalidName
    }
}

/// The reason why a socket could not subscribe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The name is empty, longer than 255 bytes, or holds control characters.
    #[error("invalid channel name")]
    InvalidName,
    /// The policy does not let the socket subscribe.
    #[error("the channel is not open to this client")]
    Refused(Option<Box<ErrorMessage>>),
    /// The socket has as many subscriptions as it may have.
    #[error("a socket can subscribe to {limit} channels at most")]
    TooManyChannels {
        /// The limit that was reached.
        limit: usize,
    },
    /// The socket was unsubscribed while it was being subscribed.
    #[error("the subscription was given up meanwhile")]
    GivenUp,
    /// The socket cannot be a member: it is closed, or it belongs to another
    /// application.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<InvalidTopicName> for SubscribeError {
    fn from(_: InvalidTopicName) -> Self {
        Self::InvalidName
    }
}
