//! Backups of a broker's store.

/// A backup that was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backup {
    /// The number of topics in it.
    pub topics: u64,
    /// The number of publications in it.
    pub publications: u64,
    /// The bytes of its files.
    pub bytes: u64,
}

impl Backup {
    /// A backup of so many topics, publications and bytes. For implementers of brokers.
    #[must_use]
    pub const fn new(topics: u64, publications: u64, bytes: u64) -> Self {
        Self {
            topics,
            publications,
            bytes,
        }
    }
}
