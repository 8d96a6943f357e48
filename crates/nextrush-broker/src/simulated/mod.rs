//! A store that several nodes share, in memory, with every fault that a real one has: for tests
//! of brokers and applications on many nodes, in one process and in virtual time.
//!
//! ```
//! use std::sync::Arc;
//! use nextrush_broker::simulated::SimulatedServer;
//! use nextrush_broker::{Broker, HistoryQuery, Publish, Retention, SequencedBroker};
//! use nextrush_broker::{SequencerOptions, TopicName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = SimulatedServer::new(7);
//! let node = || {
//!     let store = Arc::new(server.connect());
//!     SequencedBroker::new(store, SequencerOptions::default().seed(7))
//! };
//! let [here, there] = [node(), node()];
//!
//! let posts = TopicName::try_from("posts")?;
//! let hello = Publish::new("hello").retain(Retention::count(10));
//! let published = here.publish(&posts, hello).await?;
//! let history = there.history(&posts, HistoryQuery::Latest(1)).await?;
//! assert_eq!(history.position, published.position);
//! # Ok(())
//! # }
//! ```

mod bus;
mod faults;
mod node;
mod rosters;
mod server;
mod store;
mod topic;

pub use bus::{SimulatedBus, SimulatedNodes};
pub use faults::SimulatedFaults;
pub use node::SimulatedNode;
pub use rosters::SimulatedRosters;
pub use server::SimulatedServer;
pub use store::SimulatedStore;
