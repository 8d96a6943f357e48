//! Revoked tokens: those of a user that were issued before a moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use nextrush_broker::{
    Asked, BrokerError, Epoch, HistoryQuery, Interrupt, Publication, Publish, Retention, Sink,
    TopicName,
};
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::sleep;

use super::authenticated::Authenticated;
use super::error::AuthError;
use super::jwt::Jwt;
use crate::message::{GivenUserId, Timestamp, UserId};
use crate::seldom::Seldom;
use crate::socket::Socket;
use crate::socket::acts::{Reached, add_up, answer_of};
use crate::socket::handle::{Handle, WeakHandle};

/// The topic that keeps revocations. No part of an application can have a name with a dot.
const TOPIC: &str = "nr.auth/tokens/revoked";
/// The kind of the questions to other nodes.
const REVOKE: &str = "nr.revoke";
/// The most revocations that are kept at a time.
const MOST: usize = 50_000;
/// The most publications that the topic has, so that none is dropped where several nodes add one to the last
/// place at the same moment.
const ROOM: usize = MOST + 1000;
/// The time for which one is kept: longer than tokens live, of which those with the longest life
/// are good for a year.
const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// The pause before revocations are read again that could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// The last line of the log of revocations that cannot be read.
static UNREAD: Seldom = Seldom::new();

/// A moment before which the tokens of a user are void.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Revocation {
    user: UserId,
    /// The moment in milliseconds since 1970.
    before: u64,
    /// The code with which sockets end, and its reason.
    code: u16,
    reason: String,
}

impl Revocation {
    fn holds_for(&self, issued_ms: u64) -> bool {
        issued_ms < self.before
    }
}

/// The revocations that hold, as the broker keeps them.
#[derive(Default)]
pub(crate) struct Revocations {
    /// The number of users, which a token looks at first.
    count: AtomicUsize,
    held: Mutex<Held>,
    is_loaded: AtomicBool,
    loading: tokio::sync::Mutex<Loading>,
}

/// The steps of the way to all revocations that have been done.
#[derive(Default)]
struct Loading {
    is_attached: bool,
    is_subscribed: bool,
}

#[derive(Default)]
struct Held {
    /// The revocation of each user with the latest moment.
    last: HashMap<UserId, Last>,
    /// The time and user of each publication that is kept, by its offset.
    published: BTreeMap<u64, (u64, UserId)>,
    epoch: Option<Epoch>,
}

/// A revocation that holds.
struct Last {
    revocation: Revocation,
    /// The time at which it, or an earlier moment after it, came last.
    at_ms: u64,
    /// The number of sockets that it has closed.
    closed: usize,
}

impl Held {
    /// Adds a revocation that came at this time; `true` if it goes further than the one before.
    fn add(&mut self, at_ms: u64, revocation: Revocation) -> bool {
        let at_ms = match self.last.get_mut(&revocation.user) {
            Some(last) => {
                last.at_ms = at_ms.max(last.at_ms);
                if last.revocation.before >= revocation.before {
                    return false;
                }
                last.at_ms
            }
            None => at_ms,
        };
        let last = Last {
            at_ms,
            closed: 0,
            revocation,
        };
        self.last.insert(last.revocation.user.clone(), last);
        true
    }

    /// Adds a publication that came at this time, by this node's clock, which forgets it too; its
    /// revocation if that goes further than the one before.
    fn take(&mut self, at_ms: u64, epoch: Epoch, publication: &Publication) -> Option<Revocation> {
        if self.epoch != Some(epoch) {
            // What held in the life before holds on.
            self.published.clear();
            self.epoch = Some(epoch);
        }
        let revocation: Revocation = serde_json::from_slice(&publication.data).ok()?;
        let user = revocation.user.clone();
        self.published.insert(publication.offset, (at_ms, user));
        self.add(at_ms, revocation.clone()).then_some(revocation)
    }

    /// Forgets what no token can outlive.
    fn forget(&mut self, now_ms: u64) {
        while let Some(first) = self.published.first_entry()
            && is_old(first.get().0, now_ms)
        {
            let (_, user) = first.remove();
            if self
                .last
                .get(&user)
                .is_some_and(|last| is_old(last.at_ms, now_ms))
            {
                self.last.remove(&user);
            }
        }
    }
}

fn is_old(at_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(at_ms)) >= KEPT.as_millis()
}

impl Revocations {
    /// Adds a revocation that another node tells of; `true` if it goes further than the one before.
    fn add(&self, revocation: &Revocation) -> bool {
        let mut held = self.held.lock();
        let is_further = held.add(now_ms(), revocation.clone());
        self.count.store(held.last.len(), Ordering::Release);
        is_further
    }

    /// Adds a publication; its revocation if that goes further than the one before.
    fn take(&self, epoch: Epoch, publication: &Publication) -> Option<Revocation> {
        let mut held = self.held.lock();
        let now_ms = now_ms();
        held.forget(now_ms);
        let further = held.take(now_ms, epoch, publication);
        self.count.store(held.last.len(), Ordering::Release);
        further
    }

    /// The revocation that holds for a user's token.
    fn of(&self, user: &UserId, issued_ms: u64) -> Option<Revocation> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let held = self.held.lock();
        let last = held.last.get(user)?;
        let holds = last.revocation.holds_for(issued_ms) && !is_old(last.at_ms, now_ms());
        holds.then(|| last.revocation.clone())
    }

    /// Counts closed sockets; how many a revocation has closed, or 0 if a later one holds.
    fn count_closed(&self, revocation: &Revocation, closed: usize) -> usize {
        let mut held = self.held.lock();
        let last = held.last.get_mut(&revocation.user);
        let Some(last) = last.filter(|last| last.revocation.before == revocation.before) else {
            return closed;
        };
        last.closed += closed;
        last.closed
    }

    /// Returns whether there is no room for another one.
    fn is_full(&self) -> bool {
        let mut held = self.held.lock();
        held.forget(now_ms());
        held.published.len() >= MOST
    }
}

fn now_ms() -> u64 {
    Timestamp::now().unix_ms()
}

fn topic() -> TopicName {
    TopicName::try_from(TOPIC).expect("a plain name")
}

impl Handle {
    /// Revokes the tokens of a user that were issued (`iat`) before a moment, on all nodes: they are
    /// refused from now on, and the sockets that were [admitted](crate::Authenticated::admit) with
    /// one of them, or without a token, are closed with this code and reason. Says how many, and which
    /// nodes have not answered within 2 s; those do the same when they read of it in the broker.
    ///
    /// A token without `iat` counts as issued long ago. `iat` is in whole seconds mostly, so a token
    /// that is issued later in the same second counts as issued before: give the moment as the
    /// beginning of the second where a new token is issued at once.
    ///
    /// Tokens are known by the claim `id` of the guide's [`User`](crate::User), or the
    /// [claim](crate::Jwt::id_claim) in its place, whatever other claims a handler reads. A user who is known by a [way of your own](crate::App::authenticate) is
    /// refused only where that says [when](crate::Authenticated::issued_at) the client has signed in.
    ///
    /// Revocations are kept by the broker: with a store or a Redis they survive restarts, and nodes
    /// that start later know them. They are forgotten after 400 days, so no token may live longer.
    /// An earlier moment than that of an earlier revocation changes nothing, and one that lies ahead
    /// counts as now.
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle, user: &nextrush::User) {
    /// use nextrush::CloseCode;
    /// use nextrush::message::Timestamp;
    ///
    /// let (now, code) = (Timestamp::now(), CloseCode::POLICY_VIOLATION);
    /// match app.revoke(&user.id, now, code, "Password changed").await {
    ///     Ok(reached) => println!("{} sockets closed", reached.sockets),
    ///     Err(error) => println!("nothing is certain, try again: {error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether the broker keeps it: try again.
    /// [`BrokerError::Full`] if there are 50 000 revocations of the last 400 days.
    pub async fn revoke(
        &self,
        user: &UserId,
        before: Timestamp,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<Reached, BrokerError> {
        let revocation = Revocation {
            user: user.clone(),
            before: before.min(Timestamp::now()).unix_ms(),
            code: code.into().as_u16(),
            reason: reason.to_owned(),
        };
        self.load_revocations().await?;
        let revocations = self.revocations();
        if revocations.is_full() {
            return Err(BrokerError::Full(
                format!("there are {MOST} revocations").into(),
            ));
        }
        let question = Bytes::from(serde_json::to_vec(&revocation).expect("a revocation is plain"));
        let publish = Publish::new(question.clone()).retain(Retention::count(ROOM).max_age(KEPT));
        self.broker().publish(&topic(), publish).await?;
        let here = self.enforce(&revocation);
        let line = self.line();
        if !line.is_shared() {
            return Ok(Reached::here(here));
        }
        let asked = line.ask(REVOKE, &Asked::All, &question).await;
        Ok(add_up(line, here, asked))
    }

    /// Makes sure that this node knows all revocations, and hears of further ones.
    pub(super) async fn load_revocations(&self) -> Result<(), BrokerError> {
        let revocations = self.revocations();
        if revocations.is_loaded.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut loading = revocations.loading.lock().await;
        if revocations.is_loaded.load(Ordering::Acquire) {
            return Ok(());
        }
        if !loading.is_attached {
            self.broker().attach(Arc::new(Ear(self.downgrade())));
            loading.is_attached = true;
        }
        if !loading.is_subscribed {
            self.broker().subscribe(&topic()).await?;
            loading.is_subscribed = true;
        }
        self.read_revocations().await?;
        revocations.is_loaded.store(true, Ordering::Release);
        Ok(())
    }

    async fn read_revocations(&self) -> Result<(), BrokerError> {
        let history = self
            .broker()
            .history(&topic(), HistoryQuery::Latest(ROOM))
            .await?;
        for publication in &history.publications {
            self.take_revocation(history.position.epoch, publication);
        }
        Ok(())
    }

    /// Reads the revocations until that has succeeded or the application has ended: for sockets
    /// whose tokens are revoked at another node before anybody has come with a token here.
    pub(crate) fn load_revocations_later(&self) {
        let app = self.downgrade();
        tokio::spawn(async move {
            while let Some(app) = app.upgrade() {
                match app.load_revocations().await {
                    Ok(()) => return,
                    Err(error) => tell_unread(&error),
                }
                drop(app);
                sleep(PAUSE).await;
            }
        });
    }

    fn take_revocation(&self, epoch: Epoch, publication: &Publication) {
        if let Some(further) = self.revocations().take(epoch, publication) {
            self.end_revoked(&further);
        }
    }

    /// Refuses what is revoked from now on, and closes the sockets on this node; their number, with those
    /// that were closed when the broker told of it.
    fn enforce(&self, revocation: &Revocation) -> usize {
        // In this order: a socket that is admitted meanwhile is among those of the user, or sees the
        // revocation.
        match self.revocations().add(revocation) {
            true => self.end_revoked(revocation),
            // Those are closed already, or about to be.
            false => self.revocations().count_closed(revocation, 0),
        }
    }

    fn end_revoked(&self, revocation: &Revocation) -> usize {
        let sockets = self.sockets_issued_before(revocation);
        for socket in &sockets {
            socket.close(revocation.code, &revocation.reason);
        }
        self.revocations().count_closed(revocation, sockets.len())
    }

    fn sockets_issued_before(&self, revocation: &Revocation) -> Vec<Socket> {
        let mut sockets = self.user(&revocation.user).local_members();
        sockets.retain(|socket| {
            let issued_ms = socket.change_identity(|identity| identity.issued_ms);
            issued_ms.is_none_or(|issued_ms| revocation.holds_for(issued_ms))
        });
        sockets
    }

    /// Returns whether the tokens of a user that were issued at this moment are revoked.
    pub(super) fn is_revoked(&self, user: &UserId, issued_ms: u64) -> bool {
        self.revocations().of(user, issued_ms).is_some()
    }

    /// Closes a socket whose token was revoked since it was looked at.
    pub(super) fn close_if_revoked(&self, socket: &Socket, issued_ms: u64) {
        if let Some(user) = socket.user()
            && let Some(revocation) = self.revocations().of(&user.id, issued_ms)
        {
            socket.close(revocation.code, &revocation.reason);
        }
    }

    fn revocations(&self) -> Arc<Revocations> {
        self.part(Arc::<Revocations>::default)
    }

    /// Does what other nodes ask for.
    pub(crate) fn answer_revocations(&self) {
        let app = self.downgrade();
        self.line().answer(REVOKE, move |from, question| {
            let app = app.upgrade();
            async move {
                let revocation = serde_json::from_slice(&question).ok()?;
                let closed = app?.enforce(&revocation);
                // Who asks has counted its own.
                Some(answer_of(if from.is_this { 0 } else { closed }))
            }
        });
    }
}

/// A token that was verified, with the time of its issue, unless it is revoked in this application.
pub(super) fn unrevoked<C>(
    mut verified: Authenticated<C>,
    jwt: &Jwt,
    token: &str,
    app: Option<&Handle>,
) -> Result<Authenticated<C>, AuthError> {
    let claims = IssueClaims::read(jwt, token);
    let issued_ms = claims.issued_ms();
    verified.asked_at.issued_ms = Some(issued_ms);
    if let Some(app) = app
        && let Some(user) = claims.id.and_then(|id| UserId::try_from(id).ok())
        && app.is_revoked(&user, issued_ms)
    {
        return Err(AuthError::Revoked);
    }
    Ok(verified)
}

/// The claims of a token that say whose it is and when it was issued.
#[derive(Default, Deserialize)]
struct IssueClaims {
    id: Option<GivenUserId>,
    /// The time of issue, of any type: one that is none must not hide whose the token is.
    iat: Option<Value>,
}

impl IssueClaims {
    /// Reads the claims of a token that was verified; none where they are not of their types.
    fn read(jwt: &Jwt, token: &str) -> Self {
        let claims = token.split('.').nth(1);
        let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        claims
            .and_then(|claims| String::from_utf8(claims).ok())
            .and_then(|claims| serde_json::from_str(&jwt.identified(&claims)).ok())
            .unwrap_or_default()
    }

    /// The time of issue in milliseconds since 1970: that of tokens without a number in `iat` is long
    /// ago.
    fn issued_ms(&self) -> u64 {
        let seconds = self.iat.as_ref().and_then(Value::as_f64);
        // RFC 7519 §2 allows fractions; the conversion saturates.
        seconds.map_or(0, |seconds| (seconds * 1000.0) as u64)
    }
}

fn tell_unread(error: &BrokerError) {
    if UNREAD.is_due() {
        tracing::warn!(%error, "the revoked tokens cannot be read");
    }
}

/// The receiver of revocations.
struct Ear(WeakHandle);

impl Sink for Ear {
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        if topic.as_str() == TOPIC
            && let Some(app) = self.0.upgrade()
        {
            app.take_revocation(epoch, publication);
        }
    }

    fn interrupt(&self, topic: &TopicName, _: &Interrupt) {
        if topic.as_str() == TOPIC
            && let Some(app) = self.0.upgrade()
        {
            // What holds, holds on; what was missed is read.
            app.revocations().is_loaded.store(false, Ordering::Release);
            app.load_revocations_later();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(user: &str, before: u64) -> Revocation {
        Revocation {
            user: user.into(),
            before,
            code: 1008,
            reason: "gone".to_owned(),
        }
    }

    fn publication(offset: u64, revocation: &Revocation) -> Publication {
        Publication::new(offset, 0, serde_json::to_vec(revocation).unwrap())
    }

    #[test]
    fn a_recorded_revocation_of_version_1_is_read() {
        let recorded = r#"{"user":"ada","before":1000,"code":1008,"reason":"gone"}"#;
        let ada = revocation("ada", 1000);
        assert_eq!(serde_json::from_str::<Revocation>(recorded).unwrap(), ada);
        assert_eq!(serde_json::to_string(&ada).unwrap(), recorded);
    }

    #[test]
    fn the_latest_moment_holds_whatever_comes_after_it() {
        let revocations = Revocations::default();
        assert!(revocations.add(&revocation("ada", 2000)));
        assert!(!revocations.add(&revocation("ada", 1000)));
        for (user, issued, is_revoked) in [
            ("ada", 1999, true),
            ("ada", 2000, false),
            ("ada", 0, true),
            ("bob", 0, false),
        ] {
            let found = revocations.of(&user.into(), issued);
            assert_eq!(found.is_some(), is_revoked, "{user} {issued}");
        }
        assert!(revocations.add(&revocation("ada", 3000)));
        assert!(revocations.of(&"ada".into(), 2000).is_some());
    }

    #[test]
    fn beyond_the_most_revocations_a_further_one_is_refused_until_one_is_forgotten() {
        let revocations = Revocations::default();
        let now = now_ms();
        let mut held = revocations.held.lock();
        let last = 50_000;
        for offset in 1..last {
            held.published.insert(offset, (now, "ada".into()));
        }
        drop(held);
        assert!(!revocations.is_full());
        revocations
            .held
            .lock()
            .published
            .insert(last, (now, "ada".into()));
        assert!(revocations.is_full());
        let long_ago = now - u64::try_from(KEPT.as_millis()).unwrap();
        revocations
            .held
            .lock()
            .published
            .insert(1, (long_ago, "ada".into()));
        assert!(!revocations.is_full());
    }

    #[test]
    fn what_no_token_can_outlive_is_forgotten() {
        let epoch = Epoch::begin(1);
        let kept = u64::try_from(KEPT.as_millis()).unwrap();
        let mut held = Held::default();
        for (offset, time, user) in [(1, 1000, "ada"), (2, 2000, "bob"), (3, 3000, "ada")] {
            let taken = held.take(time, epoch, &publication(offset, &revocation(user, time)));
            assert!(taken.is_some());
        }
        // The same again, as histories have what was delivered.
        let again = publication(3, &revocation("ada", 3000));
        assert_eq!(held.take(3000, epoch, &again), None);
        assert_eq!((held.last.len(), held.published.len()), (2, 3));
        held.forget(kept + 2000);
        assert_eq!((held.last.len(), held.published.len()), (1, 1));
        held.forget(kept + 2999);
        assert_eq!((held.last.len(), held.published.len()), (1, 1));
        held.forget(kept + 3000);
        assert_eq!((held.last.len(), held.published.len()), (0, 0));
    }
}
