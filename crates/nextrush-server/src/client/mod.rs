//! The client with which the commands reach a server, and the server an issuer of tokens.

mod ask;
mod connect;
mod error;
mod target;
pub(crate) mod tls;

pub(crate) use self::ask::{Answer, ask};
pub(crate) use self::connect::{Call, get, in_time, open};
pub use self::error::{ClientError, InvalidTarget};
pub(crate) use self::target::header;
pub use self::target::{JwksUrl, ServerUrl, Target};
