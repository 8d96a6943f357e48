//! The nodes that live.

use std::sync::Weak;
use std::time::Duration;

use nextrush_broker::NodeName;
use tokio::time::{Instant, sleep};

use super::Line;
use super::message::Kind;
use crate::failure::Failure;
use crate::format::whole_ms;
use crate::link::ServerId;
use crate::partition::{PARTITIONS, Partition};
use crate::script::SCRIPTS;
use crate::store::LAYOUT;

/// The time for which a node is known to live after it has said so.
const LEASE: Duration = Duration::from_secs(10);
/// The time between two signs of life.
const EVERY: Duration = Duration::from_secs(3);
/// The time after which a sign of life that failed is tried again, and between two looks at a name
/// that is taken.
const AGAIN: Duration = Duration::from_millis(500);
/// The signs of life in a row that the server takes before a list without a node that was there
/// is believed. They take 9 s: after a lack of memory or of the server, each node has connected
/// again, which takes 5 s, and said that it lives.
const STEADY: u8 = 4;

/// The outcome of an act on the list of nodes.
enum Listed {
    Known(Known),
    /// Another process has the name, and a lease until this time in milliseconds.
    Taken(u64),
}

/// An act on the list of nodes.
#[derive(Clone, Copy)]
enum Act {
    Read,
    Live,
    /// Takes the name, unless another process has a lease that ends at another time than this one.
    Join {
        dead_until_ms: u64,
    },
    Leave,
}

/// The knowledge of a node about the others and about its own signs of life.
#[derive(Default)]
pub(super) struct Signs {
    /// The signs of life in a row that the server has taken, up to [`STEADY`].
    renewed: u8,
    /// The moment before the newest of them.
    last: Option<Instant>,
    /// The nodes that lived when the server took them steadily.
    steady: Vec<NodeName>,
    /// The layout in which nodes write; 0 before it is known.
    layout: u8,
}

/// The nodes that are known.
pub(super) struct Known {
    is_new: bool,
    pub(super) living: Vec<NodeName>,
    /// The nodes that died less than an hour ago.
    pub(super) dead: Vec<NodeName>,
}

impl Line {
    /// Takes the node's name. The lease of another process that has it decides: until it ends
    /// this waits, unless nobody listens for that process, whose connections are then gone.
    ///
    /// # Errors
    ///
    /// [`Failure::NameTaken`] if the other process says meanwhile that it lives.
    pub(super) async fn take_name(&self) -> Result<(), Failure> {
        let mut dead_until_ms = 0;
        let mut seen = None;
        loop {
            let begun = Instant::now();
            let until_ms = match self.act(Act::Join { dead_until_ms }).await? {
                Listed::Known(known) => {
                    let mut state = self.state.lock();
                    let signs = &mut state.signs;
                    (signs.renewed, signs.last) = (STEADY, Some(begun));
                    signs.steady = known.living;
                    return Ok(());
                }
                Listed::Taken(until_ms) => until_ms,
            };
            match seen.replace(until_ms) {
                Some(before) if before != until_ms => return Err(self.taken()),
                Some(_) => {}
                None => tracing::info!(
                    node = %self.node,
                    "waiting until the lease of another process of this name ends"
                ),
            }
            // Of a process that has ended nobody hears what it is sent.
            if self.send(&self.node, Kind::Answer, 0, &[]).await? {
                sleep(AGAIN).await;
            } else {
                dead_until_ms = until_ms;
            }
        }
    }

    /// Gives the node's name back.
    pub(super) async fn give_name_back(&self) {
        // Otherwise the others learn it when the lease ends.
        let _ = self.act(Act::Leave).await;
    }

    fn taken(&self) -> Failure {
        Failure::NameTaken(self.node.clone())
    }

    /// Says that this node lives, and puts its members again if it counted as dead.
    pub(super) async fn live(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        let known = self.known(Act::Live).await;
        self.note(&known, begun);
        if !known?.is_new {
            return Ok(());
        }
        let leases = self.state.lock().leases.clone();
        for ((set, member), value) in leases {
            self.put(&set, &member, &value).await?;
        }
        Ok(())
    }

    /// Makes sure that no other process can have the node's name: one may have taken it when this
    /// one had stood still for longer than its lease.
    pub(super) async fn hold_name(&self) -> Result<(), Failure> {
        let last = self.state.lock().signs.last;
        match last.is_some_and(|last| last.elapsed() < LEASE) {
            true => Ok(()),
            false => self.live().await,
        }
    }

    /// Notes whether the server has taken a sign of life.
    fn note(&self, known: &Result<Known, Failure>, begun: Instant) {
        let mut state = self.state.lock();
        let signs = &mut state.signs;
        let Ok(known) = known else {
            signs.renewed = 0;
            return;
        };
        signs.last = Some(begun);
        let before = if known.is_new { 0 } else { signs.renewed };
        signs.renewed = (before + 1).min(STEADY);
        if signs.renewed == STEADY {
            signs.steady.clone_from(&known.living);
        }
    }

    /// Reads which nodes live.
    ///
    /// # Errors
    ///
    /// Also if living nodes may be missing in the list: this one is, or one that is gone since the
    /// server does not take this node's signs of life, and then perhaps nobody's.
    pub(super) async fn nodes(&self) -> Result<Known, Failure> {
        let known = self.known(Act::Read).await?;
        let is_missing = |node: &NodeName| !known.living.contains(node);
        let mut state = self.state.lock();
        let signs = &mut state.signs;
        let is_doubtful = signs.renewed < STEADY && signs.steady.iter().any(is_missing);
        if is_doubtful || is_missing(&self.node) {
            return Err(Failure::Unlisted);
        }
        if signs.renewed == STEADY {
            let is_new = |node: &&NodeName| !signs.steady.contains(node);
            let new: Vec<_> = known.living.iter().filter(is_new).cloned().collect();
            signs.steady.extend(new);
        }
        drop(state);
        Ok(known)
    }

    /// Acts on the list of nodes as the process that has the node's name.
    async fn known(&self, act: Act) -> Result<Known, Failure> {
        let known = match self.act(act).await {
            Ok(Listed::Known(known)) => Ok(known),
            Ok(Listed::Taken(_)) => Err(self.taken()),
            Err(failure) => Err(failure),
        };
        if matches!(known, Err(Failure::NameTaken(_) | Failure::Newer(_))) {
            self.displaced.send_replace(true);
        }
        known
    }

    async fn act(&self, act: Act) -> Result<Listed, Failure> {
        let keys = &self.store.keys;
        let keys = [keys.nodes(), keys.processes(), keys.layout()];
        let (word, dead_until_ms) = match act {
            Act::Read => ("read", 0),
            Act::Live => ("live", 0),
            Act::Join { dead_until_ms } => ("join", dead_until_ms),
            Act::Leave => ("leave", 0),
        };
        let is_steady = self.state.lock().signs.renewed == STEADY;
        let call = |_: ServerId, in_full: bool| {
            let mut call = SCRIPTS.nodes.call_either(&keys, in_full);
            call.arg(whole_ms(LEASE)).arg(self.node.as_str());
            call.arg(&self.process).arg(word).arg(dead_until_ms);
            call.arg(PARTITIONS).arg(u8::from(is_steady));
            call
        };
        let reply = self
            .store
            .requests
            .run(Partition::FIRST, call, None)
            .await?;
        let reply = redis::from_redis_value::<(u64, u8, Vec<String>, Vec<String>, u8)>(reply);
        let (taken_until_ms, is_new, living, dead, layout) =
            reply.map_err(|_| Failure::Damaged("the list of nodes".to_owned()))?;
        if layout > LAYOUT {
            return Err(Failure::Newer(layout));
        }
        let before = std::mem::replace(&mut self.state.lock().signs.layout, layout);
        if before != layout && before > 0 {
            tracing::info!(
                layout,
                "data in Redis is written in another layout from now on"
            );
        }
        if taken_until_ms > 0 {
            return Ok(Listed::Taken(taken_until_ms));
        }
        Ok(Listed::Known(Known {
            is_new: is_new == 1,
            living: names(&living),
            dead: names(&dead),
        }))
    }
}

/// A process: a random number, and the newest layout that it knows.
pub(super) fn process() -> [u8; 17] {
    let mut process = [LAYOUT; 17];
    process[..16].copy_from_slice(&rand::random::<[u8; 16]>());
    process
}

fn names(texts: &[String]) -> Vec<NodeName> {
    let names = texts
        .iter()
        .filter_map(|text| NodeName::try_from(&**text).ok());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Says every 3 s that the node lives, until another process has its name or the others write what
/// this program cannot read.
pub(super) async fn keep_living(line: Weak<Line>) {
    let mut pause = EVERY;
    loop {
        sleep(pause).await;
        let Some(line) = line.upgrade() else {
            return;
        };
        pause = match line.live().await {
            Ok(()) => EVERY,
            Err(failure @ (Failure::NameTaken(_) | Failure::Newer(_))) => {
                tracing::error!("this process is no node any more: {failure}");
                return;
            }
            Err(failure) => {
                tracing::debug!("other nodes do not know that this one lives: {failure}");
                AGAIN
            }
        };
    }
}
