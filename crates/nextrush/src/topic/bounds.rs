//! Slices of publications that are bounded in bytes.

use std::sync::Arc;

use nextrush_broker::Publication;

/// The first publications, of no more than so many bytes but at least one.
pub(super) fn first_bytes(
    publications: &[Arc<Publication>],
    mut bytes: usize,
) -> &[Arc<Publication>] {
    let fits = |publication: &&Arc<Publication>| {
        let left = bytes.checked_sub(weight(publication));
        bytes = left.unwrap_or_default();
        left.is_some()
    };
    let count = publications.iter().take_while(fits).count();
    &publications[..count.max(1).min(publications.len())]
}

/// The newest publications: at most so many, and of no more than so many bytes of data.
#[must_use]
pub fn newest_within(
    publications: &[Arc<Publication>],
    count: usize,
    bytes: usize,
) -> &[Arc<Publication>] {
    let mut left = bytes;
    let fits = |publication: &&Arc<Publication>| {
        let after = left.checked_sub(publication.data.len());
        left = after.unwrap_or_default();
        after.is_some()
    };
    let count = publications
        .iter()
        .rev()
        .take(count)
        .take_while(fits)
        .count();
    &publications[publications.len() - count..]
}

/// About what a publication takes on the wire, in bytes.
pub(super) fn weight(publication: &Publication) -> usize {
    const AROUND: usize = 400;
    publication.data.len() + AROUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_history_has_so_many_bytes_or_one_publication() {
        let publication = |offset| Arc::new(Publication::new(offset, 0, vec![0; 10]));
        let all: Vec<_> = (1..=5).map(publication).collect();
        for (bytes, count) in [(0, 1), (409, 1), (410, 1), (829, 2), (2050, 5), (9999, 5)] {
            assert_eq!(first_bytes(&all, bytes).len(), count, "{bytes}");
        }
        assert!(first_bytes(&[], 10).is_empty());
    }
}
