//! The same WebSocket work done by `nextrush-protocol` and by other codecs: parse the
//! frames that come out of memory and hand out the messages, or turn messages into bytes
//! for the wire.
//!
//! A [`Work`] is done by a [`Codec`]; a [`Job`] is the two together on a [`Socket`] that is
//! memory. README.md says what each way includes.

mod codec;
mod job;
mod sample;
mod socket;
mod work;

pub mod codecs;

pub use codec::{Codec, Connection};
pub use job::{CODECS, DEFLATING, Job, Named, codecs};
pub use sample::{Kind, Sample};
pub use socket::Socket;
pub use work::{Arrival, Coding, Direction, Work};
