//! The application's own way to find out who sends a request.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::COOKIE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::authenticated::Authenticated;
use super::jwt::Jwt;
use super::rejection::AuthRejection;
use crate::error::BoxError;
use crate::message::User;

/// The default of [`Authenticator::deadline`].
const DEADLINE: Duration = Duration::from_secs(5);

/// A way to find out who sends a request, and whose claims [`Authenticated`] then has.
///
/// Implemented for [`Jwt`] and for functions of a request's [`Parts`] that return a future of an
/// `Option<User>` (or of claims of your own), or of a `Result` of that: `None` is nobody. An error
/// that is no [`AuthRejection`] refuses the request as [`AuthRejection::Unavailable`]. A type that
/// holds a pool of connections may implement it itself:
///
/// ```
/// use axum::http::request::Parts;
/// use nextrush::auth::{self, Authenticate, AuthRejection};
/// use nextrush::{App, Authenticated, User};
///
/// struct Sessions(/* a pool */);
///
/// impl Authenticate for Sessions {
///     async fn authenticate(
///         &self,
///         request: &Parts,
///     ) -> Result<Option<Authenticated>, AuthRejection> {
///         let Some(session) = auth::cookie(request, "session") else { return Ok(None) };
///         let user = self.user_of(session).await.map_err(AuthRejection::unavailable)?;
///         Ok(user.map(|user| Authenticated::from(user).session(session)))
///     }
/// }
/// # impl Sessions {
/// #     async fn user_of(&self, _: &str) -> Result<Option<User>, std::io::Error> { Ok(None) }
/// # }
///
/// let mut app: App = App::new();
/// app.authenticate(Sessions());
/// ```
pub trait Authenticate<C = User>: Send + Sync + 'static {
    /// Finds out who sends a request; `None` if it names nobody.
    ///
    /// # Errors
    ///
    /// Refuses a request that names somebody in vain, or of which it cannot be known.
    fn authenticate(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Option<Authenticated<C>>, AuthRejection>> + Send;
}

impl<C: DeserializeOwned> Authenticate<C> for Jwt {
    async fn authenticate(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<C>>, AuthRejection> {
        self.authenticate_or_fetch(request).await
    }
}

impl<C, F, R> Authenticate<C> for F
where
    F: Fn(Parts) -> R + Send + Sync + 'static,
    R: Future<Output: Identification<C>> + Send,
{
    async fn authenticate(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<C>>, AuthRejection> {
        self(request.clone()).await.into_authenticated()
    }
}

/// A return value of functions that find out who sends a request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say who sends a request",
    note = "a function that authenticates returns an `Option<User>`, or a `Result` of that"
)]
pub trait Identification<C> {
    #[doc(hidden)]
    fn into_authenticated(self) -> Result<Option<Authenticated<C>>, AuthRejection>;
}

impl<C, T: Into<Authenticated<C>>> Identification<C> for Option<T> {
    fn into_authenticated(self) -> Result<Option<Authenticated<C>>, AuthRejection> {
        Ok(self.map(Into::into))
    }
}

impl<C, T: Into<Authenticated<C>>, E: Into<BoxError>> Identification<C> for Result<Option<T>, E> {
    fn into_authenticated(self) -> Result<Option<Authenticated<C>>, AuthRejection> {
        match self {
            Ok(found) => Ok(found.map(Into::into)),
            Err(error) => Err(match error.into().downcast() {
                Ok(rejection) => *rejection,
                Err(error) => AuthRejection::Unavailable(error),
            }),
        }
    }
}

type Function<C> = dyn for<'a> Fn(&'a Parts) -> BoxFuture<'a, Result<Option<Authenticated<C>>, AuthRejection>>
    + Send
    + Sync;

/// A cheap handle of a way to [authenticate](Authenticate), for a layer `Extension(authenticator)`
/// around a route. [`App::authenticate`](crate::App::authenticate) sets one for all routes.
pub struct Authenticator<C = User> {
    function: Arc<Function<C>>,
    deadline: Duration,
}

impl<C: 'static> Authenticator<C> {
    /// The handle of this way.
    #[must_use]
    pub fn new(way: impl Authenticate<C>) -> Self {
        let way = Arc::new(way);
        let function: Arc<Function<C>> = Arc::new(move |request| {
            let way = Arc::clone(&way);
            async move { way.authenticate(request).await }.boxed()
        });
        Self {
            function,
            deadline: DEADLINE,
        }
    }

    /// Sets the time in which it has to be found out who sends a request. Default: 5 s.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Finds out who sends a request, within the [deadline](Self::deadline); `None` if it names
    /// nobody.
    ///
    /// # Errors
    ///
    /// As the way refuses, and [`AuthRejection::Unavailable`] if it takes longer or panics.
    pub async fn authenticate(
        &self,
        request: &Parts,
    ) -> Result<Option<Authenticated<C>>, AuthRejection> {
        let found = AssertUnwindSafe(async { (self.function)(request).await }).catch_unwind();
        let found = match timeout(self.deadline, found).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(AuthRejection::unavailable("the function panicked")),
            Err(_) => Err(AuthRejection::unavailable("the function takes too long")),
        };
        found.inspect_err(|rejection| match rejection {
            AuthRejection::Unavailable(error) => {
                tracing::error!(path = request.uri.path(), %error, "a client cannot be authenticated");
            }
            other => tracing::debug!(error = %other, "a client was refused"),
        })
    }
}

impl<C> Clone for Authenticator<C> {
    fn clone(&self) -> Self {
        Self {
            function: Arc::clone(&self.function),
            deadline: self.deadline,
        }
    }
}

impl<C> fmt::Debug for Authenticator<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}

/// The value of a cookie of a request (RFC 6265 §4.2): the first of that name, without the quotes
/// around it; `None` if there is none, or an empty one.
///
/// ```
/// use axum::http::Request;
/// use nextrush::auth::cookie;
///
/// let request = Request::get("/").header("cookie", "theme=dark; session=s3cr3t").body(())?;
/// let (request, ()) = request.into_parts();
/// assert_eq!(cookie(&request, "session"), Some("s3cr3t"));
/// assert_eq!(cookie(&request, "sess"), None);
/// # Ok::<(), axum::http::Error>(())
/// ```
#[must_use]
pub fn cookie<'a>(request: &'a Parts, name: &str) -> Option<&'a str> {
    cookies(request, name)
        .next()
        .filter(|value| !value.is_empty())
}

/// The values of all cookies of a name, without the quotes around them.
pub(super) fn cookies<'a>(request: &'a Parts, name: &str) -> impl Iterator<Item = &'a str> {
    request
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(move |cookie| {
            let (found, value) = cookie.trim().split_once('=')?;
            (found == name).then_some(value)
        })
        .map(|value| {
            value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .unwrap_or(value)
        })
}
