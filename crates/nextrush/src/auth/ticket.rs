//! Tickets: short-lived stand-ins for a token, each of which is good for one request.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use nextrush_broker::{Attempt, BrokerError, Claim, CommandKey};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::authenticated::Authenticated;
use super::error::{AuthError, SignError};
use super::jwt::Jwt;
use super::rejection::AuthRejection;
use crate::message::{GivenUserId, Timestamp, User, UserId};
use crate::once;
use crate::socket::handle::Handle;

/// The audience of tickets, so that none is taken for a token with a key that happens to be the same.
const AUDIENCE: &str = "nextrush.ticket";
/// The time for which new tickets are signed with the same key.
const PERIOD: Duration = Duration::from_secs(3600);
/// The time for which nodes agree on the key of a period: until its last ticket has ended.
const KEY_KEPT: Duration = Duration::from_secs(2 * 3600);
/// The time for which a used ticket is known after it has expired: as the clocks of nodes may
/// differ.
const USED_KEPT: Duration = Duration::from_secs(60);
/// The number of random bytes in a key.
const KEY_BYTES: usize = 32;

/// A ticket that is to be issued: who its holder is, for how long it is good, and how long a socket
/// may last that is opened with it.
///
/// ```
/// use std::time::Duration;
/// use nextrush::User;
/// use nextrush::auth::Ticket;
///
/// let ticket = Ticket::new(User::new("ada", "ada@example.com"))
///     .ttl(Duration::from_secs(10))
///     .session("s-17");
/// assert_eq!(ticket.ttl, Duration::from_secs(10));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ticket<C = User> {
    /// The claims that [`Authenticated`] has of whoever comes with the ticket.
    pub claims: C,
    /// The time for which the ticket is good: 30 s by default, 1 s at least and 10 minutes at most,
    /// in whole seconds.
    pub ttl: Duration,
    /// The [session](Authenticated::session); none by default.
    pub session: Option<String>,
    /// The time at which a socket ends that was opened with the ticket, in seconds since 1970, as
    /// [`Authenticated::expires`]. By default it has no end.
    pub expires: Option<u64>,
}

impl<C> Ticket<C> {
    /// The default of [`ttl`](Self::ttl).
    pub const DEFAULT_TTL: Duration = Duration::from_secs(30);
    /// The most of [`ttl`](Self::ttl).
    pub const MAX_TTL: Duration = Duration::from_secs(600);

    /// A ticket for somebody with these claims.
    #[must_use]
    pub const fn new(claims: C) -> Self {
        Self {
            claims,
            ttl: Self::DEFAULT_TTL,
            session: None,
            expires: None,
        }
    }

    /// Sets [`ttl`](Self::ttl); what is out of its bounds becomes the nearest bound.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        let seconds = ttl.as_secs().clamp(1, Self::MAX_TTL.as_secs());
        self.ttl = Duration::from_secs(seconds);
        self
    }

    /// Sets [`session`](Self::session).
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Sets [`expires`](Self::expires).
    #[must_use]
    pub fn expires(mut self, expires: u64) -> Self {
        self.expires = Some(expires);
        self
    }
}

/// A ticket that was issued. Its `Debug` form does not hold the ticket.
#[derive(Clone, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IssuedTicket {
    /// The value of `?ticket=` in the address of one request: ASCII that needs no escape there.
    pub ticket: String,
    /// The time until which it can be used.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for IssuedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTicket")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The reason why a ticket cannot be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The nodes cannot agree on a key, as while the broker is away.
    #[error("the key of tickets cannot be known")]
    Broker(#[from] BrokerError),
    /// The claims cannot be written as JSON.
    #[error(transparent)]
    Claims(#[from] SignError),
    /// The ticket would be longer than [`Jwt::MAX_TOKEN`].
    #[error("the claims are too long for a ticket")]
    TooLong,
}

/// The claims of a signed ticket.
#[derive(Deserialize, Serialize)]
struct Signed<C> {
    claims: C,
    /// A random number, by which a used ticket is known again.
    jti: String,
    /// The moment of issue in milliseconds since 1970.
    issued: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// The end of sockets that are opened with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

/// The keys of tickets that this node knows, by their periods: the present one and the one before.
#[derive(Default)]
struct Keys(Mutex<Vec<(u64, Jwt)>>);

impl Handle {
    /// Issues a ticket, which any node takes once: in the address of a request, as `?ticket=`.
    /// [`Authenticated`] then has its claims. For clients that cannot set headers, in place of a token
    /// that would be written down with the address.
    ///
    /// The nodes agree on a key in the broker, a new one each hour. A ticket is signed with it, so
    /// issuing one keeps nothing, and one that is used is known for a minute longer than it is good.
    /// [Revoking](Self::revoke) the user's tokens voids tickets that were issued before, too.
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle) -> Result<(), nextrush::BoxError> {
    /// use nextrush::User;
    /// use nextrush::auth::Ticket;
    ///
    /// let ada = User::new("ada", "ada@example.com");
    /// let issued = app.issue_ticket(&Ticket::new(ada)).await?;
    /// println!("wss://example.com/live?ticket={}", issued.ticket);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TicketError`] if the broker cannot be asked, or the claims are no JSON or too long.
    pub async fn issue_ticket<C: Serialize>(
        &self,
        ticket: &Ticket<C>,
    ) -> Result<IssuedTicket, TicketError> {
        let now = Timestamp::now();
        let signed = Signed {
            claims: &ticket.claims,
            jti: format!("{:032x}", rand::random::<u128>()),
            issued: now.unix_ms(),
            sid: ticket.session.clone(),
            until: ticket.expires,
        };
        let key = self.ticket_key(period_of(now)).await?;
        let issued = key.sign_for(&signed, ticket.ttl)?;
        if issued.len() > Jwt::MAX_TOKEN {
            return Err(TicketError::TooLong);
        }
        // As the signature has it: from the beginning of the second.
        let expires = now.unix_ms() / 1000 + ticket.ttl.as_secs();
        Ok(IssuedTicket {
            ticket: issued,
            expires_at: Timestamp::from_unix_ms(expires * 1000),
        })
    }

    async fn check_ticket(&self, ticket: &str) -> Result<Signed<Value>, AuthRejection> {
        let period = period_of(Timestamp::now());
        let mut checked = None;
        for period in [Some(period), period.checked_sub(1)].into_iter().flatten() {
            let key = self.ticket_key(period).await;
            let key = key.map_err(AuthRejection::unavailable)?;
            let found = key.verify::<Signed<Value>>(ticket);
            let is_signed = !matches!(found, Err(AuthError::Signature));
            checked = Some(found);
            if is_signed {
                break;
            }
        }
        let found = checked.unwrap_or(Err(AuthError::Signature))?;
        #[derive(Deserialize)]
        struct Identified {
            id: GivenUserId,
        }
        if let Ok(Identified { id }) = Identified::deserialize(&found.claims.claims)
            && let Ok(user) = UserId::try_from(id)
            && self.is_revoked(&user, found.claims.issued)
        {
            return Err(AuthError::Revoked.into());
        }
        let left = found.valid_until().unwrap_or_default();
        let left = (left * 1000).saturating_sub(Timestamp::now().unix_ms());
        // Nobody answers it: the claim lasts as long as the ticket could be used.
        let key = CommandKey::try_from(&*format!("nr.ticket/{}", found.claims.jti));
        let attempt = Attempt::new(key.map_err(|_| AuthError::Malformed)?)
            .lease(Duration::from_millis(left) + USED_KEPT)
            .window(USED_KEPT)
            .at_most_once();
        match self.broker().claim(attempt).await {
            Ok(Claim::Mine(_)) => Ok(found.claims),
            Ok(_) => Err(AuthError::Used.into()),
            Err(error) => Err(AuthRejection::unavailable(error)),
        }
    }

    /// The key of a period, on which all nodes agree.
    async fn ticket_key(&self, period: u64) -> Result<Jwt, BrokerError> {
        let keys = self.part(Arc::<Keys>::default);
        if let Some((_, key)) = keys.0.lock().iter().find(|(of, _)| *of == period) {
            return Ok(key.clone());
        }
        let name = CommandKey::try_from(&*format!("nr.ticket-key/{period}"));
        let attempt = Attempt::new(name.expect("a short name"))
            .window(KEY_KEPT)
            .answer_bytes(KEY_BYTES);
        let bytes = match once::claim(&**self.broker(), attempt, once::PATIENCE).await? {
            Claim::Mine(claimed) => {
                let new: [u8; KEY_BYTES] = rand::random();
                let new = new.to_vec().into();
                self.broker().answer(claimed, new).await?
            }
            Claim::Answered(bytes) => bytes,
            Claim::Running | Claim::InDoubt => {
                let running = "another node is making it";
                return Err(BrokerError::Unavailable(running.into()));
            }
        };
        if bytes.len() != KEY_BYTES {
            return Err(BrokerError::Damaged("it is no key".into()));
        }
        let key = Jwt::hs256(&bytes).audience(AUDIENCE);
        let mut keys = keys.0.lock();
        keys.retain(|(of, _)| of.abs_diff(period) <= 1);
        keys.push((period, key.clone()));
        Ok(key)
    }
}

/// A ticket that was taken for a request, which may ask several times who sends it.
#[derive(Clone)]
struct Taken(Arc<Signed<Value>>);

/// Takes the ticket of a request, which is used up by that.
pub(super) async fn take<C: DeserializeOwned>(
    parts: &mut Parts,
    app: &Handle,
    ticket: &str,
) -> Result<Authenticated<C>, AuthRejection> {
    let taken = match parts.extensions.get::<Taken>() {
        Some(Taken(taken)) => Arc::clone(taken),
        None => {
            let found = app.check_ticket(ticket).await;
            let found = found.inspect_err(|rejection| {
                let source = std::error::Error::source(rejection);
                tracing::debug!(error = %rejection, source, "a ticket was refused");
            });
            let taken = Arc::new(found?);
            parts.extensions.insert(Taken(Arc::clone(&taken)));
            taken
        }
    };
    let claims = C::deserialize(&taken.claims).map_err(AuthError::Claims)?;
    let mut found = Authenticated::new(claims, taken.until);
    found.session.clone_from(&taken.sid);
    found.asked_at.issued_ms = Some(taken.issued);
    Ok(found)
}

fn period_of(time: Timestamp) -> u64 {
    time.unix_ms() / 1000 / PERIOD.as_secs()
}
