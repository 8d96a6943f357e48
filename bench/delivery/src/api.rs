//! The server's HTTP API, to publish and to look.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;

use crate::error::Error;

/// The key of the API.
pub(crate) const KEY: &str = "a key for measurements, of 32 bytes and more";

const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the API that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    agent: Agent,
    url: String,
}

/// The position of a publication in its channel or room.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

impl Api {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let config = Agent::config_builder().timeout_global(Some(PATIENCE));
        Self {
            agent: config.build().into(),
            url: format!("http://{server}/api/v1"),
        }
    }

    /// Publishes; a repeat with the same key has no effect.
    pub(crate) fn publish(
        &self,
        channel: &str,
        data: &impl Serialize,
        key: &str,
    ) -> Result<Position, Error> {
        let mut response = self
            .agent
            .post(format!("{}/publish", self.url))
            .header("Authorization", format!("Bearer {KEY}"))
            .header("Idempotency-Key", key)
            .send_json(json!({ "channel": channel, "data": data }))?;
        Ok(response.body_mut().read_json()?)
    }

    /// The number of subscriptions to all channels.
    pub(crate) fn subscriptions(&self) -> Result<u64, Error> {
        let all = self.get("channels", &[])?;
        let channels = all["channels"].as_array().into_iter().flatten();
        Ok(channels
            .filter_map(|channel| channel["subscribers"].as_u64())
            .sum())
    }

    fn get(&self, what: &str, query: &[(&str, &str)]) -> Result<Value, Error> {
        let request = self
            .agent
            .get(format!("{}/{what}", self.url))
            .header("Authorization", format!("Bearer {KEY}"))
            .query_pairs(query.iter().copied());
        Ok(request.call()?.body_mut().read_json()?)
    }
}
