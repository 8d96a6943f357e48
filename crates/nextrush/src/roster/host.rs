//! The rosters of an application on this node, and what they share.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use nextrush_broker::{BoxFuture, BrokerError, RosterChange, RosterRevision, RosterSink};
use nextrush_broker::{Rosters as Store, TopicName};
use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::change::Shown;
use super::living::Living;
use super::place::{Home, Place};
use super::rules::Rules;
use super::store_time::StoreTime;
use crate::node::LivingNode;
use crate::node::line::Line;
use crate::socket::handle::Handle;

/// The time between two looks at which nodes are alive.
const LIVING: Duration = Duration::from_secs(3);
/// The time between two looks at the revisions of all rosters, give or take a fifth.
const CHECK: Duration = Duration::from_secs(10);
/// The most revisions that are read at once.
const CHECKED: usize = 512;

/// A function that reads the homes that are alive.
pub(crate) type ReadLiving =
    Box<dyn Fn() -> BoxFuture<'static, Result<HashSet<Home>, BrokerError>> + Send + Sync>;

/// The rosters of an application on this node, and what they share: the store, the place of this
/// node, the time of the store's clock, and the looks at what is alive.
pub(crate) struct RosterHost {
    /// `None` if no other node has these rosters.
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) home: Arc<Home>,
    pub(super) time: StoreTime,
    pub(super) chance: Chance,
    living: ReadLiving,
    /// This node is known to be alive.
    is_announced: AtomicBool,
    /// The rosters that this node follows in the store. On a node alone there are none: nothing
    /// comes from outside.
    followed: Mutex<HashMap<TopicName, Weak<dyn Followed>>>,
    /// The rosters that have to tell the store something: they stay when whoever used them is gone,
    /// as at the end of the process.
    held: Mutex<HashMap<TopicName, Arc<dyn Followed>>>,
    /// `true` when the tasks of the host run.
    has_tasks: AtomicBool,
    /// The runtime of whoever has come first, for those who come from outside.
    runtime: OnceLock<Runtime>,
    pub(super) changed: Notify,
}

/// A roster of any kind, as its host sees it.
pub(super) trait Followed: Send + Sync {
    fn pushed(self: Arc<Self>, change: Arc<RosterChange>);

    fn interrupted(self: Arc<Self>);

    fn living(self: Arc<Self>, living: Arc<Living>);

    fn checked(self: Arc<Self>, known: RosterRevision, found: RosterRevision);

    /// The revision to compare with that of the store; `None` if it is about to change.
    fn revision(&self) -> Option<RosterRevision>;

    fn has_others(&self) -> bool;

    fn is_settled(&self) -> bool;
}

impl Handle {
    /// The rosters of the application on this node.
    pub(crate) fn roster_host(&self) -> Arc<RosterHost> {
        self.part(|| {
            let store = self.broker().rosters();
            let line = Arc::clone(self.line());
            let home = Home::new(line.bus().node().clone(), line.boot());
            RosterHost::new(store, home, move || {
                let line = Arc::clone(&line);
                Box::pin(async move { living(&line).await })
            })
        })
    }
}

/// The homes that are alive, this one among them.
async fn living(line: &Line) -> Result<HashSet<Home>, BrokerError> {
    let is_own = |living: &LivingNode| living.boot == line.boot();
    let mut living = line.living().await?;
    if !living.iter().any(is_own) {
        line.announce().await?;
        living = line.living().await?;
    }
    let homes = living.into_iter();
    Ok(homes
        .map(|living| Home::new(living.node, living.boot))
        .collect())
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

impl RosterHost {
    /// The rosters of a store, or of a node alone. `living` reads the homes that are alive; this
    /// one has to be among them before it commits anything.
    pub(crate) fn new(
        store: Option<Arc<dyn Store>>,
        home: Home,
        living: impl Fn() -> BoxFuture<'static, Result<HashSet<Home>, BrokerError>>
        + Send
        + Sync
        + 'static,
    ) -> Arc<Self> {
        Self::with_seed(store, home, living, random())
    }

    /// The same, with a seed for all that is random.
    pub(crate) fn with_seed(
        store: Option<Arc<dyn Store>>,
        home: Home,
        living: impl Fn() -> BoxFuture<'static, Result<HashSet<Home>, BrokerError>>
        + Send
        + Sync
        + 'static,
        seed: u64,
    ) -> Arc<Self> {
        let host = Arc::new(Self {
            store,
            home: Arc::new(home),
            time: StoreTime::new(),
            chance: Chance::new(seed),
            living: Box::new(living),
            is_announced: AtomicBool::new(false),
            followed: Mutex::default(),
            held: Mutex::default(),
            has_tasks: AtomicBool::new(false),
            runtime: OnceLock::new(),
            changed: Notify::new(),
        });
        if let Some(store) = &host.store {
            store.attach(Arc::new(Ear(Arc::downgrade(&host))));
        }
        host
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The time of the store's clock in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.time.now_ms()
    }

    /// Waits until the store has everything that this node wants; `false` if it has not at the
    /// deadline. For the end of the process, when all sockets are gone.
    pub(crate) async fn settled(&self, deadline: Duration) -> bool {
        let deadline = Instant::now() + deadline;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.all().iter().all(|(_, roster)| roster.is_settled()) {
                return true;
            }
            if timeout_at(deadline, changed).await.is_err() {
                return false;
            }
        }
    }

    /// Sees to it that this node is known to be alive. Done before it is in any roster.
    pub(super) async fn announce(&self) -> Result<(), BrokerError> {
        if !self.is_announced.load(Ordering::Relaxed) {
            self.living().await?;
            self.is_announced.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The homes that are alive, as they are read now.
    pub(super) async fn living(&self) -> Result<Living, BrokerError> {
        let asked = Instant::now();
        let homes = (self.living)().await?;
        Ok(Living { asked, homes })
    }

    pub(super) fn follow(self: &Arc<Self>, roster: &TopicName, followed: Weak<dyn Followed>) {
        if self.store.is_none() {
            return;
        }
        self.followed.lock().insert(roster.clone(), followed);
        if !self.has_tasks.swap(true, Ordering::Relaxed) {
            self.start_tasks();
        }
    }

    /// Keeps a roster for as long as the store has to be told something, or keeps it no more.
    /// What is given back is not to be dropped under a lock.
    pub(super) fn hold(
        &self,
        roster: &TopicName,
        unsettled: Option<Arc<dyn Followed>>,
    ) -> Option<Arc<dyn Followed>> {
        let mut held = self.held.lock();
        match unsettled {
            Some(unsettled) => held.insert(roster.clone(), unsettled),
            None => held.remove(roster),
        }
    }

    pub(super) fn forget(&self, roster: &TopicName, forgotten: &Weak<dyn Followed>) {
        let mut followed = self.followed.lock();
        if followed
            .get(roster)
            .is_some_and(|known| known.ptr_eq(forgotten))
        {
            followed.remove(roster);
        }
    }

    /// Runs a task. Without a runtime, here and of anybody before, nothing can be done.
    pub(super) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        let runtime = match Runtime::try_current() {
            Ok(runtime) => Some(self.runtime.get_or_init(|| runtime)),
            Err(_) => self.runtime.get(),
        };
        let Some(runtime) = runtime else {
            tracing::error!("a roster is used outside of any runtime");
            return None;
        };
        Some(runtime.spawn(task).abort_handle())
    }

    fn find(&self, roster: &TopicName) -> Option<Arc<dyn Followed>> {
        self.followed.lock().get(roster)?.upgrade()
    }

    fn all(&self) -> Vec<(TopicName, Arc<dyn Followed>)> {
        let followed = self.followed.lock();
        let alive = |(roster, followed): (&TopicName, &Weak<dyn Followed>)| {
            Some((roster.clone(), followed.upgrade()?))
        };
        followed.iter().filter_map(alive).collect()
    }

    fn start_tasks(self: &Arc<Self>) {
        let host = Arc::downgrade(self);
        self.spawn(async move {
            loop {
                sleep(LIVING).await;
                let Some(host) = host.upgrade() else { return };
                host.look_at_living().await;
            }
        });
        let host = Arc::downgrade(self);
        self.spawn(async move {
            loop {
                let Some(pause) = host.upgrade().map(|host| host.chance.about(CHECK)) else {
                    return;
                };
                sleep(pause).await;
                let Some(host) = host.upgrade() else { return };
                host.check().await;
            }
        });
    }

    /// Tells rosters with members elsewhere which nodes are alive.
    async fn look_at_living(&self) {
        let mut with_others = self.all();
        with_others.retain(|(_, roster)| roster.has_others());
        if with_others.is_empty() {
            return;
        }
        match self.living().await {
            Ok(living) => {
                let living = Arc::new(living);
                for (_, roster) in with_others {
                    roster.living(Arc::clone(&living));
                }
            }
            Err(error) => tracing::debug!(%error, "it cannot be known which nodes are alive"),
        }
    }

    /// Compares the revisions of all rosters with those of the store.
    async fn check(&self) {
        let Some(store) = &self.store else { return };
        let mut known: Vec<_> = self
            .all()
            .into_iter()
            .filter_map(|(name, roster)| Some((name, roster.revision()?, roster)))
            .collect();
        known.sort_by(|(name, ..), (other, ..)| name.cmp(other));
        for some in known.chunks(CHECKED) {
            let names: Vec<_> = some.iter().map(|(name, ..)| name.clone()).collect();
            match store.revisions(&names).await {
                Ok(found) => {
                    for ((_, known, roster), found) in some.iter().zip(found) {
                        if found != *known {
                            Arc::clone(roster).checked(*known, found);
                        }
                    }
                }
                Err(error) => return tracing::debug!(%error, "rosters cannot be checked"),
            }
        }
    }
}

impl fmt::Debug for RosterHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RosterHost")
            .field("home", &self.home)
            .field("is_alone", &self.store.is_none())
            .finish_non_exhaustive()
    }
}

/// The store's way to the rosters of this node. It owns nothing.
struct Ear(Weak<RosterHost>);

impl RosterSink for Ear {
    fn changed(&self, topic: &TopicName, change: &Arc<RosterChange>) {
        let roster = self.0.upgrade().and_then(|host| host.find(topic));
        if let Some(roster) = roster {
            roster.pushed(Arc::clone(change));
        }
    }

    fn interrupted(&self) {
        let host = self.0.upgrade();
        for (_, roster) in host.iter().flat_map(|host| host.all()) {
            roster.interrupted();
        }
    }
}

/// The things that a roster needs from outside.
pub(super) struct Surroundings<'a, R: Rules> {
    pub(super) time: &'a StoreTime,
    pub(super) chance: &'a Chance,
    pub(super) shown: &'a Shown<R>,
}

impl<R: Rules> Surroundings<'_, R> {
    /// The tag of a new revision.
    pub(super) fn tag(&self) -> u64 {
        self.chance.draw().max(1)
    }

    /// A time up to the longest one.
    pub(super) fn spread(&self, longest: Duration) -> Duration {
        self.chance.up_to(longest)
    }

    /// The place of a member that is waited for from now on.
    pub(super) fn lost_until(&self, grace: Duration) -> Place {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Place::LostUntil(self.time.now_ms().saturating_add(grace_ms))
    }

    /// The time for which a member is still waited for, if it is lost.
    pub(super) fn left_until(&self, place: &Place) -> Option<Duration> {
        match place {
            Place::At { .. } => None,
            Place::LostUntil(until) => Some(self.time.until(*until)),
        }
    }
}

/// Numbers that look random, the same for the same seed.
#[derive(Debug)]
pub(super) struct Chance {
    seed: u64,
    drawn: AtomicU64,
}

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    fn draw(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        (self.seed, number).hash(&mut hasher);
        hasher.finish()
    }

    fn up_to(&self, longest: Duration) -> Duration {
        let part = u32::try_from(self.draw() % 1024).unwrap_or_default();
        longest * part / 1024
    }

    /// A time that is as long, give or take a fifth.
    fn about(&self, time: Duration) -> Duration {
        time * 4 / 5 + self.up_to(time * 2 / 5)
    }
}
