//! The server's HTTP API, to publish and to look.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::error::Error;

/// The key of the API.
pub(crate) const KEY: &str = "a key for measurements, of 32 bytes and more";

const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the API that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    agent: Agent,
    url: String,
    key: String,
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
            key: KEY.to_owned(),
        }
    }

    /// The API over TLS, of a server whose certificates are of an authority.
    pub(crate) fn over_tls(server: SocketAddr, authority: &Certificate<'static>) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(std::slice::from_ref(authority)))
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .tls_config(tls);
        Self {
            agent: config.build().into(),
            url: format!("https://{server}/api/v1"),
            key: KEY.to_owned(),
        }
    }

    /// The same with another key.
    pub(crate) fn with_key(&self, key: String) -> Self {
        Self {
            key,
            ..self.clone()
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
            .header("Authorization", format!("Bearer {}", self.key))
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

    /// The number of devices in a channel with presence.
    pub(crate) fn devices(&self, channel: &str) -> Result<usize, Error> {
        let all = self.get("presence", &[("channel", channel)])?;
        let members = all["members"].as_array().into_iter().flatten();
        Ok(members
            .filter_map(|member| Some(member["devices"].as_array()?.len()))
            .sum())
    }

    /// A ticket for a user.
    pub(crate) fn ticket(&self, user: usize) -> Result<String, Error> {
        let email = format!("user-{user}@example.com");
        let answer = self.post("ticket", &json!({ "user": { "id": user, "email": email } }))?;
        let ticket = answer["ticket"].as_str();
        let missing = || Error::Broken(format!("no ticket: {answer}"));
        Ok(ticket.ok_or_else(missing)?.to_owned())
    }

    /// Revokes the tokens that a user has, and returns how many of its sockets were closed.
    pub(crate) fn revoke(&self, user: usize) -> Result<u64, Error> {
        let answer = self.post("revoke", &json!({ "user": user }))?;
        Ok(answer["disconnected"].as_u64().unwrap_or(0))
    }

    fn post(&self, what: &str, body: &Value) -> Result<Value, Error> {
        let mut response = self
            .agent
            .post(format!("{}/{what}", self.url))
            .header("Authorization", format!("Bearer {}", self.key))
            .send_json(body)?;
        Ok(response.body_mut().read_json()?)
    }

    fn get(&self, what: &str, query: &[(&str, &str)]) -> Result<Value, Error> {
        let request = self
            .agent
            .get(format!("{}/{what}", self.url))
            .header("Authorization", format!("Bearer {}", self.key))
            .query_pairs(query.iter().copied());
        Ok(request.call()?.body_mut().read_json()?)
    }
}
