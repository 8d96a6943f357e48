//! The posts in a store from before they were a log.

use std::time::Duration;

use nextrush::broker::HistoryQuery;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::topic::PublishError;
use nextrush::{Handle, LiveUpdates};

use super::Post;
use super::kept::POSTS;

/// Each post is the last publication of one of [`POSTS`] channels, to which no client can
/// subscribe; a new post took the channel of the oldest.
#[derive(Clone, Debug)]
pub(crate) struct Records(LiveUpdates);

impl Records {
    pub(crate) fn new(app: &Handle) -> Self {
        let newest = ChannelPolicy::new().history(1, Duration::MAX);
        let channels = ChannelPolicies::new().policy(":id", newest);
        Self(
            LiveUpdates::builder()
                .policies(channels)
                .build(app, "posts"),
        )
    }

    /// The numbers of the channels.
    pub(super) fn places() -> impl Iterator<Item = u64> {
        1..=POSTS as u64
    }

    pub(super) async fn read(&self, place: u64) -> Result<Place, PublishError> {
        let history = self
            .0
            .history(&place.to_string(), HistoryQuery::Latest(1))
            .await?;
        Ok(match history.publications.last() {
            Some(newest) if newest.is_deleted => Place::Deleted,
            Some(newest) => Place::Post(serde_json::from_slice(&newest.data)?),
            None if history.position.offset > 0 => Place::Deleted,
            None => Place::Unused,
        })
    }

    pub(super) async fn delete(&self, place: u64) -> Result<(), PublishError> {
        self.0.purge(&place.to_string()).await.map(drop)
    }

    /// Writes a post as a store of old has it.
    #[cfg(test)]
    pub(super) async fn write(&self, post: &Post) -> Result<(), PublishError> {
        let place = (post.id - 1) % POSTS as u64 + 1;
        let author = &post.author.id;
        self.0.publish_by(author, &place.to_string(), post).await?;
        Ok(())
    }
}

/// The contents of one of the places.
#[derive(Debug)]
pub(super) enum Place {
    Post(Post),
    /// Its author's posts were deleted, or it is in the log.
    Deleted,
    Unused,
}
