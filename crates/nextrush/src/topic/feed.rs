use std::ops::RangeInclusive;
use std::sync::Arc;

use nextrush_broker::{Epoch, Publication, Topic};

use crate::message::Outgoing;
use crate::topic::slow_readers::{Counters, SlowReaders};

/// What the subscribers of a topic get.
pub(crate) trait Feed: Send + Sync {
    /// The message that tells of a publication.
    fn message(&self, topic: &Topic, epoch: Epoch, publication: &Publication) -> Outgoing;

    /// What becomes of subscribers that read too slowly. Asked once for each topic.
    fn slow_readers(&self, topic: &Topic) -> SlowPolicy;

    /// What a subscriber gets that has fallen behind, in place of what it was not sent.
    /// Called while nothing else happens in the topic.
    fn catch_up(&self, topic: &Topic, behind: &Behind<'_>) -> Vec<Outgoing>;
}

/// See [`SlowReaders`].
#[derive(Clone)]
pub(crate) struct SlowPolicy {
    pub(crate) slow_readers: SlowReaders,
    /// What tells the publications apart of which the newest is wanted.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) counters: Arc<Counters>,
}

/// Where a subscriber stands that is given what it was not sent.
pub(crate) struct Behind<'a> {
    pub(crate) epoch: Epoch,
    /// What it will not get.
    pub(crate) lost: Option<RangeInclusive<u64>>,
    /// What it gets now.
    pub(crate) publications: &'a [Arc<Publication>],
    /// The last publication that it was told of, when it has got these messages.
    pub(crate) offset: u64,
    /// It gets what is published from now on. Whatever else was sent to the topic's
    /// subscribers meanwhile it has not got.
    pub(crate) is_last: bool,
}

impl<'a> Behind<'a> {
    /// It will not get any of these, and is live again.
    pub(crate) fn lost(epoch: Epoch, offsets: RangeInclusive<u64>) -> Self {
        Self {
            epoch,
            offset: *offsets.end(),
            lost: Some(offsets),
            publications: &[],
            is_last: true,
        }
    }

    /// It has been told of all publications up to this one, and is live again.
    pub(crate) fn nothing(epoch: Epoch, offset: u64) -> Self {
        Self {
            epoch,
            lost: None,
            publications: &[],
            offset,
            is_last: true,
        }
    }
}
