//! The codecs, each by its own best way that its public interface offers.

mod fastwebsockets;
mod nextrush;
mod tokio_websockets;
mod tungstenite;

pub use fastwebsockets::FastWebSockets;
pub use nextrush::{NextRush, NextRushOwned};
pub use tokio_websockets::TokioWebSockets;
pub use tungstenite::Tungstenite;
