//! Deletions: which publications of a topic are to go.

use crate::owner::Owner;
use crate::publication::Publication;

/// The publications of a topic that are to be [deleted](crate::Broker::delete), of those that it
/// remembers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a broker has to carry out every deletion"
)]
pub enum Deletion {
    /// All.
    All,
    /// The publications with these offsets.
    Offsets(Vec<u64>),
    /// The publications of an owner.
    By(Owner),
    /// The publications without an owner.
    Unowned,
}

impl Deletion {
    /// Returns `true` for a publication that is to go and is not deleted yet.
    #[must_use]
    pub fn covers(&self, publication: &Publication) -> bool {
        let is_meant = match self {
            Self::All => true,
            Self::Offsets(offsets) => offsets.contains(&publication.offset),
            Self::By(owner) => publication.owner.as_ref() == Some(owner),
            Self::Unowned => publication.owner.is_none(),
        };
        is_meant && !publication.is_deleted
    }
}
