//! The nodes of an application: the processes that share a broker, and what they ask and tell
//! each other.
//!
//! An application on a broker that nodes share, such as `nextrush_redis::Redis`, is a node among
//! others; on any other broker it is the only one. [`Handle::node`](crate::Handle::node) is its
//! name and [`Handle::nodes`](crate::Handle::nodes) lists those that live. What one of them tells
//! the others is volatile, and what it asks is answered by those that can:
//!
//! ```
//! use nextrush::broker::{Asked, Bytes};
//! use nextrush::node::From;
//! use nextrush::{App, Handle};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app: App = App::new();
//! app.handle().answer("load", async |app: Handle, _: From, _: Bytes| {
//!     Some(Bytes::from(app.local_connections().to_string()))
//! });
//!
//! let answered = app.handle().ask("load", &Asked::All, Bytes::new()).await?;
//! assert_eq!(answered.answers[0].1, "0");
//! # Ok(())
//! # }
//! ```

pub(crate) mod interest;
pub(crate) mod line;
mod living;
pub(crate) mod wire;

pub use nextrush_broker::{NodeName, NodeNameError};

pub use self::line::From;
pub use self::living::{LivingNode, Mismatch, StartError};
