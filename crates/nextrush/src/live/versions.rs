//! Publications that are dropped when they come late.

use nextrush_broker::{CommandKey, Fingerprint, Published};
use serde::Serialize;

use super::LiveUpdates;
use crate::topic::{PublishError, Terms, key_of};

impl LiveUpdates {
    /// Publishes as [`publish`](Self::publish) does, unless the channel has a publication of the same
    /// or a higher version: a number from 1 that rises with each commit of what `data` says, such as
    /// a column that the database counts up. Where the channel's policy has a
    /// [key](crate::live::ChannelPolicy::key), the versions are those of each key.
    ///
    /// Writers that commit one after the other may come to publish in another order. With versions
    /// subscribers end with what was committed last. [`Published::is_outdated`] says that nothing was
    /// published, as `position` has something newer. A version is remembered for 24 hours.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_version<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        data: &T,
        version: u64,
    ) -> Result<Published, PublishError> {
        let topic = self.topic(channel)?;
        let data = serde_json::to_vec(data)?;
        let terms = Terms::default().version(version, self.version_key(channel, &data));
        topic.publish_data(data, terms).await
    }

    /// The part of a channel whose version that of `data` is.
    pub(super) fn version_key(&self, channel: &str, data: &[u8]) -> Option<CommandKey> {
        let pointer = self.live().policies.key(channel)?;
        key_of(data, pointer).map(|key| command_key(&key))
    }
}

/// A key that stands for a text of any length.
fn command_key(text: &str) -> CommandKey {
    CommandKey::try_from(text).unwrap_or_else(|_| {
        let fingerprint = u64::from_be_bytes(Fingerprint::of(text.as_bytes()).to_bytes());
        let begin: String = text.chars().take(CommandKey::MAX_BYTES / 8).collect();
        let key = format!("{begin} {fingerprint:016x}");
        CommandKey::try_from(&*key).expect("the key is within its length")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_told_apart_by_what_follows_the_part_that_fits() {
        let [one, other] = ["1", "2"].map(|end| command_key(&("é".repeat(2000) + end)));
        assert_ne!(one, other);
        assert_eq!(command_key("\"A\"").as_str(), "\"A\"");
    }
}
