//! Rosters: who is in a topic, over all nodes.

mod rosters;

pub use rosters::{Committed, Roster, RosterChange, RosterRevision, RosterSink, Rosters};
