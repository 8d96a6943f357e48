//! The outcome of a hook that sees what clients publish.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::payload::{Encoding, encode};
use crate::message::ErrorMessage;

/// A client's publication that a [hook](super::ChannelPolicy::on_publish) has accepted.
///
/// ```
/// use nextrush::live::Accepted;
/// use serde_json::json;
///
/// // As it came, but not after a newer one.
/// let accepted = Accepted::new().version(7);
/// // Something else in its place.
/// let accepted = Accepted::data(&json!({ "text": "hello", "id": 12 }))?.version(12);
/// # drop(accepted);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    pub(super) data: Option<Box<RawValue>>,
    /// The encoding of that data, if it is bytes.
    pub(super) encoding: Option<Encoding>,
    pub(super) version: Option<u64>,
}

impl Accepted {
    /// Publishes the data as it came.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes other data instead.
    ///
    /// # Errors
    ///
    /// Fails when `data` cannot be written as JSON.
    pub fn data<T: Serialize + ?Sized>(data: &T) -> Result<Self, serde_json::Error> {
        Ok(Self {
            data: Some(to_raw_value(data)?),
            ..Self::default()
        })
    }

    /// Publishes bytes instead.
    #[must_use]
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self {
            data: Some(encode(bytes.as_ref())),
            encoding: Some(Encoding::Base64),
            version: None,
        }
    }

    /// Sets the version, as that of [`publish_version`](crate::LiveUpdates::publish_version): what
    /// is older than the newest is dropped. 0 is no version.
    #[must_use]
    pub fn version(self, version: u64) -> Self {
        let version = (version > 0).then_some(version);
        Self { version, ..self }
    }
}

/// A result of a [hook](super::ChannelPolicy::on_publish) that accepts: `()` publishes the data as
/// it came, a [`Value`] itself instead, and [`Accepted`] what it says.
pub trait IntoAccepted {
    /// The publication.
    fn into_accepted(self) -> Accepted;
}

impl IntoAccepted for () {
    fn into_accepted(self) -> Accepted {
        Accepted::new()
    }
}

impl IntoAccepted for Accepted {
    fn into_accepted(self) -> Accepted {
        self
    }
}

impl IntoAccepted for Value {
    fn into_accepted(self) -> Accepted {
        let data = to_raw_value(&self).expect("a value has string keys only");
        Accepted {
            data: Some(data),
            ..Accepted::default()
        }
    }
}

/// The decision of a hook about a publication with an id, as it is remembered for repeats.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Decision {
    Accepted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<Box<RawValue>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoding: Option<Encoding>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    Refused(ErrorMessage),
}
