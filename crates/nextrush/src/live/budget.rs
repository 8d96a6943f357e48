//! Bounds on what devices say of themselves.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::shown::Person;
use crate::message::UserId;

/// The bytes that the [presence](super::ChannelPolicy::presence) data of devices may take, in all
/// channels together. Each node counts the devices that are connected to it.
///
/// The data of a device counts its JSON text and 64 bytes more, until the device leaves or says
/// something else. Beyond a bound an update is refused as `over-quota` and the device keeps the
/// data that it had.
///
/// ```
/// use nextrush::live::PresenceLimits;
/// use nextrush::{App, LiveUpdates};
///
/// let app: App = App::new();
/// let limits = PresenceLimits::default().bytes_per_user(64 * 1024);
/// let live = LiveUpdates::builder().presence_limits(limits).build(&app, "live");
/// # drop(live);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PresenceLimits {
    /// The bytes of one user's devices. Default: 512 KiB.
    pub bytes_per_user: usize,
    /// The bytes of all users' devices. Default: 128 MiB. The last quarter is for users who have
    /// 8 KiB or less, so that a few who take all they may leave room for the others.
    pub bytes: usize,
}

impl PresenceLimits {
    /// The same limits with so many bytes for each user.
    #[must_use]
    pub fn bytes_per_user(self, bytes_per_user: usize) -> Self {
        Self {
            bytes_per_user,
            ..self
        }
    }

    /// The same limits with so many bytes for all users.
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    fn bytes_for_larger_users(&self) -> usize {
        self.bytes - self.bytes / 4
    }
}

impl Default for PresenceLimits {
    fn default() -> Self {
        Self {
            bytes_per_user: 512 * 1024,
            bytes: 128 * 1024 * 1024,
        }
    }
}

/// The bytes up to which a user may use the last quarter.
const SMALL: usize = 8 * 1024;

/// The refusal of data for which there is no room.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum OverQuota {
    #[error("the devices of a user have at most {0} bytes of presence data")]
    User(usize),
    #[error("the devices of all users have as much presence data as they may")]
    All,
}

/// The bytes in use, which are given back when a [`Share`] is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<Mutex<Used>>);

#[derive(Debug, Default)]
struct Used {
    limits: PresenceLimits,
    all: usize,
    users: HashMap<UserId, usize>,
}

/// The bytes of one device.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    user: Arc<Person>,
    /// Changed while the budget is locked.
    bytes: AtomicUsize,
}

impl Budget {
    pub(super) fn new(limits: PresenceLimits) -> Self {
        Self(Arc::new(Mutex::new(Used {
            limits,
            ..Used::default()
        })))
    }

    /// A share of a user, of no bytes yet.
    pub(super) fn share(&self, user: &Arc<Person>) -> Share {
        Share {
            budget: self.clone(),
            user: Arc::clone(user),
            bytes: AtomicUsize::new(0),
        }
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> (usize, usize) {
        let used = self.0.lock();
        (used.all, used.users.len())
    }
}

impl Used {
    /// Returns whether a user may have so many bytes in place of these.
    fn check(&self, user: &UserId, old: usize, new: usize) -> Result<(), OverQuota> {
        // Whoever takes less than before is never refused.
        if new <= old {
            return Ok(());
        }
        let own = self.users.get(user).copied().unwrap_or_default() - old + new;
        let for_all = match own {
            ..=SMALL => self.limits.bytes,
            _ => self.limits.bytes_for_larger_users(),
        };
        if own > self.limits.bytes_per_user {
            return Err(OverQuota::User(self.limits.bytes_per_user));
        }
        if self.all - old + new > for_all {
            return Err(OverQuota::All);
        }
        Ok(())
    }

    fn exchange(&mut self, user: &UserId, old: usize, new: usize) {
        let own = self.users.get(user).copied().unwrap_or_default() - old + new;
        self.all = self.all - old + new;
        match self.users.entry(user.clone()) {
            Entry::Occupied(entry) if own == 0 => drop(entry.remove()),
            Entry::Occupied(mut entry) => *entry.get_mut() = own,
            Entry::Vacant(_) if own == 0 => {}
            Entry::Vacant(entry) => drop(entry.insert(own)),
        }
    }
}

impl Share {
    /// Takes so many bytes in place of those that it has.
    pub(super) fn resize(&self, bytes: usize) -> Result<(), OverQuota> {
        let mut used = self.budget.0.lock();
        used.check(&self.user.id, self.bytes.load(Ordering::Relaxed), bytes)?;
        self.exchange(&mut used, bytes);
        Ok(())
    }

    /// Takes so many bytes, even where there is no room for them: somebody has them already.
    pub(super) fn grow(&self, bytes: usize) {
        let mut used = self.budget.0.lock();
        self.exchange(&mut used, bytes);
    }

    /// Gives back all bytes.
    pub(super) fn release(&self) {
        self.grow(0);
    }

    fn exchange(&self, used: &mut Used, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        used.exchange(&self.user.id, before, bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Profile;

    fn budget(per_user: usize, all: usize) -> Budget {
        let limits = PresenceLimits::default().bytes_per_user(per_user);
        Budget::new(limits.bytes(all))
    }

    fn take(budget: &Budget, user: impl Into<UserId>, bytes: usize) -> Result<Share, OverQuota> {
        let id = user.into();
        let profile = Profile::new(&id).unwrap();
        let share = budget.share(&Arc::new(Person { id, profile }));
        share.resize(bytes).map(|()| share)
    }

    #[test]
    fn a_user_has_a_bounded_share_and_gets_back_what_is_given_up() {
        let budget = budget(100, 1000);
        let first = take(&budget, "ada", 60).unwrap();
        assert_eq!(take(&budget, "ada", 41).unwrap_err(), OverQuota::User(100));
        let second = take(&budget, "ada", 40).unwrap();
        let other = take(&budget, "bob", 100).unwrap();
        assert_eq!(budget.used(), (200, 2));
        // In place of what the device had, which it keeps where that is refused.
        assert_eq!(first.resize(61), Err(OverQuota::User(100)));
        assert_eq!(budget.used(), (200, 2));
        first.resize(10).unwrap();
        assert_eq!(budget.used(), (150, 2));
        drop((first, second));
        assert_eq!(budget.used(), (100, 1));
        drop(other);
        assert_eq!(budget.used(), (0, 0));
    }

    #[test]
    fn all_users_together_have_a_bound_and_its_last_quarter_is_for_those_with_little() {
        let kib = 1024;
        let budget = budget(64 * kib, 128 * kib);
        let large: Vec<_> = (0..10)
            .map_while(|user| take(&budget, user, 16 * kib).ok())
            .collect();
        assert_eq!(large.len(), 6);
        let small: Vec<_> = (100..200)
            .map_while(|user| take(&budget, user, 8 * kib).ok())
            .collect();
        assert_eq!(small.len(), 4);
        assert_eq!(take(&budget, "last", 1).unwrap_err(), OverQuota::All);
        drop(large);
        assert!(take(&budget, "last", 16 * kib).is_ok());
    }
}
