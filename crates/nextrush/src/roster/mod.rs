//! Rosters on this node: who is in a topic, over all nodes, with one order of changes.
//!
//! A store that all nodes share, [`nextrush_broker::Rosters`], keeps for each roster a numbered
//! list of members, and changes it by compare-and-set. Here is the rest: [`Rosters`] follow those
//! that this node uses, turn the wishes of its sockets into changes, tell of everybody's changes
//! in one order through [`Rules`], and make the store agree with what this node knows of its own
//! sockets. A node alone has no store, and everything happens at once.

mod change;
mod draft;
mod host;
mod living;
mod own;
mod place;
mod replica;
mod rosters;
mod rules;
mod state;
mod store_time;
mod stored;
mod view;
mod wire;
mod wish;

#[cfg(test)]
mod tests;

pub(crate) use change::{Change, OneByOne, Retold, Step};
pub(crate) use place::{Home, Place, Record};
pub(crate) use rosters::{Rosters, Watched};
pub(crate) use rules::{Admission, Origin, Rules};
pub(crate) use view::View;
pub(crate) use wish::{Settled, Unsettled, Wish};
