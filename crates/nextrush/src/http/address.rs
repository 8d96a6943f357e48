//! The limit on connections per client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The most connections of one client address, which may change while a server runs. Clones are the
/// same limit.
///
/// ```
/// use nextrush::limits::ConnectionLimit;
///
/// let limit = ConnectionLimit::from(10_000);
/// // Given to `Listen::connections_per_address`, it holds for new connections from now on.
/// limit.clone().set(500);
/// assert_eq!(limit.get(), 500);
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<AtomicUsize>);

impl ConnectionLimit {
    /// The limit as it is now.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the limit for new connections; those that are open stay.
    pub fn set(&self, connections: usize) {
        self.0.store(connections, Ordering::Relaxed);
    }
}

impl From<usize> for ConnectionLimit {
    fn from(connections: usize) -> Self {
        Self(Arc::new(connections.into()))
    }
}

/// The open connections of each client address.
#[derive(Debug)]
pub(crate) struct Addresses {
    limit: ConnectionLimit,
    open: Mutex<HashMap<Address, Arc<Open>>>,
}

/// A client's address: an IPv4 address, or the first half of one of IPv6, as a customer
/// usually gets all addresses of such a network.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Address {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// The connections of an address.
#[derive(Debug)]
struct Open {
    addresses: Arc<Addresses>,
    address: Address,
    count: Mutex<usize>,
}

/// The decision on a new connection.
#[derive(Debug)]
pub(crate) enum Admission {
    Granted(Permit),
    /// Too many: the client is told so.
    Refused(#[expect(dead_code, reason = "it is counted until it is dropped")] Permit),
    /// The client has no address.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix sockets have none"))]
    Uncounted,
}

/// Counts one connection until it is dropped. Takes no memory of its own.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Open>);

impl Addresses {
    pub(crate) fn new(limit: impl Into<ConnectionLimit>) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.into(),
            open: Mutex::default(),
        })
    }

    /// `None`: so many are being refused already that this one is not even told.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Admission> {
        let address = Address::from(peer);
        let mut table = self.open.lock();
        let open = Arc::clone(table.entry(address).or_insert_with(|| {
            Arc::new(Open {
                addresses: Arc::clone(self),
                address,
                count: Mutex::default(),
            })
        }));
        // Under the table's lock, so that nobody takes the entry away meanwhile.
        let count = *open.count.lock();
        let limit = self.limit.get();
        if count >= limit.saturating_mul(2) {
            return None;
        }
        let permit = Permit::count(open);
        drop(table);
        Some(if count >= limit {
            Admission::Refused(permit)
        } else {
            Admission::Granted(permit)
        })
    }
}

impl Permit {
    fn count(open: Arc<Open>) -> Self {
        *open.count.lock() += 1;
        Self(open)
    }

    /// The client's address, or the first half of it.
    pub(crate) fn address(&self) -> IpAddr {
        self.0.address.into()
    }

    /// Counts what comes in place of this: a socket for its HTTP connection.
    pub(crate) fn successor(&self) -> Self {
        Self::count(Arc::clone(&self.0))
    }

    /// Counts one more of the same address, unless that is too many.
    pub(crate) fn another(&self) -> Option<Self> {
        let mut count = self.0.count.lock();
        if *count >= self.0.addresses.limit.get() {
            return None;
        }
        *count += 1;
        drop(count);
        Some(Self(Arc::clone(&self.0)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Open {
            addresses,
            address,
            count,
        } = &*self.0;
        let mut table = addresses.open.lock();
        let mut count = count.lock();
        *count -= 1;
        if *count == 0 {
            let entry = table.remove(address);
            drop(count);
            drop(table);
            drop(entry);
        }
    }
}

/// The address by which a client is known: an IPv4 address, or the first half of one of IPv6.
pub(crate) fn network_of(peer: IpAddr) -> IpAddr {
    Address::from(peer).into()
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(octets) => octets.into(),
            Address::V6([a, b, c, d, e, f, g, h]) => {
                [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0].into()
            }
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(addresses: &Arc<Addresses>, peer: &str) -> Option<Admission> {
        addresses.admit(peer.parse().unwrap())
    }

    fn is_refused(admission: &Option<Admission>) -> bool {
        matches!(admission, Some(Admission::Refused(_)))
    }

    #[track_caller]
    fn granted(admission: Option<Admission>) -> Permit {
        match admission {
            Some(Admission::Granted(permit)) => permit,
            other => panic!("expected a permit, got {other:?}"),
        }
    }

    #[test]
    fn beyond_the_limit_connections_are_refused_and_beyond_twice_of_it_dropped() {
        let addresses = Addresses::new(2);
        let first = granted(admit(&addresses, "192.0.2.1"));
        let _second = granted(admit(&addresses, "192.0.2.1"));
        let third = admit(&addresses, "192.0.2.1");
        assert!(is_refused(&third));
        let fourth = admit(&addresses, "192.0.2.1");
        assert!(is_refused(&fourth));
        let fifth = admit(&addresses, "192.0.2.1");
        assert!(fifth.is_none());
        let _other = granted(admit(&addresses, "192.0.2.2"));

        drop((third, fourth, first));
        granted(admit(&addresses, "192.0.2.1"));
    }

    #[test]
    fn what_comes_in_place_of_a_connection_keeps_its_place() {
        let addresses = Addresses::new(1);
        let connection = granted(admit(&addresses, "192.0.2.1"));
        assert!(connection.another().is_none());
        let socket = connection.successor();
        drop(connection);
        assert!(is_refused(&admit(&addresses, "192.0.2.1")));
        drop(socket);
        granted(admit(&addresses, "192.0.2.1"));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_mapped_ipv4_is_ipv4() {
        let addresses = Addresses::new(1);
        let v6 = granted(admit(&addresses, "2001:db8:1:2::1"));
        let same = admit(&addresses, "2001:db8:1:2:ffff::9");
        assert!(is_refused(&same));
        let _next = granted(admit(&addresses, "2001:db8:1:3::1"));
        let v4 = granted(admit(&addresses, "192.0.2.1"));
        assert_eq!(v6.address().to_string(), "2001:db8:1:2::");
        assert_eq!(v4.address().to_string(), "192.0.2.1");
        let mapped = admit(&addresses, "::ffff:192.0.2.1");
        assert!(is_refused(&mapped));
        let _other = granted(admit(&addresses, "::ffff:192.0.2.2"));
    }

    #[test]
    fn an_address_without_connections_takes_no_memory() {
        let addresses = Addresses::new(1);
        let permit = granted(admit(&addresses, "192.0.2.1"));
        let more = permit.successor();
        drop((permit, more));
        assert!(addresses.open.lock().is_empty());
        assert_eq!(Arc::strong_count(&addresses), 1);
    }
}
