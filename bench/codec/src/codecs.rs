//! The codecs, each by its own best way that its public interface offers.

mod fastwebsockets;
mod nextrush;
mod tokio_websockets;
mod tungstenite;
mod yawc;

pub use fastwebsockets::FastWebSockets;
pub use nextrush::{NextRush, NextRushOwned};
pub use tokio_websockets::TokioWebSockets;
pub use tungstenite::Tungstenite;
pub use yawc::Yawc;
