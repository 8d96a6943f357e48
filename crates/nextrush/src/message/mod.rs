//! Messages: what comes in, what goes out, and what they are about.

mod code;
pub(crate) mod command;
mod error;
mod incoming;
mod outgoing;
pub(crate) mod request;
mod timestamp;
mod user;

pub use code::ErrorCode;
pub use command::CommandError;
pub use error::ErrorMessage;
pub use incoming::Message;
pub use outgoing::Outgoing;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use user::{InvalidUserId, User, UserId};
