//! The claims of a client.

use std::sync::Arc;

use nextrush::User;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// The claims of a client's token: the user, and everything else that the token says.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) user: User,
    pub(crate) all: Arc<Value>,
    /// The channels that a backend subscribes the client to.
    pub(crate) channels: Arc<[String]>,
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Value::deserialize(deserializer)?;
        let user = User::deserialize(&all).map_err(Error::custom)?;
        let all = Arc::new(all);
        let channels = Arc::default();
        Ok(Self {
            user,
            all,
            channels,
        })
    }
}
