//! Tickets in place of tokens, and the end of tokens.

use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use nextrush::auth::{GivenUserId, IssuedTicket, Ticket, TicketError};
use nextrush::broker::BrokerError;
use nextrush::message::Timestamp;
use nextrush::{ErrorCode, User, UserId};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Api;
use crate::api_key::{Action, Caller};
use crate::disconnect::{self, Disconnected};
use crate::others::Silence;
use crate::parts::Parts;
use crate::refusal::Refusal;

/// A ticket that is wanted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    user: Holder,
    /// In seconds.
    ttl: Option<u64>,
    session: Option<String>,
    /// The end of sockets that are opened with it.
    expires: Option<Timestamp>,
}

/// The holder of a ticket: by the id alone, or by all the claims of a token.
#[derive(Deserialize)]
#[serde(untagged)]
enum Holder {
    Id(GivenUserId),
    Claims(Map<String, Value>),
}

impl Holder {
    /// The user, for the audit log.
    fn on(&self) -> String {
        let id = match self {
            Self::Id(id) => Some(id.clone()),
            Self::Claims(claims) => claims
                .get("id")
                .and_then(|id| serde_json::from_value(id.clone()).ok()),
        };
        match id.map(UserId::try_from) {
            Some(Ok(user)) => format!("user {user}"),
            _ => "user".to_owned(),
        }
    }

    fn into_claims(self) -> Result<Value, Refusal> {
        match self {
            Self::Id(id) => {
                let id = UserId::try_from(id)?;
                let email = id.to_string();
                Ok(serde_json::to_value(User::new(id, email)).expect("a user is plain"))
            }
            Self::Claims(claims) => {
                let id = claims.get("id").cloned().unwrap_or_default();
                let id: GivenUserId = serde_json::from_value(id)
                    .map_err(|_| Refusal::invalid("a user needs an id: a number or a text"))?;
                UserId::try_from(id)?;
                Ok(claims.into())
            }
        }
    }
}

pub(super) async fn ticket(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<IssuedTicket>, Refusal> {
    let Json(wanted) = body?;
    let on = wanted.user.on();
    let issued = match caller.may_everywhere(Action::Ticket) {
        Ok(()) => issue(&parts, wanted).await,
        Err(refusal) => Err(refusal),
    };
    caller.audit(Action::Ticket, &on, &issued);
    issued.map(Json)
}

async fn issue(parts: &Parts, wanted: Wanted) -> Result<IssuedTicket, Refusal> {
    let Wanted {
        user,
        ttl,
        session,
        expires,
    } = wanted;
    let mut ticket = Ticket::new(user.into_claims()?);
    if let Some(seconds) = ttl {
        let ttl = Duration::from_secs(seconds);
        ticket = ticket.ttl(ttl);
        if ticket.ttl != ttl {
            return Err(Refusal::invalid("ttl is a number of seconds from 1 to 600"));
        }
    }
    ticket.session = session;
    ticket.expires = expires.map(|expires| expires.unix_ms() / 1000);
    let issued = parts.app.issue_ticket(&ticket).await;
    issued.map_err(|error| match error {
        TicketError::Broker(error) => {
            Refusal::unavailable("no ticket can be issued: try again").because_of_broker(error)
        }
        TicketError::TooLong => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Refusal::new(
                status,
                ErrorCode::TooLarge,
                "the user's claims are too long",
            )
        }
        error => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Refusal::new(status, ErrorCode::Internal, "no ticket can be issued").because(error)
        }
    })
}

/// The tokens that are to be revoked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Revoke {
    user: GivenUserId,
    /// The moment before which they were issued; now without it.
    before: Option<Timestamp>,
}

pub(super) async fn revoke(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<Revoke>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(Revoke { user, before }) = body?;
    let user = UserId::try_from(user)?;
    let revoked = match caller.may_everywhere(Action::Revoke) {
        Ok(()) => end_tokens(&parts, &user, before).await,
        Err(refusal) => Err(refusal),
    };
    caller.audit(Action::Revoke, &format!("user {user}"), &revoked);
    revoked.map(Json)
}

async fn end_tokens(
    parts: &Parts,
    user: &UserId,
    before: Option<Timestamp>,
) -> Result<Disconnected, Refusal> {
    let before = before.unwrap_or_else(Timestamp::now);
    let (code, reason) = (disconnect::CODE, disconnect::REASON);
    match parts.app.revoke(user, before, code, reason).await {
        Ok(reached) => Ok(Disconnected::of(reached.sockets, Silence::after(&reached))),
        Err(BrokerError::Full(_)) => Err(Refusal::unavailable(
            "no more revocations can be kept: withdraw the key of the tokens",
        )),
        Err(error) => {
            Err(Refusal::unavailable("nothing is certain: try again").because_of_broker(error))
        }
    }
}
