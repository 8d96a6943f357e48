//! Keys of the HTTP API, and what each may do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use nextrush::live::{ChannelPattern, InvalidPattern};
use nextrush::{Authenticated, ErrorCode, Socket};
use parking_lot::RwLock;

use crate::refusal::Refusal;
use crate::secret::Secret;

/// The message of a refusal without a key.
pub(crate) const WRONG_KEY: &str = "Invalid API key";

/// Something that a key of the HTTP API may be allowed to do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Publishes to channels.
    Publish,
    /// Reads histories, members, traces and the list of channels, and follows channels.
    Read,
    /// Deletes what was published.
    Purge,
    /// Disconnects users.
    Disconnect,
    /// Issues tickets, with which their holders are any user that the key names.
    Ticket,
    /// Revokes the tokens of users.
    Revoke,
    /// Makes backups.
    Backup,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Publish,
        Self::Read,
        Self::Purge,
        Self::Disconnect,
        Self::Ticket,
        Self::Revoke,
        Self::Backup,
    ];

    /// The name, such as `publish`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Purge => "purge",
            Self::Disconnect => "disconnect",
            Self::Ticket => "ticket",
            Self::Revoke => "revoke",
            Self::Backup => "backup",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no action.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an action is publish, read, purge, disconnect, ticket, revoke or backup")]
#[non_exhaustive]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        Self::ALL
            .into_iter()
            .find(|action| action.name() == name)
            .ok_or(UnknownAction)
    }
}

/// A key of the HTTP API, with a name for the log. It may do everything, everywhere and for ever,
/// unless told otherwise.
///
/// ```
/// use nextrush_admin::{Action, ApiKey};
///
/// # fn key(secret: &str) -> Result<ApiKey, nextrush::live::InvalidPattern> {
/// let key = ApiKey::new("billing", secret)
///     .only([Action::Publish])
///     .channels(["invoices-:id"])?;
/// # Ok(key)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ApiKey {
    name: String,
    secret: Secret,
    /// `None` for all.
    actions: Option<Vec<Action>>,
    /// The patterns as they were given; `None` for all channels.
    patterns: Option<Vec<(String, ChannelPattern)>>,
    expires: Option<SystemTime>,
}

impl ApiKey {
    /// The least bytes of a key.
    pub const MIN_BYTES: usize = 32;

    /// A key that may do everything.
    ///
    /// # Panics
    ///
    /// Panics on a secret of fewer than 32 bytes: who guesses it may say anything to anybody.
    #[track_caller]
    #[must_use]
    pub fn new(name: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            secret: secret.into().into_key(),
            actions: None,
            patterns: None,
            expires: None,
        }
    }

    /// Allows these actions alone.
    #[must_use]
    pub fn only(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions = Some(actions.into_iter().collect());
        self
    }

    /// Allows the channels alone that one of these patterns fits, as those of policies, in all live updates.
    /// Such a key may do nothing about rooms of chats and about users, make no backups, and follow no channels.
    ///
    /// # Errors
    ///
    /// Fails on a text that is no pattern.
    pub fn channels<'a>(
        mut self,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidPattern> {
        let parsed = patterns
            .into_iter()
            .map(|text| Ok((text.to_owned(), ChannelPattern::new(text)?)));
        self.patterns = Some(parsed.collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// Sets the time from which the key is refused.
    #[must_use]
    pub fn expires(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_expired(&self) -> bool {
        self.expires
            .is_some_and(|expires| SystemTime::now() >= expires)
    }

    fn patterns_as_given(&self) -> Option<Vec<&str>> {
        let patterns = self.patterns.as_ref()?;
        Some(patterns.iter().map(|(text, _)| &**text).collect())
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.secret.is_same(&other.secret)
            && self.actions == other.actions
            && self.patterns_as_given() == other.patterns_as_given()
            && self.expires == other.expires
    }
}

impl Eq for ApiKey {}

/// The keys of an HTTP API, which may be replaced while it serves. Clones are the same keys.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Arc<RwLock<Arc<[ApiKey]>>>);

impl ApiKeys {
    /// These keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        let keys = keys.into_iter().collect();
        Self(Arc::new(RwLock::new(keys)))
    }

    /// Replaces all keys. Sockets that follow channels stay.
    ///
    /// Returns whether anything is different.
    pub fn replace(&self, keys: impl IntoIterator<Item = ApiKey>) -> bool {
        let keys: Arc<[ApiKey]> = keys.into_iter().collect();
        let mut held = self.0.write();
        let is_different = *held != keys;
        *held = keys;
        is_different
    }

    /// The keys of the moment.
    #[must_use]
    pub fn to_vec(&self) -> Vec<ApiKey> {
        self.0.read().to_vec()
    }

    /// The key of a request. All are compared, in a time that does not depend on which one it is.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let keys = Arc::clone(&self.0.read());
        let mut found = None;
        for (place, key) in keys.iter().enumerate() {
            if key.secret.is_bearer_of(headers) {
                found = Some(place);
            }
        }
        let caller = found.map(|place| Caller { keys, place });
        match caller {
            Some(caller) if !caller.key().is_expired() => Ok(caller),
            Some(caller) => {
                caller.note("use", "", "expired");
                Err(Refusal::wrong_key(headers, "Expired API key"))
            }
            None => {
                // At debug, since strangers could fill the log.
                tracing::debug!(target: AUDIT, who = "nobody", "a request without a valid API key");
                Err(Refusal::wrong_key(headers, WRONG_KEY))
            }
        }
    }
}

/// The target of lines that say what keys and operators did.
pub(crate) const AUDIT: &str = "nextrush::audit";

/// The key of a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    keys: Arc<[ApiKey]>,
    place: usize,
}

impl Caller {
    fn key(&self) -> &ApiKey {
        &self.keys[self.place]
    }

    /// Refuses an action that the key may not do at all.
    pub(crate) fn may(&self, action: Action) -> Result<(), Refusal> {
        let actions = self.key().actions.as_ref();
        if actions.is_none_or(|actions| actions.contains(&action)) {
            return Ok(());
        }
        Err(forbidden(format!("this key may not {action}")))
    }

    /// Tells whether the key may touch a channel.
    pub(crate) fn may_touch(&self, channel: &str) -> bool {
        let patterns = self.key().patterns.as_ref();
        patterns.is_none_or(|patterns| patterns.iter().any(|(_, pattern)| pattern.fits(channel)))
    }

    /// Refuses a channel that the key may not touch.
    pub(crate) fn touches(&self, channel: &str) -> Result<(), Refusal> {
        match self.may_touch(channel) {
            true => Ok(()),
            false => Err(forbidden("this key is for other channels")),
        }
    }

    /// Lets a socket last as long as the key.
    pub(crate) fn limit(&self, socket: &Socket) {
        let expires = self.key().expires;
        let end = expires.map(|end| end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        Authenticated::new((), end).limit(socket);
    }

    /// Tells whether the key may not do everything.
    pub(crate) fn is_restricted(&self) -> bool {
        self.key().actions.is_some() || self.key().patterns.is_some()
    }

    /// Refuses an action that is about more than channels, unless the key may do it everywhere.
    pub(crate) fn may_everywhere(&self, action: Action) -> Result<(), Refusal> {
        self.may(action)?;
        self.is_for_all_channels()
    }

    /// Refuses what is about more than channels.
    pub(crate) fn is_for_all_channels(&self) -> Result<(), Refusal> {
        match self.key().patterns {
            None => Ok(()),
            Some(_) => Err(forbidden("this key is for some channels only")),
        }
    }

    /// Writes what was done into the audit log: changes and what the key may not do at `info`,
    /// publishing and reading at `debug`, as while a broker is away each of them fails.
    pub(crate) fn audit<T>(&self, action: Action, on: &str, done: &Result<T, Refusal>) {
        let result = match done {
            Ok(_) => "ok",
            Err(refusal) => refusal.code().as_str(),
        };
        match action {
            Action::Publish | Action::Read if result != ErrorCode::Forbidden.as_str() => {
                tracing::debug!(target: AUDIT, who = self.key().name, action = action.name(), ?on, result, "API");
            }
            _ => self.note(action.name(), on, result),
        }
    }

    /// The refusal of a route that is for keys without restrictions.
    pub(crate) fn refused(&self, path: &str) -> Refusal {
        let refusal = forbidden("this key may not do this");
        self.note("use", path, refusal.code().as_str());
        refusal
    }

    /// Writes what was done at a route that knows nothing of keys into the audit log.
    pub(crate) fn audit_other(&self, route: &str, status: StatusCode) {
        match status.is_success() {
            true => self.note(route, "", "ok"),
            false => self.note(route, "", status.as_str()),
        }
    }

    fn note(&self, action: &str, on: &str, result: &str) {
        tracing::info!(target: AUDIT, who = self.key().name, action, ?on, result, "API");
    }
}

fn forbidden(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
}
