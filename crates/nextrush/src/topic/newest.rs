//! The newest publication of each key.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use nextrush_broker::Publication;
use nextrush_protocol::Frame;
use serde_json::Value;

/// The number of keys whose newest publications are kept.
const KEYS: usize = 1000;

/// The newest publication of each key.
#[derive(Default)]
pub(super) struct Newest {
    by_offset: BTreeMap<u64, (Option<String>, Frame)>,
    offsets: HashMap<Option<String>, u64>,
}

impl Newest {
    pub(super) fn add(&mut self, key: Option<String>, offset: u64, frame: Frame) {
        if let Some(before) = self.offsets.insert(key.clone(), offset) {
            self.by_offset.remove(&before);
        }
        self.by_offset.insert(offset, (key, frame));
        if self.by_offset.len() > KEYS
            && let Some((_, (oldest, _))) = self.by_offset.pop_first()
        {
            self.offsets.remove(&oldest);
        }
    }

    /// Lets go of a publication that was deleted.
    pub(super) fn forget(&mut self, offset: u64) {
        if let Some((key, _)) = self.by_offset.remove(&offset) {
            self.offsets.remove(&key);
        }
    }

    pub(super) fn since(&self, first: u64) -> impl Iterator<Item = (u64, &Frame)> {
        let since = self.by_offset.range(first..);
        since.map(|(offset, (_, frame))| (*offset, frame))
    }
}

/// The key of a publication: the value that the JSON pointer leads to. Where it leads nowhere
/// there is none, and all such publications share one place.
pub(crate) fn key_of(data: &[u8], pointer: &str) -> Option<String> {
    let data: Value = serde_json::from_slice(data).ok()?;
    data.pointer(pointer).map(Value::to_string)
}

/// The newest publication of a history, or of each key that a JSON pointer (RFC 6901) leads
/// to, oldest first; no more than so many bytes of data.
#[must_use]
pub fn newest_by_key(
    publications: &[Arc<Publication>],
    pointer: Option<&str>,
    bytes: usize,
) -> Vec<Arc<Publication>> {
    let mut keys = HashSet::new();
    let mut left = bytes;
    let mut newest: Vec<_> = publications
        .iter()
        .rev()
        .filter(|publication| !publication.is_deleted)
        .filter(|publication| {
            keys.insert(pointer.map(|pointer| key_of(&publication.data, pointer)))
        })
        .take_while(|publication| {
            let after = left.checked_sub(publication.data.len());
            left = after.unwrap_or_default();
            after.is_some()
        })
        .cloned()
        .collect();
    newest.reverse();
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(newest: &Newest, first: u64) -> Vec<u64> {
        newest.since(first).map(|(offset, _)| offset).collect()
    }

    #[test]
    fn of_each_key_the_newest_is_kept_in_the_order_of_their_offsets() {
        let mut newest = Newest::default();
        let keys = ["a", "b", "a", "c", "b"];
        for (offset, key) in (1..).zip(keys) {
            newest.add(Some(key.to_owned()), offset, Frame::text(key));
        }
        assert_eq!(offsets(&newest, 1), [3, 4, 5]);
        assert_eq!(offsets(&newest, 4), [4, 5]);
        newest.add(None, 6, Frame::text("x"));
        newest.add(None, 7, Frame::text("x"));
        assert_eq!(offsets(&newest, 1), [3, 4, 5, 7]);
    }

    #[test]
    fn what_was_deleted_is_not_the_newest() {
        let mut newest = Newest::default();
        newest.add(Some("a".to_owned()), 1, Frame::text("x"));
        newest.add(Some("b".to_owned()), 2, Frame::text("x"));
        newest.forget(1);
        assert_eq!(offsets(&newest, 1), [2]);
        newest.add(Some("a".to_owned()), 3, Frame::text("x"));
        assert_eq!(offsets(&newest, 1), [2, 3]);
        let deleted = |offset| Arc::new(Publication::new(offset, 0, "").deleted());
        let all = [Arc::new(Publication::new(1, 0, "1")), deleted(2)];
        assert_eq!(newest_by_key(&all, None, 100), all[..1]);
    }

    #[test]
    fn the_keys_are_bounded_and_the_oldest_goes() {
        let mut newest = Newest::default();
        for offset in 1..=KEYS as u64 + 10 {
            newest.add(Some(offset.to_string()), offset, Frame::text("x"));
        }
        assert_eq!(offsets(&newest, 1).len(), KEYS);
        assert_eq!(offsets(&newest, 1)[0], 11);
        assert_eq!(newest.offsets.len(), KEYS);
    }

    #[test]
    fn a_key_is_what_the_pointer_leads_to() {
        let data = br#"{"symbol":"A","deep":{"id":7}}"#;
        assert_eq!(key_of(data, "/symbol").as_deref(), Some("\"A\""));
        assert_eq!(key_of(data, "/deep/id").as_deref(), Some("7"));
        assert_eq!(key_of(data, "/none"), None);
        assert_eq!(key_of(b"no json", "/symbol"), None);
    }
}
