//! A set of keys that somebody else publishes and changes.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::algorithm::Family;
use super::key::JwtKey;
use crate::error::BoxError;

/// The age at which the set is fetched again.
const AGE: Duration = Duration::from_secs(10 * 60);
/// The least time between two fetches, whoever asks.
const PAUSE: Duration = Duration::from_secs(30);
/// The same while the set could never be fetched.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The time that a fetch may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A JSON Web Key Set (RFC 7517 §5) that an issuer of tokens publishes, for [`Jwt::jwks`]. A cheap
/// handle, whose clones are the same set.
///
/// The keys are fetched once the first token is looked at or [`start`](Self::start) is called, 10
/// minutes after each fetch again, and when a token names a key that is not among them, but then at
/// most every 30 s. There is one fetch at a time, of 5 s at most, and of 256 KiB. While a fetch
/// fails the keys of the last one hold. Secrets (`oct`) and keys for other purposes are left out.
///
/// The fetch itself is the application's, with its own client of HTTP:
///
/// ```
/// use nextrush::auth::{Jwks, Jwt};
/// # async fn get(_: &str) -> Result<Vec<u8>, std::io::Error> { Ok(Vec::new()) }
///
/// let jwks = Jwks::new(async || get("https://id.example.com/.well-known/jwks.json").await);
/// let jwt = Jwt::with_keys([]).jwks(jwks).issuer("https://id.example.com");
/// # let _ = jwt;
/// ```
///
/// [`Jwt::jwks`]: crate::Jwt::jwks
#[derive(Clone)]
pub struct Jwks(Arc<Inner>);

struct Inner {
    set: Arc<Set>,
    running: OnceLock<(Handle, AbortHandle)>,
}

struct Set {
    fetch: Box<Fetch>,
    state: watch::Sender<State>,
    /// Told when the keys are wanted before their time.
    wanted: Notify,
}

type Fetch = dyn Fn() -> BoxFuture<'static, Result<Bytes, BoxError>> + Send + Sync;

struct State {
    keys: Arc<[JwtKey]>,
    /// True once a fetch has succeeded.
    was_fetched: bool,
    /// The end of the last fetch; `None` while there is one under way or before the first.
    fetched_at: Option<Instant>,
}

impl State {
    /// The least time from a fetch to the next.
    fn pause(&self) -> Duration {
        match self.was_fetched {
            true => PAUSE,
            false => FIRST_PAUSE,
        }
    }
}

impl Jwks {
    /// The largest set in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The set that this function fetches: the text of a JSON Web Key Set.
    ///
    /// Its future is dropped after 5 s.
    #[must_use]
    pub fn new<F, R, B, E>(fetch: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let fetch = move || {
            let fetched = fetch();
            async { fetched.await.map(Into::into).map_err(Into::into) }.boxed()
        };
        Self(Arc::new(Inner {
            set: Arc::new(Set {
                fetch: Box::new(fetch),
                state: watch::Sender::new(State {
                    keys: Arc::default(),
                    was_fetched: false,
                    fetched_at: None,
                }),
                wanted: Notify::new(),
            }),
            running: OnceLock::new(),
        }))
    }

    /// Begins to fetch, before the first token comes. Outside of a tokio runtime it does nothing.
    pub fn start(&self) {
        let Inner { set, running } = &*self.0;
        if let Ok(runtime) = Handle::try_current() {
            running.get_or_init(|| {
                let fetching = runtime.spawn(Arc::clone(set).keep());
                (runtime, fetching.abort_handle())
            });
        }
    }

    /// Waits until no fetch is under way.
    ///
    /// Returns whether the keys have been fetched at all.
    pub async fn fetched(&self) -> bool {
        self.start();
        let mut state = self.0.set.state.subscribe();
        let idle = state.wait_for(|state| state.fetched_at.is_some());
        matches!(timeout(2 * DEADLINE, idle).await, Ok(Ok(state)) if state.was_fetched)
    }

    /// The keys at hand.
    pub(super) fn keys(&self) -> Arc<[JwtKey]> {
        self.start();
        Arc::clone(&self.0.set.state.borrow().keys)
    }

    pub(super) fn was_fetched(&self) -> bool {
        self.0.set.state.borrow().was_fetched
    }

    /// Waits for a fetch that is under way, or for one that is begun for this. False, and at once,
    /// where the last one was too short ago.
    pub(super) async fn renewed(&self) -> bool {
        let set = &self.0.set;
        let mut is_coming = true;
        set.state.send_if_modified(|state| {
            if let Some(fetched_at) = state.fetched_at {
                is_coming = fetched_at.elapsed() >= state.pause();
                if is_coming {
                    state.fetched_at = None;
                    set.wanted.notify_one();
                }
            }
            false
        });
        if is_coming {
            self.fetched().await;
        }
        is_coming
    }

    /// Runs a future beside the fetches; it is dropped where there is nothing to run it.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some((runtime, _)) = self.0.running.get() {
            runtime.spawn(future);
        }
    }
}

impl Set {
    /// Fetches the keys, now and whenever it is time.
    async fn keep(self: Arc<Self>) {
        loop {
            let fetched = self.fetch().await;
            let is_good = fetched.is_ok();
            if let Err(error) = &fetched {
                tracing::warn!(
                    error,
                    "the keys of tokens could not be fetched: those of before hold"
                );
            }
            let mut pause = AGE;
            self.state.send_modify(|state| {
                state.fetched_at = Some(Instant::now());
                match fetched {
                    Ok(keys) => (state.keys, state.was_fetched) = (keys.into(), true),
                    Err(_) => pause = state.pause(),
                }
            });
            tracing::debug!(is_good, "the keys of tokens were fetched");
            tokio::select! {
                () = sleep(pause) => {
                    let mut is_asked_for = false;
                    self.state.send_modify(|state| {
                        is_asked_for = state.fetched_at.take().is_none();
                    });
                    // Both at once are one fetch.
                    if is_asked_for {
                        self.wanted.notified().await;
                    }
                }
                () = self.wanted.notified() => {}
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<JwtKey>, String> {
        let fetched = AssertUnwindSafe(async { (self.fetch)().await }).catch_unwind();
        let text = match timeout(DEADLINE, fetched).await {
            Ok(Ok(fetched)) => fetched.map_err(|error| with_sources(&*error))?,
            Ok(Err(_)) => return Err("the function panicked".to_owned()),
            Err(_) => return Err(format!("it took longer than {} s", DEADLINE.as_secs())),
        };
        if text.len() > Jwks::MAX_BYTES {
            return Err(format!("larger than {} KiB", Jwks::MAX_BYTES / 1024));
        }
        let mut keys = JwtKey::read_all(&text).map_err(|error| error.to_string())?;
        // What everybody can read is no secret.
        keys.retain(|key| key.algorithm().family() != Family::Secret);
        match keys.is_empty() {
            true => Err("there is no public key in it".to_owned()),
            false => Ok(keys),
        }
    }
}

/// An error with its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((_, fetching)) = self.running.get() {
            fetching.abort();
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks")
            .field("keys", &self.0.set.state.borrow().keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::auth::{AuthError, AuthRejection, Authenticate, Authenticated, Jwt};
    use crate::message::User;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fixtures/keys/",
                $name
            ))
        };
    }

    /// An issuer whose answer and its delay can be changed.
    #[derive(Clone, Default)]
    struct Issuer(Arc<Published>);

    #[derive(Default)]
    struct Published {
        fetches: AtomicUsize,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
        answer: Mutex<Option<String>>,
        delay: Mutex<Duration>,
    }

    impl Issuer {
        fn publishing(set: impl Into<String>) -> Self {
            let issuer = Self::default();
            issuer.publish(set);
            issuer
        }

        fn publish(&self, set: impl Into<String>) {
            *self.0.answer.lock() = Some(set.into());
        }

        fn fail(&self) {
            *self.0.answer.lock() = None;
        }

        fn fetches(&self) -> usize {
            self.0.fetches.load(Ordering::SeqCst)
        }

        fn jwt(&self) -> Jwt {
            let issuer = Arc::clone(&self.0);
            Jwt::with_keys([]).jwks(Jwks::new(move || {
                let issuer = Arc::clone(&issuer);
                async move {
                    issuer.fetches.fetch_add(1, Ordering::SeqCst);
                    let now = issuer.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                    issuer.most_at_once.fetch_max(now, Ordering::SeqCst);
                    let delay = *issuer.delay.lock();
                    sleep(delay).await;
                    issuer.at_once.fetch_sub(1, Ordering::SeqCst);
                    issuer.answer.lock().clone().ok_or("the issuer is away")
                }
            }))
        }
    }

    /// The set with the keys of these names only.
    fn set(names: &[&str]) -> String {
        let mut set: serde_json::Value = serde_json::from_str(fixture!("set.json")).unwrap();
        let keys = set["keys"].as_array_mut().unwrap();
        keys.retain(|key| names.contains(&key["kid"].as_str().unwrap()));
        set.to_string()
    }

    fn token(name: &str) -> String {
        let tokens: serde_json::Value = serde_json::from_str(fixture!("tokens.json")).unwrap();
        tokens[name].as_str().unwrap().to_owned()
    }

    async fn check(jwt: &Jwt, name: &str) -> Result<User, AuthError> {
        let checked = jwt.verify_or_fetch::<User>(&token(name)).await;
        checked.map(|checked| checked.claims)
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_fetched_once_for_all_who_wait_and_again_after_10_minutes() {
        let issuer = Issuer::publishing(set(&["RS256", "ES256"]));
        *issuer.0.delay.lock() = Duration::from_secs(3);
        let jwt = issuer.jwt();
        let (one, two) = tokio::join!(check(&jwt, "RS256"), check(&jwt, "ES256"));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        // From now on nobody waits.
        assert!(jwt.verify::<User>(&token("RS256")).is_ok());
        assert_eq!(issuer.fetches(), 1);
        sleep(AGE - Duration::from_secs(1)).await;
        assert_eq!(issuer.fetches(), 1);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(issuer.fetches(), 2);
        // The keys of before hold meanwhile.
        assert!(jwt.verify::<User>(&token("RS256")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_is_looked_for_every_30_seconds_at_most() {
        let issuer = Issuer::publishing(set(&["RS256"]));
        let jwt = issuer.jwt();
        assert!(check(&jwt, "RS256").await.is_ok());
        for _ in 0..100 {
            let refused = check(&jwt, "EdDSA").await;
            assert!(matches!(refused, Err(AuthError::UnknownKey)), "{refused:?}");
        }
        assert_eq!(issuer.fetches(), 1);
        sleep(PAUSE).await;
        issuer.publish(set(&["EdDSA"]));
        let all = (0..100).map(|_| check(&jwt, "EdDSA"));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(issuer.fetches(), 2);
        assert_eq!(issuer.0.most_at_once.load(Ordering::SeqCst), 1);
        // The key that is no longer published is gone.
        let refused = jwt.verify::<User>(&token("RS256"));
        assert!(matches!(refused, Err(AuthError::UnknownKey)), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_fetch_fails_the_keys_of_before_hold() {
        let issuer = Issuer::publishing(set(&["RS256"]));
        let jwt = issuer.jwt();
        assert!(check(&jwt, "RS256").await.is_ok());
        let too_large = format!("{}{}", set(&["RS384"]), " ".repeat(Jwks::MAX_BYTES));
        for answer in [
            None,
            Some("no JSON".to_owned()),
            Some(r#"{"keys":[]}"#.to_owned()),
            // A secret that everybody can read.
            Some(set(&["HS256"])),
            Some(too_large),
        ] {
            match answer.clone() {
                Some(answer) => issuer.publish(answer),
                None => issuer.fail(),
            }
            let fetches = issuer.fetches();
            sleep(PAUSE).await;
            assert!(check(&jwt, "RS384").await.is_err());
            assert_eq!(issuer.fetches(), fetches + 1, "{answer:?}");
            assert!(check(&jwt, "RS256").await.is_ok(), "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_takes_long_is_given_up_after_5_seconds() {
        let issuer = Issuer::publishing(set(&["RS256"]));
        *issuer.0.delay.lock() = Duration::from_secs(3600);
        let jwt = issuer.jwt();
        let asked_at = Instant::now();
        let refused = check(&jwt, "RS256").await;
        assert!(
            matches!(refused, Err(AuthError::KeysUnavailable)),
            "{refused:?}"
        );
        assert_eq!(asked_at.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_fetch_has_succeeded_clients_are_to_come_back() {
        let issuer = Issuer::default();
        let jwt = issuer.jwt();
        let uri = format!("/?token={}", token("RS256"));
        let (request, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        let found = async || {
            let found: Result<Option<Authenticated>, _> =
                Authenticate::authenticate(&jwt, &request).await;
            found
        };
        let refused = found().await;
        assert!(
            matches!(refused, Err(AuthRejection::Unavailable(_))),
            "{refused:?}"
        );
        issuer.publish(set(&["RS256"]));
        // It is tried again soon, and not only when somebody asks.
        sleep(FIRST_PAUSE + Duration::from_secs(1)).await;
        assert!(jwt.verify::<User>(&token("RS256")).is_ok());
        assert!(found().await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn fetching_ends_with_the_last_handle() {
        let issuer = Issuer::publishing(set(&["RS256"]));
        let jwt = issuer.jwt();
        assert!(check(&jwt, "RS256").await.is_ok());
        drop(jwt);
        sleep(3 * AGE).await;
        assert_eq!(issuer.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_the_application_count_beside_the_fetched_ones() {
        let issuer = Issuer::default();
        let keys = JwtKey::read_all(set(&["HS256"])).unwrap();
        let jwt = keys.into_iter().fold(issuer.jwt(), Jwt::key);
        assert!(jwt.verify::<User>(&token("HS256")).is_ok());
    }

    #[cfg(feature = "testing")]
    #[tokio::test(start_paused = true)]
    async fn a_new_token_waits_for_its_key_and_holds_up_no_other_message() {
        use crate::testing::Network;
        use crate::{App, Message, Socket};

        let issuer = Issuer::publishing(set(&["RS256"]));
        let jwt = issuer.jwt();
        let mut app: App = App::new();
        app.jwt(jwt.clone());
        app.ws("/", move |socket: Socket, user: Authenticated| {
            user.admit(&socket);
            socket.filter(jwt.refresh());
            socket.on_message(|socket: Socket, message: Message| socket.send(message));
        });
        let network = Network::new(app);
        let path = format!("/?token={}", token("RS256"));
        let mut client = network.connect(&path).await.unwrap();

        issuer.publish(set(&["ES384"]));
        *issuer.0.delay.lock() = Duration::from_secs(2);
        network.advance(PAUSE).await;
        let refresh = |name| serde_json::json!({ "type": "refresh", "token": token(name) });
        client.send_json(&refresh("ES384"));
        client.send("meanwhile");
        assert_eq!(client.text().await, "meanwhile");
        network.advance(Duration::from_secs(2)).await;
        assert_eq!(client.json().await["type"], "refreshed");
        // One that waits is enough for a socket; tokens whose key is known pass it by.
        issuer.publish(set(&["ES384", "ES256"]));
        network.advance(PAUSE).await;
        client.send_json(&refresh("ES256"));
        for _ in 0..50 {
            client.send_json(&refresh("RS384"));
            let refused = client.json().await;
            assert_eq!(refused["code"], "rate-limited", "{refused}");
            assert_eq!(refused["retryAfterMs"], 1000);
        }
        client.send_json(&refresh("ES384"));
        assert_eq!(client.json().await["type"], "refreshed");
        network.advance(Duration::from_secs(2)).await;
        assert_eq!(client.json().await["type"], "refreshed");
        assert_eq!(issuer.fetches(), 3);
        // No fetch so soon: the answer comes at once.
        client.send_json(&refresh("EdDSA"));
        assert_eq!(client.json().await["code"], "invalid-token");
        assert_eq!(issuer.fetches(), 3);
    }
}
