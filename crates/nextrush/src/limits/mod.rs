//! Bounds on what clients may do, and what they cost.
//!
//! [`SocketOptions`] bounds messages, silence and backlog of a WebSocket route, [`rate_limit`]
//! the messages of a socket, a [`ClientLimit`] those of a user or an address and their HTTP requests,
//! an [`OriginPolicy`] the pages that may connect, and an
//! [`EngineConfig`] the application as a whole. The guide's page *Limits and defaults* lists
//! them all.

mod client_limit;

pub use nextrush_engine::{Backlog, EngineConfig, Heartbeat, PingLimit, SocketOptions};
pub use nextrush_protocol::{DeflateConfig, Limits};

pub use self::client_limit::{ClientLimit, Limited};
pub use crate::http::address::ConnectionLimit;
pub use crate::http::origin::{InvalidOrigin, Origin, OriginError, OriginPolicy};
pub use crate::seldom::Seldom;
pub use crate::socket::keyed_limit::KeyedLimit;
pub use crate::socket::rate_limit::{Exceeded, RateLimit, SlidingWindow, TokenBucket, rate_limit};
