//! The hooks that are asked about channels.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextrush::live::{Accepted, ChannelPolicy, Encoding, PublishContext, SubscribeContext};
use nextrush::message::CommandId;
use nextrush::{ErrorMessage, Socket, User};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Hooks;
use super::backend::Backend;
use crate::claims::Claims;

/// The hooks that a kind of channels has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct HookedChannels {
    /// Each attempt to subscribe.
    pub(crate) subscribe: bool,
    /// The state that new subscribers get.
    pub(crate) state: bool,
    /// Each publication of a client.
    pub(crate) publish: bool,
}

/// The client that wants something.
#[derive(Serialize)]
pub(super) struct Asking<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a User>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared")]
    claims: Option<Arc<Value>>,
    socket: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

fn shared<S: Serializer>(claims: &Option<Arc<Value>>, serializer: S) -> Result<S::Ok, S::Error> {
    claims.as_deref().serialize(serializer)
}

impl<'a> Asking<'a> {
    pub(super) fn new(socket: &Socket, user: Option<&'a User>) -> Self {
        Self {
            user,
            claims: socket.data::<Claims>().map(|claims| claims.all),
            socket: socket.id().to_string(),
            address: socket.address(),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Call<'a> {
    Subscribe {
        channel: &'a str,
        #[serde(flatten)]
        client: Asking<'a>,
    },
    State {
        channel: &'a str,
        #[serde(flatten)]
        client: Asking<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "publish")]
struct Publication<'a> {
    channel: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a CommandId>,
    #[serde(flatten)]
    client: Asking<'a>,
}

/// The consent of a backend.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    data: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    encoding: Option<Encoding>,
    version: Option<u64>,
}

/// Reads a field that is there, whose `null` is a value like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

impl Hooks {
    /// Asks whether a client may subscribe.
    ///
    /// # Errors
    ///
    /// The refusal, as the client is told it.
    pub(crate) async fn may_subscribe(
        &self,
        context: &SubscribeContext,
    ) -> Result<(), ErrorMessage> {
        let call = Call::Subscribe {
            channel: context.channel.name(),
            client: Asking::new(&context.socket, context.user.as_ref()),
        };
        let Consent {} = asked(self.subscribe.as_deref(), &call).await?;
        Ok(())
    }

    /// The policy with the hooks that its channels have.
    pub(crate) fn policy(&self, policy: ChannelPolicy, hooked: HookedChannels) -> ChannelPolicy {
        let mut policy = policy;
        if hooked.state {
            let hooks = self.clone();
            policy = policy.on_subscribe(async move |context: SubscribeContext| {
                let call = Call::State {
                    channel: context.channel.name(),
                    client: Asking::new(&context.socket, context.user.as_ref()),
                };
                let State { data } = asked(hooks.subscribe.as_deref(), &call).await?;
                Ok::<_, ErrorMessage>(data)
            });
        }
        if hooked.publish {
            let hooks = self.clone();
            policy = policy.on_publish(async move |context: PublishContext| {
                let call = Publication {
                    channel: context.channel.name(),
                    data: &context.data,
                    encoding: context.bytes.as_ref().map(|_| Encoding::Base64),
                    id: context.id.as_ref(),
                    client: Asking::new(&context.socket, context.user.as_ref()),
                };
                let decided: Decided = asked(hooks.publish.as_deref(), &call).await?;
                decided.into_accepted()
            });
        }
        policy
    }
}

impl Decided {
    fn into_accepted(self) -> Result<Accepted, ErrorMessage> {
        let accepted = match (self.data, self.encoding) {
            (None, None) => Some(Accepted::new()),
            (Some(data), None) => Accepted::data(&data).ok(),
            (Some(data), Some(_)) => serde_json::from_str::<String>(data.get())
                .ok()
                .and_then(|text| STANDARD.decode(text).ok())
                .map(Accepted::bytes),
            (None, Some(_)) => None,
        };
        let Some(accepted) = accepted else {
            tracing::error!("a backend answered with bytes that are no text in base64");
            return Err(nextrush::ErrorCode::Internal.into());
        };
        Ok(accepted.version(self.version.unwrap_or_default()))
    }
}

async fn asked<T: serde::de::DeserializeOwned>(
    backend: Option<&Backend>,
    call: &(impl Serialize + Sync),
) -> Result<T, ErrorMessage> {
    // The configuration is refused in which a channel has a hook without an address.
    let Some(backend) = backend else {
        return Err(nextrush::ErrorCode::Unavailable.into());
    };
    match backend.ask(call).await {
        Ok(answer) => answer,
        Err(failure) => Err(failure.to_refusal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(answer: &str) -> Result<Decided, serde_json::Error> {
        serde_json::from_str(answer)
    }

    #[test]
    fn data_that_is_null_takes_the_place_of_what_came() {
        let data = |answer| decided(answer).unwrap().data;
        assert!(data("{}").is_none());
        assert_eq!(data(r#"{"data":null}"#).unwrap().get(), "null");
        assert!(decided(r#"{"dta":1}"#).is_err());
    }

    #[test]
    fn bytes_of_a_backend_are_a_text_in_base64() {
        let accepted = |answer| decided(answer).unwrap().into_accepted();
        assert!(accepted(r#"{"data":"aGk=","encoding":"base64"}"#).is_ok());
        for wrong in [
            r#"{"data":"aGk","encoding":"base64"}"#,
            r#"{"data":7,"encoding":"base64"}"#,
            r#"{"encoding":"base64"}"#,
        ] {
            assert!(accepted(wrong).is_err(), "{wrong}");
        }
    }
}
