//! The thread that writes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::error::{Failure, OpenError};
use super::group::{Group, deliver};
use super::request::Request;
use super::shared::Shared;
use super::store::Store;
use super::transfer::Transfer;
use crate::broker::BrokerError;
use crate::history::HistoryQuery;
use crate::topic::Topic;

/// The most requests in one group.
const GROUP_REQUESTS: usize = 8192;
/// The most bytes of a group, more or less.
const GROUP_BYTES: usize = 8 << 20;
/// How long the writer waits after a failure before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Whether there is room again is found out by writing as much as this.
const PROBE_BYTES: usize = 1 << 20;

/// The only one who writes: takes requests by the group, and between groups moves what they
/// left in the log to the tables.
pub(super) struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    /// The number of the newest group.
    group: u64,
    /// What the next new topic is numbered.
    next_topic: u64,
    transfer: Transfer,
    /// Set after the disk failed: why, and when it was tried last.
    failed: Option<(Failure, Instant)>,
    /// Topics of which it is open what is on disk, and the newest offset that is certain.
    doubtful: BTreeMap<Topic, u64>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
    ) -> Result<Self, BrokerError> {
        let (group, next_topic) = numbers(&shared)?;
        Ok(Self {
            shared,
            requests,
            group,
            next_topic,
            transfer: Transfer::default(),
            failed: None,
            doubtful: BTreeMap::new(),
        })
    }

    /// Writes until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        loop {
            let first = match self.requests.recv_timeout(self.transfer.rest()) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // What came while the last group was written is the next one.
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

    /// Writes a group. Returns what it adds to the log.
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
        // Room in the queue is free again when the group is written, all at once.
        let mut space: Option<OwnedSemaphorePermit> = None;
        for request in requests {
            group.add(request.task);
            match &mut space {
                Some(space) => space.merge(request.space),
                None => space = Some(request.space),
            }
        }
        if group.is_empty() {
            group.succeed(0);
            return 0;
        }
        let number = self.group + 1;
        match group.commit(number) {
            Ok(bytes) => {
                self.group = number;
                self.next_topic = group.next_topic();
                let logged = group.succeed(bytes);
                let weight = logged.weight;
                self.transfer.note(number, logged);
                weight
            }
            Err(failure) => {
                let doubtful = group.fail(&failure);
                self.fail(failure, doubtful);
                0
            }
        }
    }

    fn transfer(&mut self, written: usize) {
        let shared = Arc::clone(&self.shared);
        let store = shared.store.read();
        let Some(store) = &*store else {
            return;
        };
        if let Err(failure) = self.transfer.run(&shared, store, written) {
            self.fail(failure, []);
        }
    }

    fn fail(&mut self, failure: Failure, doubtful: impl IntoIterator<Item = (Topic, u64)>) {
        self.failed = Some((failure, Instant::now()));
        for (topic, certain) in doubtful {
            // The first failure knows best: nothing was written since.
            self.doubtful.entry(topic).or_insert(certain);
        }
    }

    /// After a failure: opens the store anew once the disk takes something again.
    fn recover(&mut self) -> Result<(), Failure> {
        let Some((failure, tried)) = &self.failed else {
            return Ok(());
        };
        if tried.elapsed() < RETRY_AFTER {
            return Err(failure.clone());
        }
        match self.reopen() {
            Ok(()) => {
                self.failed = None;
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from(error);
                self.failed = Some((failure.clone(), Instant::now()));
                Err(failure)
            }
        }
    }

    fn reopen(&mut self) -> Result<(), BrokerError> {
        let shared = Arc::clone(&self.shared);
        // While there is no room the old one is good for reading, and a new one is not.
        probe(&shared.directory).map_err(fjall::Error::Io)?;
        {
            let mut store = shared.store.write();
            *store = None;
            let opened = Store::open(&shared.directory, &shared.clock, None)
                .map_err(OpenError::into_broker_error)?;
            *store = Some(opened);
        }
        (self.group, self.next_topic) = numbers(&shared)?;
        // What was only in the log is in the tables now.
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

/// The number of the newest group, and that of the next new topic.
fn numbers(shared: &Shared) -> Result<(u64, u64), BrokerError> {
    shared.with_store(|store| Ok((store.group()?, store.next_topic()?)))
}

/// Reads a topic again and hands on what is on disk beyond what was certain.
fn deliver_after(shared: &Shared, topic: &Topic, certain: u64) -> Result<(), BrokerError> {
    shared.topics.enter(topic, |cached, _| cached.unload());
    shared.enter_loaded(topic, |cached, now_ms| {
        let after = HistoryQuery::After {
            offset: certain,
            limit: usize::MAX,
        };
        let Some(history) = cached.read(after, now_ms) else {
            return;
        };
        for publication in &history.publications {
            deliver(shared, cached, topic, history.position.epoch, publication);
        }
    })
}

/// Finds out whether the disk takes something.
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
