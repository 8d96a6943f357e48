//! The state that the shards of one engine share.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::config::EngineConfig;
use crate::connection::Placement;
use crate::link::Link;
use crate::room::RoomDirectory;

/// See the [module](self).
pub(crate) struct Shared {
    pub(crate) links: Box<[Arc<Link>]>,
    pub(crate) rooms: Arc<RoomDirectory>,
    /// Held while a broadcast is put into the inboxes, so that all have the same order.
    pub(crate) broadcasts: Mutex<()>,
    limit: usize,
    /// The bytes that may wait for all connections together.
    backlog_total: usize,
    connections: AtomicUsize,
    shutting_down: AtomicBool,
    /// The number of shards that run.
    running: watch::Sender<usize>,
    /// The part that has ended without having been told to; see [`Engine::fail`].
    ///
    /// [`Engine::fail`]: crate::Engine::fail
    failed: watch::Sender<Option<&'static str>>,
    #[cfg(feature = "sim")]
    pub(crate) end_watchdog: End,
}

/// A test's wish that something ends.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct End(AtomicBool);

#[cfg(feature = "sim")]
impl End {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn panic_once(&self) {
        assert!(!self.0.swap(false, Ordering::AcqRel), "ended on purpose");
    }
}

impl Shared {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let shards = u16::try_from(config.shards.get() - 1).unwrap_or(u16::MAX);
        let links: Box<[_]> = (0..=shards)
            .map(|index| Arc::new(Link::new(index)))
            .collect();
        Self {
            rooms: Arc::new(RoomDirectory::new(links.clone())),
            links,
            broadcasts: Mutex::default(),
            limit: config.connections,
            backlog_total: config.backlog_total,
            connections: AtomicUsize::new(0),
            shutting_down: AtomicBool::new(false),
            running: watch::Sender::new(0),
            failed: watch::Sender::new(None),
            #[cfg(feature = "sim")]
            end_watchdog: End::default(),
        }
    }

    /// Chooses the shard for a new connection.
    pub(crate) fn place(&self, placement: Placement) -> &Arc<Link> {
        match placement {
            Placement::Key(key) => {
                // The high bits choose: a hash mixes these best.
                let scaled = u128::from(key) * self.links.len() as u128;
                &self.links[(scaled >> 64) as usize]
            }
            Placement::LeastConnections => self
                .links
                .iter()
                .min_by_key(|link| link.load())
                .expect("an engine has a shard"),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn backlog_total(&self) -> usize {
        self.backlog_total
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts one more connection, unless the limit is reached.
    pub(crate) fn add_connection(&self) -> bool {
        self.connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.limit).then_some(count + 1)
            })
            .is_ok()
    }

    pub(crate) fn remove_connection(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }

    pub(crate) fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Release);
    }

    pub(crate) fn fail(&self, part: &'static str) {
        self.failed
            .send_modify(|failed| *failed = failed.or(Some(part)));
    }

    pub(crate) fn failure(&self) -> Option<&'static str> {
        *self.failed.borrow()
    }

    /// Waits for a failure.
    pub(crate) async fn failed(&self) -> &'static str {
        let mut failed = self.failed.subscribe();
        loop {
            if let Some(part) = *failed.borrow_and_update() {
                return part;
            }
            if failed.changed().await.is_err() {
                unreachable!("`self` has the sender");
            }
        }
    }

    /// Counts one more shard, until the returned guard is dropped.
    pub(crate) fn count_shard(shared: &Arc<Self>) -> Running {
        shared.running.send_modify(|running| *running += 1);
        Running(Arc::clone(shared))
    }

    /// Returns whether a shard runs.
    pub(crate) fn is_running(&self) -> bool {
        *self.running.borrow() > 0
    }

    /// Waits until no shard runs.
    pub(crate) async fn stopped(&self) {
        let mut running = self.running.subscribe();
        // Fails only without a sender, which `self` holds.
        let _ = running.wait_for(|running| *running == 0).await;
    }
}

/// Counts a running shard until dropped.
pub(crate) struct Running(Arc<Shared>);

impl Deref for Running {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}
