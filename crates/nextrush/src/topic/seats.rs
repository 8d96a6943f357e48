//! The members of a topic: in the order in which they came, and by user.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nextrush_engine::ConnectionId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{Profile, UserSockets, UsersPage};

/// The members of this node.
#[derive(Debug, Default)]
pub(super) struct LocalSeats {
    seats: Seats,
    numbers: HashMap<ConnectionId, u64>,
    last: u64,
}

impl LocalSeats {
    /// Seats a socket, or changes the profile of one.
    pub(super) fn seat(&mut self, socket: ConnectionId, profile: Profile) {
        self.last += 1;
        if let Some(before) = self.numbers.insert(socket, self.last) {
            self.seats.remove(before);
        }
        self.seats.seat(self.last, profile);
    }

    /// Takes a socket's seat away; returns its profile if it had one.
    pub(super) fn unseat(&mut self, socket: ConnectionId) -> Option<Profile> {
        let number = self.numbers.remove(&socket)?;
        self.seats.unseat(number)
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }
}

/// Members by number. Each is a socket; the sockets of a user are one entry of a page.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// The sockets by number, which rises with each one that comes.
    sockets: BTreeMap<u64, Seat>,
    /// The users by the number of their first socket since they were last away.
    users: BTreeMap<u64, UserSockets>,
    /// The numbers of users, by what clients tell them apart by.
    user_numbers: HashMap<Arc<str>, u64>,
    version: u64,
}

#[derive(Debug)]
struct Seat {
    profile: Profile,
    user: Arc<str>,
}

impl Seats {
    /// Gives a socket a number that nobody has.
    pub(super) fn seat(&mut self, number: u64, profile: Profile) {
        self.version += 1;
        let user = user_key(&profile);
        let user_number = *self.user_numbers.entry(Arc::clone(&user)).or_insert(number);
        let of_user = self.users.entry(user_number);
        let of_user = of_user.or_insert_with(|| UserSockets::none_of(&profile));
        of_user.sockets += 1;
        of_user.user = profile.clone();
        self.sockets.insert(number, Seat { profile, user });
    }

    /// Takes a seat away; returns its profile if there was one.
    pub(super) fn unseat(&mut self, number: u64) -> Option<Profile> {
        let profile = self.remove(number)?;
        self.version += 1;
        Some(profile)
    }

    fn remove(&mut self, number: u64) -> Option<Profile> {
        let Seat { profile, user } = self.sockets.remove(&number)?;
        if let Some(user_number) = self.user_numbers.get(&user)
            && let Some(of_user) = self.users.get_mut(user_number)
        {
            of_user.sockets -= 1;
            if of_user.sockets == 0 {
                self.users.remove(user_number);
                self.user_numbers.remove(&user);
            }
        }
        Some(profile)
    }

    pub(super) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.sockets.values().map(|seat| &seat.profile)
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// The number of changes so far.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Counts from here on, as others do.
    pub(super) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// The users after a number: so many at most, whose profiles have so many bytes, but at
    /// least one.
    pub(super) fn page(&self, after: u64, count: usize, mut bytes: usize) -> UsersPage {
        let mut users = Vec::new();
        let mut last = after;
        let from = after.saturating_add(1);
        for (number, of_user) in self.users.range(from..) {
            let left = bytes.checked_sub(of_user.user.as_json().len());
            if users.len() == count || (left.is_none() && !users.is_empty()) {
                return UsersPage {
                    users,
                    next: Some(last),
                };
            }
            bytes = left.unwrap_or_default();
            users.push(of_user.clone());
            last = *number;
        }
        UsersPage { users, next: None }
    }
}

/// The part of a profile by which clients tell users apart: its `id`, or all of it.
fn user_key(profile: &Profile) -> Arc<str> {
    #[derive(Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }

    let json = profile.as_json();
    match serde_json::from_str(json) {
        Ok(WithId { id }) => id.get().into(),
        Err(_) => json.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn socket(number: u32) -> ConnectionId {
        format!("0-{number}-0").parse().unwrap()
    }

    fn profile(id: u32) -> Profile {
        Profile::new(&serde_json::json!({ "id": id })).unwrap()
    }

    /// The ids and sockets of a page.
    fn shown(page: &UsersPage) -> Vec<(String, usize)> {
        let shown = page.users.iter();
        shown
            .map(|of_user| (of_user.user.as_json().to_owned(), of_user.sockets))
            .collect()
    }

    #[test]
    fn pages_have_each_user_once_with_the_number_of_its_sockets() {
        let mut seats = LocalSeats::default();
        for (number, user) in [(1, 7), (2, 8), (3, 7), (4, 9)] {
            seats.seat(socket(number), profile(user));
        }
        let first = seats.seats().page(0, 2, 1000);
        let user = |id: u32, sockets| (format!(r#"{{"id":{id}}}"#), sockets);
        assert_eq!(shown(&first), [user(7, 2), user(8, 1)]);
        let second = seats.seats().page(first.next.unwrap(), 2, 1000);
        assert_eq!((shown(&second), second.next), (vec![user(9, 1)], None));
        // Bytes end a page too, but never before the first user.
        assert_eq!(shown(&seats.seats().page(0, 2, 8)), [user(7, 2)]);
        assert_eq!(shown(&seats.seats().page(0, 2, 0)), [user(7, 2)]);
        assert_eq!(shown(&seats.seats().page(u64::MAX, 2, 1000)), []);
        assert_eq!(seats.seats().page(0, 3, 1000).next, None);
    }

    #[test]
    fn a_socket_that_is_seated_again_counts_once() {
        let mut seats = LocalSeats::default();
        seats.seat(socket(1), profile(7));
        seats.seat(socket(1), profile(8));
        assert_eq!((seats.seats().len(), seats.seats().version()), (1, 2));
        assert_eq!(
            shown(&seats.seats().page(0, 9, 1000)),
            [(r#"{"id":8}"#.into(), 1)]
        );
        assert!(seats.unseat(socket(1)).is_some());
        assert!(seats.unseat(socket(1)).is_none());
        assert_eq!((seats.seats().len(), seats.seats().version()), (0, 3));
    }

    proptest! {
        /// A reader that follows what is announced while it reads page by page ends with the
        /// right list; see `Members` in the JavaScript client.
        #[test]
        fn a_list_read_in_pages_is_exact_while_people_come_and_go(
            before in proptest::collection::vec(0_u32..6, 0..20),
            steps in proptest::collection::vec((0_u32..6, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut seats = LocalSeats::default();
            let mut here: Vec<(u32, u32)> = Vec::new();
            for (number, user) in (0..).zip(before) {
                seats.seat(socket(number), profile(user));
                here.push((number, user));
            }
            let mut list: HashMap<u32, usize> = HashMap::new();
            let mut after = Some(0);
            let mut read = |seats: &LocalSeats, list: &mut HashMap<u32, usize>| {
                let Some(from) = after else { return false };
                let page = seats.seats().page(from, 1, 1000);
                for of_user in &page.users {
                    let json: serde_json::Value = serde_json::from_str(of_user.user.as_json()).unwrap();
                    list.insert(json["id"].as_u64().unwrap() as u32, of_user.sockets);
                }
                after = page.next;
                true
            };
            let mut next = 1000;
            for (user, comes, reads) in steps {
                if comes {
                    seats.seat(socket(next), profile(user));
                    here.push((next, user));
                    next += 1;
                    *list.entry(user).or_default() += 1;
                } else if let Some(index) = here.iter().position(|(_, other)| *other == user) {
                    let (number, _) = here.remove(index);
                    seats.unseat(socket(number));
                    let count = list.entry(user).or_default();
                    *count = count.saturating_sub(1);
                }
                if reads {
                    read(&seats, &mut list);
                }
            }
            while read(&seats, &mut list) {}
            for user in 0..6 {
                let sockets = here.iter().filter(|(_, other)| *other == user).count();
                prop_assert_eq!(list.get(&user).copied().unwrap_or_default(), sockets, "{}", user);
            }
        }
    }
}
