//! Conditions under which something is published.

use nextrush_broker::{CommandKey, Fingerprint, Published};
use serde::Serialize;

use super::LiveUpdates;
use super::payload::to_stored;
use crate::topic::{PublishError, Terms};

/// Conditions under which [`LiveUpdates::publish_with`] publishes. By default there are none.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PublishOptions {
    once: Option<CommandKey>,
    version: Option<u64>,
    key: Option<CommandKey>,
}

impl PublishOptions {
    /// Options without any condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes once for each key, as [`LiveUpdates::publish_once`] does.
    pub fn once(self, key: CommandKey) -> Self {
        let once = Some(key);
        Self { once, ..self }
    }

    /// Publishes unless there is a publication of the same or a higher version, as
    /// [`LiveUpdates::publish_version`] does.
    pub fn version(self, version: u64) -> Self {
        let version = Some(version);
        Self { version, ..self }
    }

    /// Sets of which of many things in the channel the version is, such as an article or a row.
    /// Default: what the [key](crate::live::ChannelPolicy::key) of the channel's policy finds in the
    /// data, or else the whole channel. Without a version it says nothing.
    pub fn key(self, key: CommandKey) -> Self {
        let key = Some(key);
        Self { key, ..self }
    }
}

impl LiveUpdates {
    /// Publishes as [`publish`](Self::publish) does, if the options allow it.
    /// [`Published::is_repeat`] and [`Published::is_outdated`] say that nothing was published.
    ///
    /// ```
    /// # async fn example(live: nextrush::LiveUpdates) -> Result<(), nextrush::BoxError> {
    /// use nextrush::broker::CommandKey;
    /// use nextrush::live::PublishOptions;
    ///
    /// let price = serde_json::json!({ "article": "a-1", "price": 950 });
    /// let options = PublishOptions::new()
    ///     .version(7)
    ///     .key(CommandKey::try_from("a-1")?);
    /// live.publish_with("prices", &price, options).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish_once`](Self::publish_once).
    pub async fn publish_with<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        data: &T,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        self.publish_stored(channel, serde_json::to_vec(data)?, options)
            .await
    }

    /// Publishes bytes as [`publish_bytes`](Self::publish_bytes) does, if the options allow it.
    ///
    /// # Errors
    ///
    /// Fails, and publishes nothing, when the name is invalid or the broker fails; with
    /// [`BrokerError::Reused`](crate::broker::BrokerError::Reused) where other data was published with
    /// the key.
    pub async fn publish_bytes_with(
        &self,
        channel: &str,
        bytes: impl AsRef<[u8]>,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        self.publish_stored(channel, to_stored(bytes.as_ref()), options)
            .await
    }

    async fn publish_stored(
        &self,
        channel: &str,
        data: Vec<u8>,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        let topic = self.topic(channel)?;
        let mut terms = match options.once {
            Some(key) => Terms::once(key, Fingerprint::of(&data)),
            None => Terms::default(),
        };
        if let Some(version) = options.version {
            let key = options.key.or_else(|| self.version_key(channel, &data));
            terms = terms.version(version, key);
        }
        topic.publish_data(data, terms).await
    }
}
