//! The newest posts, as the log says.

use std::collections::{BTreeMap, HashMap};

use nextrush::UserId;
use nextrush::broker::Publication;

use super::Post;
use super::entry::{Entry, What};

/// The highest number of posts; the oldest go.
pub(super) const POSTS: usize = 10_000;
/// The number of entries that the log remembers.
pub(super) const ENTRIES: u64 = 20_000;
/// The number of entries after which a post that has not changed is published again. With as many
/// posts as there may be, these are two for each change.
const FRESH: u64 = 15_000;

/// The posts by id, each with its place in the log.
#[derive(Debug, Default)]
pub(super) struct Kept {
    posts: BTreeMap<u64, Placed>,
    /// The ids by the offsets of the posts' last entries.
    places: BTreeMap<u64, u64>,
    /// The number of posts of each author.
    counts: HashMap<UserId, usize>,
    /// The number by which ids are higher than offsets.
    plus: u64,
    /// The highest id of a post that made room for others.
    floor: u64,
    /// The highest id that was given, also in a log that was lost since: it is not given again.
    spent: u64,
    /// The offset of the last entry that was applied.
    pub(super) top: u64,
}

#[derive(Debug)]
struct Placed {
    post: Post,
    /// The offset of the last entry of the post.
    place: u64,
}

impl Kept {
    /// Applies an entry of the log. They come in the order of their offsets, from any of them on.
    pub(super) fn apply(&mut self, publication: &Publication) {
        let offset = publication.offset;
        self.top = offset;
        self.spend();
        if publication.is_deleted {
            return;
        }
        let entry = match serde_json::from_slice::<Entry>(&publication.data) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::debug!(%error, offset, "an entry of the posts was left out");
                return;
            }
        };
        self.raise(entry.plus);
        self.spend();
        let (post, is_newer): (Post, fn(u64, u64) -> bool) = match entry.what {
            What::Created(draft) => (draft.into_post(offset + self.plus), |new, now| new > now),
            What::Changed { post } => (post, |new, now| new > now),
            What::Kept { post } => (post, |new, now| new >= now),
        };
        let before = self.posts.get(&post.id);
        if post.id > self.floor
            && before.is_none_or(|before| is_newer(post.version, before.post.version))
        {
            self.insert(post, offset);
        }
        self.make_room(entry.floor);
    }

    /// Makes ids higher than offsets by this much at least.
    pub(super) fn raise(&mut self, plus: u64) {
        self.plus = self.plus.max(plus);
    }

    fn spend(&mut self) {
        self.spent = self.spent.max(self.id_of(self.top));
    }

    /// Takes the place of posts whose log may have lost entries.
    pub(super) fn follow(&mut self, before: &Self) {
        self.spent = self.spent.max(before.spent);
    }

    fn insert(&mut self, post: Post, place: u64) {
        let id = post.id;
        let author = post.author.id.clone();
        match self.posts.insert(id, Placed { post, place }) {
            Some(before) => {
                self.places.remove(&before.place);
            }
            None => *self.counts.entry(author).or_default() += 1,
        }
        self.places.insert(place, id);
    }

    /// Removes the oldest posts: those up to an id, and as many as are too many.
    fn make_room(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while let Some((&id, _)) = self.posts.first_key_value()
            && (id <= self.floor || self.posts.len() > POSTS)
        {
            self.floor = self.floor.max(id);
            self.remove(id);
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(Placed { post, place }) = self.posts.remove(&id) else {
            return;
        };
        self.places.remove(&place);
        let count = self.counts.get_mut(&post.author.id);
        if let Some(count) = count.filter(|count| **count > 1) {
            *count -= 1;
        } else {
            self.counts.remove(&post.author.id);
        }
    }

    /// Removes the posts whose last entries were deleted.
    pub(super) fn forget(&mut self, offsets: &[u64]) {
        for offset in offsets {
            if let Some(id) = self.places.get(offset).copied() {
                self.remove(id);
            }
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Post> {
        self.posts.get(&id).map(|placed| &placed.post)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Post> {
        self.posts.values().rev().map(|placed| &placed.post)
    }

    pub(super) fn count_of(&self, author: &UserId) -> usize {
        self.counts.get(author).copied().unwrap_or_default()
    }

    /// The entry that says this.
    pub(super) fn entry(&self, what: What) -> Entry {
        // The oldest makes room for a new one. A node that reads the log later may not see that
        // they were too many, as posts are deleted.
        let oldest = match what {
            What::Created(_) if self.posts.len() >= POSTS => self.posts.first_key_value(),
            _ => None,
        };
        Entry {
            plus: self.plus.max(self.spent.saturating_sub(self.top)),
            floor: oldest.map_or(self.floor, |(id, _)| *id),
            what,
        }
    }

    /// The id of the post that the entry with this offset creates.
    pub(super) fn id_of(&self, offset: u64) -> u64 {
        offset + self.plus
    }

    /// The first `most` of the posts that the log would forget soon.
    pub(super) fn falling(&self, most: usize) -> Vec<Post> {
        let edge = self.top.saturating_sub(FRESH);
        self.places
            .range(..=edge)
            .filter_map(|(_, id)| self.get(*id).cloned())
            .take(most)
            .collect()
    }
}

#[cfg(test)]
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.newest_first().eq(other.newest_first())
            && (&self.counts, self.plus, self.floor) == (&other.counts, other.plus, other.floor)
    }
}

#[cfg(test)]
mod tests {
    use nextrush::User;
    use nextrush::message::Timestamp;

    use super::super::entry::Draft;
    use super::*;

    fn created(author: u32) -> What {
        What::Created(Draft {
            title: "a".into(),
            body: String::new(),
            author: User::new(author, "ada@example.com"),
            created_at: Timestamp::from_unix_ms(0),
        })
    }

    fn changed(kept: &Kept, id: u64, title: &str) -> What {
        let mut post = kept.get(id).unwrap().clone();
        post.title = title.to_owned();
        post.version += 1;
        What::Changed { post }
    }

    /// A log that forgets, and the posts that it says.
    #[derive(Default)]
    struct Log {
        entries: Vec<Publication>,
        kept: Kept,
    }

    impl Log {
        fn publish(&mut self, what: What) {
            let data = serde_json::to_vec(&self.kept.entry(what)).unwrap();
            let offset = self.entries.len() as u64 + 1;
            let publication = Publication::new(offset, 0, data);
            self.kept.apply(&publication);
            self.entries.push(publication);
        }

        /// The posts of a node that has just begun.
        fn read(&self) -> Kept {
            let mut kept = Kept::default();
            let forgotten = self.entries.len().saturating_sub(ENTRIES as usize);
            for entry in &self.entries[forgotten..] {
                kept.apply(entry);
            }
            kept
        }
    }

    #[test]
    fn of_two_changes_of_one_version_the_first_counts() {
        let mut log = Log::default();
        log.publish(created(1));
        let (first, second) = (
            changed(&log.kept, 1, "first"),
            changed(&log.kept, 1, "second"),
        );
        log.publish(first);
        log.publish(second);
        assert_eq!(log.kept.get(1).unwrap().title, "first");
        assert_eq!(log.read(), log.kept);
    }

    #[test]
    fn a_post_that_nobody_changes_outlives_what_the_log_remembers() {
        let mut log = Log::default();
        // As many posts as there may be, next to each other: all have to be published again at
        // about the same time.
        for author in 0..POSTS {
            log.publish(created(u32::try_from(author % 20).unwrap()));
        }
        let newest = POSTS as u64;
        for round in 0..60_000 {
            let change = changed(&log.kept, newest, &round.to_string());
            log.publish(change);
            for post in log.kept.falling(super::super::log::KEPT_AT_ONCE) {
                log.publish(What::Kept { post });
            }
            if round % 1_000 == 0 {
                assert!(log.read() == log.kept, "round {round}");
            }
        }
        assert_eq!(log.kept.posts.len(), POSTS);
        assert_eq!(log.kept.get(1).unwrap().version, 1);
        // Two are published again for each change, as two of three entries are the last of a post.
        assert!(log.entries.len() < POSTS + 190_000, "{}", log.entries.len());
    }

    #[test]
    fn deleted_posts_make_no_room_for_those_that_went_before() {
        let mut log = Log::default();
        for author in 0..=POSTS {
            log.publish(created(u32::try_from(author % 2).unwrap()));
        }
        assert!(log.kept.get(1).is_none() && log.kept.get(2).is_some());
        let of_one: Vec<u64> = (1..=POSTS as u64 + 1).filter(|id| id % 2 == 0).collect();
        for offset in &of_one {
            let entry = &mut log.entries[usize::try_from(*offset).unwrap() - 1];
            *entry = entry.deleted();
        }
        log.kept.forget(&of_one);
        assert_eq!(log.kept.count_of(&User::new(1, "").id), 0);
        assert!(log.read() == log.kept);
    }
}
