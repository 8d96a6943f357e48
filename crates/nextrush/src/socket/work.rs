//! Work that one client makes for others.

use tokio::time::Instant;

use super::keyed_limit::KeyedLimit;
use super::rate_limit::{Exceeded, TokenBucket};
use crate::message::UserId;
use crate::socket::ConnectionId;

/// The deliveries of a second.
const DELIVERIES: u32 = 10_000;
/// The deliveries at once.
const AT_ONCE: u32 = 50_000;

/// The least deliveries that a read of a history or of members counts.
pub(crate) const READ: usize = 20;

/// The work that each user makes in one part of the application, in deliveries of up to 1 KiB.
///
/// Counted for each user, and not for a room or an address: when all clients of a room or behind a
/// proxy come back at once, none is refused for the others' sake.
#[derive(Debug)]
pub(crate) struct Work(KeyedLimit<Maker, TokenBucket>);

/// The one for whom work is counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Maker {
    User(UserId),
    /// A socket without a user.
    Socket(ConnectionId),
}

impl Work {
    /// Counts so many deliveries; a full bucket if there are more.
    pub(crate) fn allow(&self, maker: &Maker, deliveries: usize) -> Result<(), Exceeded> {
        let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
        self.0.take(maker, deliveries, Instant::now().into_std())
    }
}

impl Default for Work {
    fn default() -> Self {
        Self(KeyedLimit::new(TokenBucket::new(DELIVERIES, AT_ONCE)))
    }
}

/// The deliveries that a message of so many bytes to so many sockets counts; one at least.
pub(crate) fn deliveries(bytes: usize, sockets: usize) -> usize {
    (1 + bytes / 1024).saturating_mul(sockets.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_clients_that_come_back_at_once_are_all_allowed() {
        let work = Work::default();
        for user in 0..10_000 {
            let user = Maker::User(user.into());
            // Each is announced to all the others, and asks for megabytes.
            assert!(work.allow(&user, 2 * deliveries(300, 10_000)).is_ok());
            assert!(work.allow(&user, deliveries(4_000_000, 1)).is_ok());
        }
    }

    #[test]
    fn a_user_who_makes_more_than_that_is_held_back_and_nobody_else() {
        let work = Work::default();
        let (ada, bob) = (Maker::User("ada".into()), Maker::User("bob".into()));
        let allowed = (0..1000).take_while(|_| work.allow(&ada, 1_000).is_ok());
        let allowed = allowed.count();
        assert!((50..60).contains(&allowed), "{allowed}");
        assert!(work.allow(&bob, 1_000).is_ok());
        let exceeded = work.allow(&ada, 1_000).unwrap_err();
        assert!(exceeded.retry_after_ms() <= 100, "{exceeded:?}");
    }

    #[test]
    fn a_delivery_is_one_for_each_kib_and_socket() {
        for (bytes, sockets, expected) in [(0, 0, 1), (1023, 1, 1), (1024, 3, 6), (9, 10, 10)] {
            assert_eq!(deliveries(bytes, sockets), expected, "{bytes} {sockets}");
        }
    }
}
