//! Messages: what comes in, what goes out, and the parts that both share.
//!
//! [`Message`] is what a client sent and [`Outgoing`] what is sent to clients. Messages tagged by
//! `type` are read with [`Socket::on_command`](crate::Socket::on_command) or, by hand, with
//! [`decode_command`]; an [`ErrorMessage`] tells a client of an [`ErrorCode`].

mod code;
pub(crate) mod command;
mod error;
mod incoming;
pub(crate) mod invisible;
mod outgoing;
mod refused;
pub(crate) mod request;
mod timestamp;
mod user;

pub use code::ErrorCode;
pub use command::{CommandError, decode as decode_command};
pub(crate) use error::ErrorFields;
pub use error::ErrorMessage;
pub use incoming::Message;
pub use outgoing::Outgoing;
pub(crate) use refused::Refused;
pub use request::{Answer, CommandId, Request};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use user::{GivenUserId, InvalidUserId, User, UserId};
