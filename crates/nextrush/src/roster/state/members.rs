//! Notes on the members in the view: who is waited for, and at which nodes they are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::State;
use crate::roster::host::Surroundings;
use crate::roster::living::Living;
use crate::roster::own::Arrived;
use crate::roster::place::{Home, Record};
use crate::roster::rules::Rules;

/// The longest time by which nodes are late to take out those who have not come back. Each is by
/// another one, so that mostly one of them does it.
const SPREAD: Duration = Duration::from_millis(200);

/// A home with members in the roster.
pub(super) struct Seen {
    pub(super) members: usize,
    pub(super) since: Instant,
}

impl<R: Rules> State<R> {
    /// Takes note of what has become of a member.
    pub(super) fn note(
        &mut self,
        number: u64,
        before: Option<&Record<R::Member>>,
        after: Option<&Record<R::Member>>,
        around: &Surroundings<'_, R>,
    ) -> Option<Arrived<R>> {
        if let Some(at) = self.lost_until.remove(&number) {
            self.lost.remove(&(at, number));
        }
        if let Some(record) = after
            && let Some(grace) = self.rules.grace()
            && let Some(left) = around.left_until(&record.place)
        {
            // Whatever the store's clock says, it is waited for no longer than that.
            let spread = match self.is_alone {
                true => Duration::ZERO,
                false => around.spread(SPREAD),
            };
            let at = Instant::now() + left.min(grace) + spread;
            self.lost_until.insert(number, at);
            self.lost.insert((at, number));
        }
        if !self.is_alone {
            let home = |record: Option<&Record<R::Member>>| record?.place.home().cloned();
            let (was, is) = (home(before), home(after));
            if was != is {
                self.count_homes(was, is);
            }
        }
        if after.is_none() {
            self.owns.try_waiting();
        }
        self.owns.see(number, before, after)
    }

    fn count_homes(&mut self, was: Option<Arc<Home>>, is: Option<Arc<Home>>) {
        if let Some(home) = is {
            let seen = self.homes.entry(home).or_insert_with(|| Seen {
                members: 0,
                since: Instant::now(),
            });
            seen.members += 1;
        }
        if let Some(home) = was
            && let Some(seen) = self.homes.get_mut(&home)
        {
            seen.members -= 1;
            if seen.members == 0 {
                self.homes.remove(&home);
                self.dead.remove(&home);
            }
        }
    }

    /// Takes note of homes that are dead, as far as they have members here.
    pub(super) fn bury(&mut self, living: &Living) {
        if let Some(doubt) = &mut self.doubt {
            doubt.bury(living);
        }
        let own = self.owns.home();
        for (home, seen) in self.homes.iter().filter(|(home, _)| *home != own) {
            if living.has_lost(home, seen.since) {
                self.dead.insert(Arc::clone(home));
            } else if living.homes.contains(home) {
                self.dead.remove(home);
            }
        }
    }
}
