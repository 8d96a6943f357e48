//! The hook that says who a client is that connects.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::request::Parts;
use nextrush::auth::{Authenticate, token};
use nextrush::room::JoinError;
use nextrush::topic::SubscribeError;
use nextrush::{
    AuthRejection, Authenticated, CloseCode, ErrorCode, ErrorMessage, Jwt, LiveUpdates, Socket,
    User,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Connect;
use crate::claims::Claims;

/// The most channels that a client is subscribed to: those of a socket.
const CHANNELS: usize = 100;
/// The parameters of an address that are tokens.
const TOKENS: [&str; 2] = ["token", "ticket"];

#[derive(Serialize)]
#[serde(tag = "type", rename = "connect")]
struct Call<'a> {
    path: &'a str,
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

/// The client, as the backend knows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    user: User,
    #[serde(default)]
    claims: Map<String, Value>,
    /// The end, in seconds since 1970.
    expires: Option<u64>,
    session: Option<String>,
    #[serde(default)]
    channels: Vec<String>,
}

/// A client with a token is checked by its key. One without is known by the backend.
impl Authenticate<Claims> for Connect {
    async fn authenticate(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<Claims>>, AuthRejection> {
        let mut passed = None;
        if self.passes_tokens {
            passed = token(request)?;
        } else if let Some(jwt) = request.extensions.get::<Jwt>()
            && let Some(known) = Authenticate::<Claims>::authenticate(jwt, request).await?
        {
            return Ok(Some(known));
        }
        let call = self.call(request, passed.as_deref());
        let answer = self.backend.ask::<Known>(&call).await;
        match answer {
            Ok(Ok(known)) => known.into_authenticated().map(Some),
            Ok(Err(refusal)) => Err(AuthRejection::Told(refusal)),
            Err(failure) => Err(AuthRejection::Told(failure.to_refusal())),
        }
    }
}

impl Authenticate<User> for Connect {
    async fn authenticate(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<User>>, AuthRejection> {
        let known = Authenticate::<Claims>::authenticate(self, request).await?;
        Ok(known.map(|known| known.map(|claims| claims.user)))
    }
}

impl Connect {
    /// The time in which a client is known or refused.
    pub(crate) fn timeout(&self) -> Duration {
        self.backend.timeout()
    }

    fn call<'a>(&'a self, request: &'a Parts, token: Option<&'a str>) -> Call<'a> {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
        let pairs = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
        let pairs = pairs.filter(|(name, _)| !TOKENS.contains(&&**name));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let mut headers = BTreeMap::new();
        for name in &*self.headers {
            let values = request.headers.get_all(name).iter();
            let values: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            // As one line would have them (RFC 9110 §5.3, RFC 6265 §5.4).
            let between = if name == http::header::COOKIE {
                "; "
            } else {
                ", "
            };
            if !values.is_empty() {
                headers.insert(name.as_str(), values.join(between));
            }
        }
        Call {
            path: request.uri.path(),
            query,
            address: peer.map(|ConnectInfo(peer)| peer.ip()),
            headers,
            token,
        }
    }
}

impl Known {
    fn into_authenticated(self) -> Result<Authenticated<Claims>, AuthRejection> {
        let Self {
            user,
            mut claims,
            expires,
            session,
            channels,
        } = self;
        if channels.len() > CHANNELS {
            tracing::error!(
                channels = channels.len(),
                "a backend wants a client in more than {CHANNELS} channels"
            );
            return Err(AuthRejection::Told(ErrorCode::Internal.into()));
        }
        claims.insert("id".to_owned(), serde_json::json!(user.id));
        claims.insert("email".to_owned(), Value::from(user.email.as_str()));
        let claims = Claims {
            user,
            all: Arc::new(Value::Object(claims)),
            channels: channels.into(),
        };
        let known = Authenticated::new(claims, expires);
        Ok(match session {
            Some(session) => known.session(session),
            None => known,
        })
    }
}

/// Subscribes a client that has just connected to the channels that its backend has named.
pub(crate) fn join(live: &LiveUpdates, socket: &Socket, channels: Arc<[String]>) {
    if channels.is_empty() {
        return;
    }
    let (live, socket) = (live.clone(), socket.clone());
    tokio::spawn(async move {
        for channel in &*channels {
            match live.join(channel, &socket).await {
                Ok(_) => {}
                Err(SubscribeError::Join(JoinError::Closed)) => return,
                Err(error @ (SubscribeError::Broker(_) | SubscribeError::Refused(_))) => {
                    // Its client does not know of the channel, and comes back.
                    tracing::warn!(channel, %error, "a client is not in a channel of its backend");
                    let refusal = ErrorMessage::new(ErrorCode::Unavailable, "Channel unavailable");
                    socket.send(refusal.retry_after_ms(2_000));
                    socket.close(CloseCode::TRY_AGAIN_LATER, "Channel unavailable");
                    return;
                }
                Err(error) => {
                    tracing::error!(channel, %error, "a backend named a channel that cannot be joined");
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn tokens_of_the_address_are_not_in_the_query_that_a_backend_gets() {
        let request = Request::get("/live?a=1&token=s3cr3t&b=%20&%74icket=s3cr3t").body(());
        let (parts, ()) = request.unwrap().into_parts();
        let settings = super::super::HookSettings {
            connect: Some("http://127.0.0.1:1/".parse().unwrap()),
            subscribe: None,
            publish: None,
            request: None,
            secret: "0123456789abcdef0123456789abcdef".into(),
            timeout: Duration::from_secs(1),
            calls: std::num::NonZeroUsize::MIN,
            headers: vec![http::header::COOKIE, http::header::ACCEPT],
            passes_tokens: false,
        };
        let hooks = super::super::Hooks::new(Some(&settings)).unwrap();
        let connect = hooks.connect.unwrap();
        let call = serde_json::to_value(connect.call(&parts, None)).unwrap();
        let expected = serde_json::json!({
            "type": "connect", "path": "/live", "query": "a=1&b=+", "headers": {},
        });
        assert_eq!(call, expected);
    }

    #[test]
    fn claims_of_a_backend_name_no_other_user() {
        let known: Known = serde_json::from_value(serde_json::json!({
            "user": { "id": 7, "email": "ada@example.com" },
            "claims": { "id": 8, "role": "admin" },
        }))
        .unwrap();
        let claims = known.into_authenticated().unwrap().claims;
        let expected = serde_json::json!({ "id": 7, "email": "ada@example.com", "role": "admin" });
        assert_eq!(*claims.all, expected);
    }
}
