//! The homes that are alive.

use std::collections::HashSet;

use tokio::time::Instant;

use super::place::Home;

/// The homes that were alive when they were asked for.
#[derive(Debug)]
pub(super) struct Living {
    /// The moment before they were asked for: nothing is said of a home that came later.
    pub(super) asked: Instant,
    pub(super) homes: HashSet<Home>,
}

impl Living {
    /// Returns whether a home that was seen since then is dead.
    pub(super) fn has_lost(&self, home: &Home, seen: Instant) -> bool {
        seen < self.asked && !self.homes.contains(home)
    }
}
