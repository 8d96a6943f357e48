//! The extractor that demands a valid token.

use std::any::Any;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::authenticator::Authenticator;
use super::error::AuthError;
use super::jwt::Jwt;
use super::rejection::AuthRejection;
use super::revocation::unrevoked;
use super::{ticket, token};
use crate::message::User;
use crate::socket::handle::Handle;

/// A client's claims: what [`Jwt::verify`] returns and, as an extractor, what a
/// handler takes that is for authenticated clients only.
///
/// Where the application has a way of its own, by
/// [`App::authenticate`](crate::App::authenticate) or an `Extension(Authenticator)` layer for the
/// same claims, that is asked, and no token.
///
/// The token comes from `?token=` or, where that is absent, from the subprotocol
/// `nextrush.bearer.<token>` (see [`ws`](crate::ws#subprotocols)), else from
/// `Authorization: Bearer`, or else from the [cookie](crate::App::token_cookie) for tokens; it is
/// checked with the [`Jwt`] of the application, which in a foreign axum server is any
/// `Extension(jwt)` layer. In place of a token `?ticket=` may have a
/// [ticket](crate::Handle::issue_ticket), and with `?auth=message` the token comes in the socket's
/// [first message](crate::auth::TokenMessage), where that is allowed.
///
/// - `Authenticated` alone refuses before the upgrade, with 401 (see
///   [`AuthRejection`]).
/// - `Result<Authenticated, AuthRejection>` leaves it to the handler, as the guide
///   does: it tells the client over the open socket.
/// - `Option<Authenticated>` is `None` without a token; an invalid one is refused all
///   the same.
///
/// ```
/// use axum::{Extension, Router, routing::get};
/// use nextrush::{Authenticated, Jwt};
///
/// async fn whoami(Authenticated { claims: user, .. }: Authenticated) -> String {
///     user.email
/// }
///
/// let router: Router = Router::new()
///     .route("/whoami", get(whoami))
///     .layer(Extension(Jwt::hs256("a secret of at least 32 bytes, from outside")));
/// ```
///
/// Other claims than the guide's are read into a type of your own,
/// `Authenticated<MyClaims>`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Authenticated<C = User> {
    /// The token's claims.
    pub claims: C,
    /// The token's `exp`, in seconds since 1970. `None` only where [`Jwt::require_expiry`] was
    /// turned off.
    pub expires: Option<u64>,
    /// The session in which the client has signed in: a token's `sid`, or what the application
    /// says. [`Handle::session`](crate::Handle::session) reaches its sockets.
    pub session: Option<String>,
    /// The most by which the clocks of issuer and server may differ, in seconds.
    pub(super) leeway: u64,
    pub(super) asked_at: AskedAt,
}

/// The moments at which a request's client was looked up and its token issued, unknown for claims of
/// the application's own making. They make no difference between claims.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AskedAt {
    pub(super) looked_up: Option<Instant>,
    /// In milliseconds since 1970.
    pub(super) issued_ms: Option<u64>,
}

impl PartialEq for AskedAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for AskedAt {}

impl<C> Authenticated<C> {
    /// Claims that were checked by other means than a [`Jwt`], and when they end, in seconds
    /// since 1970.
    #[must_use]
    pub fn new(claims: C, expires: Option<u64>) -> Self {
        Self {
            claims,
            expires,
            session: None,
            leeway: 0,
            asked_at: AskedAt::default(),
        }
    }

    /// The same client with other claims, such as a [`User`] out of claims of your own, which
    /// [`admit`](Authenticated::admit) wants.
    #[must_use]
    pub fn map<D>(self, claims: impl FnOnce(C) -> D) -> Authenticated<D> {
        Authenticated {
            claims: claims(self.claims),
            expires: self.expires,
            session: self.session,
            leeway: self.leeway,
            asked_at: self.asked_at,
        }
    }

    /// Sets the [session](Self::session).
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Sets the time at which the client has signed in, in seconds since 1970: what `iat` is of a
    /// token, for claims of the application's own making.
    /// [Revoking](crate::Handle::revoke) what was issued before a moment then holds for them too.
    #[must_use]
    pub fn issued_at(mut self, seconds: u64) -> Self {
        self.asked_at.issued_ms = Some(seconds.saturating_mul(1000));
        self
    }

    /// The time from which the token is no longer accepted, in seconds since 1970: its `exp`, and the
    /// [leeway](Jwt::leeway) for clocks. The same for a request, for a socket that is opened with
    /// the token and for one that is open.
    #[must_use]
    pub fn valid_until(&self) -> Option<u64> {
        let expires = self.expires?;
        Some(expires.saturating_add(self.leeway))
    }
}

/// Claims that were checked by other means than a [`Jwt`], and that have no end.
impl<C> From<C> for Authenticated<C> {
    fn from(claims: C) -> Self {
        Self::new(claims, None)
    }
}

impl<C: DeserializeOwned + 'static, S: Sync> FromRequestParts<S> for Authenticated<C> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthRejection> {
        authenticate(parts)
            .await?
            .ok_or(AuthRejection::MissingToken)
    }
}

impl<C: DeserializeOwned + 'static, S: Sync> OptionalFromRequestParts<S> for Authenticated<C> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        authenticate(parts).await
    }
}

impl Jwt {
    /// Checks the token of a request with this key, as the extractor does with the
    /// application's: for routes that have a key of their own. `None` without a token.
    ///
    /// It does not wait for a [`Jwks`](super::Jwks):
    /// [`Authenticate::authenticate`](super::Authenticate::authenticate) does.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use nextrush::{App, AuthRejection, Authenticated, Jwt, Socket};
    ///
    /// let operators = Jwt::hs256("another secret, also of 32 bytes and more");
    /// let mut app = App::new();
    /// app.ws("/operators", move |socket: Socket, request: Parts| {
    ///     match operators.authenticate(&request) {
    ///         Ok(Some(operator)) => {
    ///             let user = operator.admit(&socket);
    ///             socket.send(format!("Welcome, {}!", user.email));
    ///         }
    ///         Ok(None) => AuthRejection::MissingToken.reject(&socket),
    ///         Err(rejection) => rejection.reject(&socket),
    ///     }
    /// });
    /// # let _: axum::Router = app.into_router();
    /// ```
    ///
    /// # Errors
    ///
    /// Refuses a token that is not accepted, and several in one place.
    pub fn authenticate<C: DeserializeOwned>(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<C>>, AuthRejection> {
        let app = request.extensions.get::<Handle>();
        let verified = token::find(request).and_then(|token| match token {
            Some(token) => unrevoked(self.verify(&token)?, self, &token, app).map(Some),
            None => Ok(None),
        });
        verified.map_err(refused)
    }

    /// Checks the token of a request, after a fetch of keys where that may help.
    pub(super) async fn authenticate_or_fetch<C: DeserializeOwned>(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<C>>, AuthRejection> {
        let Some(token) = token::find(request).map_err(refused)? else {
            return Ok(None);
        };
        let app = request.extensions.get::<Handle>();
        let verified = self.verify_or_fetch(&token).await;
        verified
            .and_then(|verified| unrevoked(verified, self, &token, app))
            .map(Some)
            .map_err(refused)
    }
}

fn refused(error: AuthError) -> AuthRejection {
    let source = std::error::Error::source(&error);
    tracing::debug!(%error, source, "a token was refused");
    error.into()
}

impl<C> Authenticated<C> {
    fn looked_up(mut self, at: Instant) -> Self {
        self.asked_at.looked_up = Some(at);
        self
    }
}

/// Finds out who sends a request, by its ticket, or by the way or the key of the application.
pub(crate) async fn authenticate<C: DeserializeOwned + 'static>(
    parts: &mut Parts,
) -> Result<Option<Authenticated<C>>, AuthRejection> {
    let asked_at = Instant::now();
    let app = parts.extensions.get::<Handle>().cloned();
    if let Some(app) = &app {
        app.load_revocations()
            .await
            .map_err(AuthRejection::unavailable)?;
    }
    if let Some(ticket) = token::find_ticket(parts)? {
        let ticket = ticket.into_owned();
        let app = app.ok_or(AuthRejection::NotConfigured)?;
        let found = ticket::take(parts, &app, &ticket).await?;
        return Ok(Some(found.looked_up(asked_at)));
    }
    if let Some(own) = parts.extensions.get::<Authenticator<C>>() {
        let found = own.authenticate(parts).await?;
        if let (Some(app), Some(found)) = (app, &found)
            && let Some(user) = (&found.claims as &dyn Any).downcast_ref::<User>()
            && let Some(issued_ms) = found.asked_at.issued_ms
            && app.is_revoked(&user.id, issued_ms)
        {
            return Err(AuthError::Revoked.into());
        }
        return Ok(found.map(|found| found.looked_up(asked_at)));
    }
    let Some(jwt) = parts.extensions.get::<Jwt>() else {
        tracing::error!(
            "a handler asks for `Authenticated`, but no key was set with `App::jwt` \
             or an `Extension(Jwt)` layer, and no way with `App::authenticate`"
        );
        return Err(AuthRejection::NotConfigured);
    };
    let found = jwt.authenticate_or_fetch(parts).await?;
    Ok(found.map(|found| found.looked_up(asked_at)))
}

#[cfg(test)]
mod tests;
