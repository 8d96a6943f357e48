//! The parts of an application that operators and other servers have access to.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use nextrush::{ChatServer, ErrorCode, Handle, LiveUpdates};
use serde::Deserialize;

use crate::refusal::Refusal;

/// An application with some of its live updates and chats.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) app: Handle,
    pub(crate) live: Vec<LiveUpdates>,
    pub(crate) chats: Vec<ChatServer>,
}

impl Parts {
    pub(crate) fn new(app: &impl AsRef<Handle>) -> Self {
        Self {
            app: app.as_ref().clone(),
            live: Vec::new(),
            chats: Vec::new(),
        }
    }

    /// The live updates of a name, or the first without one.
    pub(crate) fn live(&self, name: Option<&str>) -> Result<&LiveUpdates, Refusal> {
        named(&self.live, name, LiveUpdates::name)
            .ok_or_else(|| not_found("no live updates have this name"))
    }

    /// The chat of a name, or the first without one.
    pub(crate) fn chat(&self, name: Option<&str>) -> Result<&ChatServer, Refusal> {
        named(&self.chats, name, ChatServer::name).ok_or_else(|| not_found("no chat has this name"))
    }
}

/// The live updates that a request is about; the first without a name.
#[derive(Deserialize)]
pub(crate) struct OfLive {
    live: Option<String>,
}

impl OfLive {
    /// The live updates of a query.
    pub(crate) fn of<'a>(
        query: &Result<Query<Self>, QueryRejection>,
        parts: &'a Parts,
    ) -> Result<&'a LiveUpdates, Refusal> {
        let Query(Self { live }) = query
            .as_ref()
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        parts.live(live.as_deref())
    }
}

/// The part of a name, or the first without one.
fn named<'a, P>(parts: &'a [P], name: Option<&str>, of: impl Fn(&P) -> &str) -> Option<&'a P> {
    match name {
        Some(name) => parts.iter().find(|part| of(part) == name),
        None => parts.first(),
    }
}

fn not_found(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
}
