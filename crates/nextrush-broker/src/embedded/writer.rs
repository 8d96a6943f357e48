//! The thread that writes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::damage::Verify;
use super::eraser::Eraser;
use super::error::{Failure, OpenError};
use super::group::{Group, deliver, send, tell_deleted};
use super::request::{Delete, Request, Task};
use super::shared::Shared;
use super::store::Store;
use super::transfer::Transfer;
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::HistoryQuery;
use crate::topic_name::TopicName;

/// The most requests in one group.
const GROUP_REQUESTS: usize = 8192;
/// The approximate bytes of a full group.
const GROUP_BYTES: usize = 8 << 20;
/// The time between two attempts after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The time between two looks at what fjall has done in the background.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// The size of the test for free space.
const PROBE_BYTES: usize = 1 << 20;

/// The only writer of the store: writes requests in groups, and moves the log to the tables
/// in between.
pub(super) struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    /// The number of the newest group.
    group: u64,
    /// The number of the next new topic.
    next_topic: u64,
    transfer: Transfer,
    eraser: Eraser,
    /// The last failure of the disk and the time of the last attempt, until one succeeds.
    failed: Option<(Failure, Instant)>,
    /// The topics whose state on disk is unknown, each with its last durable offset.
    doubtful: BTreeMap<TopicName, u64>,
    watched: Instant,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
    ) -> Result<Self, BrokerError> {
        let (group, next_topic) = numbers(&shared)?;
        let mut eraser = Eraser::default();
        if shared.with_store(Store::is_to_erase)? {
            eraser.note();
        }
        Ok(Self {
            shared,
            requests,
            group,
            next_topic,
            transfer: Transfer::default(),
            eraser,
            failed: None,
            doubtful: BTreeMap::new(),
            watched: Instant::now(),
        })
    }

    /// Writes until the broker is dropped.
    pub(super) fn run(mut self) {
        loop {
            let rest = match self.failed {
                Some(_) => RETRY_AFTER,
                None => self.transfer.rest(),
            };
            let first = match self.requests.recv_timeout(rest) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            };
            // The requests that came while the last group was written form the next one.
            let mut requests = Vec::from_iter(first);
            let mut bytes = 0;
            while bytes < GROUP_BYTES
                && requests.len() < GROUP_REQUESTS
                && let Ok(request) = self.requests.try_recv()
            {
                bytes += request.space.num_permits();
                requests.push(request);
            }
            let written = if requests.is_empty() {
                0
            } else {
                self.write(requests)
            };
            if self.failed.is_none() {
                self.transfer(written);
            }
        }
    }

    /// Writes a group. Returns the bytes that it adds to the log.
    fn write(&mut self, requests: Vec<Request>) -> usize {
        if let Err(failure) = self.recover() {
            for request in requests {
                request.task.refuse(&failure);
            }
            return 0;
        }
        let shared = Arc::clone(&self.shared);
        let store = shared.store.read();
        let Some(store) = &*store else {
            return 0;
        };
        let mut group = Group::new(&shared, store, self.next_topic);
        let mut deletions = Vec::new();
        let mut snapshots = Vec::new();
        // The room in the queue is freed all at once when the group is written.
        let mut space: Option<OwnedSemaphorePermit> = None;
        for request in requests {
            match request.task {
                Task::Delete(delete) => deletions.push(delete),
                Task::Snapshot { reply } => snapshots.push(reply),
                task => group.add(task),
            }
            match &mut space {
                Some(space) => space.merge(request.space),
                None => space = Some(request.space),
            }
        }
        let mut weight = 0;
        if group.is_empty() {
            group.succeed(0);
        } else {
            let number = self.group + 1;
            match group.commit(number) {
                Ok(bytes) => {
                    self.group = number;
                    self.next_topic = group.next_topic();
                    let logged = group.succeed(bytes);
                    weight = logged.weight;
                    self.transfer.note(number, logged);
                }
                Err(failure) => {
                    let doubtful = group.fail(&failure);
                    self.fail(failure, doubtful);
                }
            }
        }
        // After the group, so that what was published before is deleted as well.
        for Delete {
            topic,
            which,
            reply,
        } in deletions
        {
            send(reply, self.delete(&shared, store, &topic, &which));
        }
        for reply in snapshots {
            let moved = self.move_all(&shared, store);
            send(reply, moved.map(|()| store.db.snapshot()));
        }
        weight
    }

    /// Deletes publications in the tables, after everything has been moved there.
    fn delete(
        &mut self,
        shared: &Shared,
        store: &Store,
        topic: &TopicName,
        which: &Deletion,
    ) -> Result<usize, BrokerError> {
        self.move_all(shared, store)?;
        let offsets = match store.delete(topic, which) {
            Ok(deleted) => {
                self.transfer.recount(deleted.changed);
                deleted.offsets
            }
            // Nothing was written.
            Err(error @ BrokerError::Damaged(_)) => return Err(error),
            Err(error) => {
                let failure = Failure::from(error);
                // Read again once the disk works, whether or not the deletion reached it.
                self.fail(failure.clone(), [(topic.clone(), u64::MAX)]);
                return Err(failure.into());
            }
        };
        // The files may hold what the topic remembers no more.
        self.eraser.note();
        if offsets.is_empty() {
            return Ok(0);
        }
        let deleted = shared.topics.enter(topic, |cached, now| {
            let (epoch, deleted) = cached.delete(&offsets, now)?;
            tell_deleted(shared, cached, topic, epoch, &deleted);
            Some(deleted.len())
        });
        Ok(deleted.unwrap_or(offsets.len()))
    }

    /// Moves all of the log to the tables.
    fn move_all(&mut self, shared: &Shared, store: &Store) -> Result<(), BrokerError> {
        if let Some((failure, _)) = &self.failed {
            return Err(failure.clone().into());
        }
        self.transfer.run_all(shared, store).map_err(|failure| {
            self.fail(failure.clone(), []);
            failure.into()
        })
    }

    fn transfer(&mut self, written: usize) {
        let shared = Arc::clone(&self.shared);
        let store = shared.store.read();
        let Some(store) = &*store else {
            return;
        };
        if let Err(failure) = self.transfer.run(&shared, store, written) {
            return self.fail(failure, []);
        }
        if self.watched.elapsed() >= WATCH_EVERY {
            self.watched = Instant::now();
            if let Err(failure) = store.watch() {
                self.fail(failure, []);
            }
        }
        if let Ok(files) = store.disk_space() {
            let usage = self.transfer.usage();
            let large = usage.above(shared.limit.share()).map(|(owner, _)| owner);
            shared.limit.note(files, large);
            self.eraser.tick(store, &shared.limit, files);
        }
        match self.transfer.shed(&shared, store, written) {
            Ok(deletions) => {
                for (topic, which) in deletions {
                    // A failure is noted; what cannot be read is reported to who reads it.
                    let _ = self.delete(&shared, store, &topic, &which);
                }
            }
            Err(failure) => self.fail(failure, []),
        }
    }

    /// Erases what was deleted, when the broker is being dropped.
    fn finish(&mut self) {
        if let Some(store) = &*self.shared.store.read()
            && self.failed.is_none()
        {
            self.eraser.finish(store);
        }
        self.eraser.wait();
    }

    fn fail(&mut self, failure: Failure, doubtful: impl IntoIterator<Item = (TopicName, u64)>) {
        self.failed = Some((failure, Instant::now()));
        for (topic, certain) in doubtful {
            // The first failure has the right offset, as nothing was written since.
            self.doubtful.entry(topic).or_insert(certain);
        }
    }

    /// Opens the store again after a failure, once the disk can be written to.
    fn recover(&mut self) -> Result<(), Failure> {
        let Some((failure, tried)) = &self.failed else {
            return Ok(());
        };
        if tried.elapsed() < RETRY_AFTER {
            return Err(failure.clone());
        }
        // fjall stops writing when it finds damage while it merges tables, and says so only in
        // its log.
        let verify = match failure.is_poisoned() {
            true => Verify::All,
            false => Verify::New,
        };
        match self.reopen(verify) {
            Ok(()) => {
                self.failed = None;
                Ok(())
            }
            Err(error) => {
                if let BrokerError::Damaged(_) = error {
                    self.shared.fail("the store is damaged and");
                }
                let failure = Failure::from(error);
                self.failed = Some((failure.clone(), Instant::now()));
                Err(failure)
            }
        }
    }

    fn reopen(&mut self, verify: Verify) -> Result<(), BrokerError> {
        let shared = Arc::clone(&self.shared);
        // While the disk is full the old store can read, and a new one could not be opened.
        probe(&shared.directory).map_err(fjall::Error::Io)?;
        self.eraser.wait();
        {
            shared.closings.fetch_add(1, Ordering::Relaxed);
            let mut store = shared.store.write();
            // fjall panics if one of its threads did.
            let closed = store.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(closed)));
            let opened = Store::open(&shared.directory, &shared.clock, None, verify)
                .map_err(OpenError::into_broker_error)?;
            *store = Some(opened);
        }
        (self.group, self.next_topic) = numbers(&shared)?;
        // Opening has moved the log to the tables.
        for topic in self.transfer.reset() {
            shared
                .topics
                .enter_existing(&topic, |cached, _| cached.unload());
        }
        shared.recent.clear();
        while let Some((topic, certain)) = self.doubtful.pop_first() {
            let delivered = deliver_after(&shared, &topic, certain);
            if let Err(error) = delivered {
                self.doubtful.insert(topic, certain);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The number of the newest group and the number of the next new topic.
fn numbers(shared: &Shared) -> Result<(u64, u64), BrokerError> {
    shared.with_store(|store| Ok((store.group()?, store.next_topic()?)))
}

/// Reads a topic again and delivers its publications after the last durable one.
fn deliver_after(shared: &Shared, topic: &TopicName, certain: u64) -> Result<(), BrokerError> {
    shared.topics.enter(topic, |cached, _| cached.unload());
    shared.enter_loaded(topic, |cached, now| {
        let after = HistoryQuery::After {
            offset: certain,
            limit: usize::MAX,
        };
        let Some(history) = cached.read(after, now) else {
            return;
        };
        for publication in &history.publications {
            deliver(shared, cached, topic, history.position.epoch, publication);
        }
    })
}

/// Tests whether the disk can be written to.
fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join("PROBE");
    let write = || -> io::Result<()> {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    };
    let written = write();
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}
