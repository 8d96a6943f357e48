//! Rosters: who is in a topic, over all nodes.

mod memory;
mod rosters;

pub use memory::MemoryRosters;
pub use rosters::{Committed, Roster, RosterChange, RosterRevision, RosterSink, Rosters};
