//! The client with which the commands reach a server.

mod connect;
mod error;
mod target;
mod tls;

pub(crate) use self::connect::{Call, open};
pub use self::error::{ClientError, InvalidTarget};
pub(crate) use self::target::header;
pub use self::target::{ServerUrl, Target};
