//! The living nodes, and the version of messages that all of them read.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use nextrush_broker::{BrokerError, Bus, NodeName, TopicName};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::line::Line;

/// The set in which each node says which start of its process it is, and what it reads.
const BOOTS: &str = "boots";
/// The name of the one member that a node has there.
const BOOT: &str = "boot";
/// The time between two looks at the others.
const EVERY: Duration = Duration::from_secs(3);

/// A living node.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LivingNode {
    /// Its name.
    pub node: NodeName,
    /// A random number of its process: after a restart of a node the number is another one.
    pub boot: u64,
    /// The highest version of messages between nodes that it writes. It reads that one and the
    /// one before.
    pub version: u8,
}

impl LivingNode {
    pub(super) const fn new(node: NodeName, boot: u64, version: u8) -> Self {
        Self {
            node,
            boot,
            version,
        }
    }
}

/// Two nodes that cannot understand each other: their programs are more than one version of
/// messages apart.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "this node, {node}, speaks version {version} of the messages between nodes, and {other} speaks \
     version {other_version}: nodes may be one version apart, so update in steps"
)]
#[non_exhaustive]
pub struct Mismatch {
    /// This node.
    pub node: NodeName,
    /// The version of its messages.
    pub version: u8,
    /// The other node.
    pub other: NodeName,
    /// The version of the other one's messages.
    pub other_version: u8,
}

/// The reason why an application cannot start as one of several nodes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A living node is too old or too new for this one.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The other nodes cannot be known.
    #[error("the nodes of the application cannot be known")]
    Broker(#[from] BrokerError),
}

/// The nodes that this one knows, and the version that all of them read.
pub(super) struct Living {
    boots: TopicName,
    newest: u8,
    written: AtomicU8,
    has_begun: AtomicBool,
    /// The nodes at the last look.
    known: Mutex<Vec<LivingNode>>,
    warned_of: Mutex<Option<(NodeName, u8)>>,
}

impl Living {
    pub(super) fn new(newest: u8) -> Self {
        Self {
            boots: TopicName::try_from(BOOTS).expect("a plain name"),
            newest,
            written: AtomicU8::new(oldest(newest)),
            has_begun: AtomicBool::new(false),
            known: Mutex::default(),
            warned_of: Mutex::default(),
        }
    }

    /// The highest version that this node writes.
    pub(super) fn newest(&self) -> u8 {
        self.newest
    }

    /// The version that all living nodes read, in which this one writes.
    pub(super) fn written(&self) -> u8 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn reads(&self, version: u8) -> bool {
        (oldest(self.newest)..=self.newest).contains(&version)
    }

    /// Says in the log that a message could not be read: once for each node and version in a row.
    pub(super) fn warn_of(&self, node: &NodeName, version: u8) {
        let mut warned_of = self.warned_of.lock();
        let of = Some((node.clone(), version));
        if *warned_of != of {
            *warned_of = of;
            tracing::warn!(%node, version, reads = self.newest, "a node's message cannot be read");
        }
    }

    pub(super) async fn read(&self, bus: &dyn Bus) -> Result<Vec<LivingNode>, BrokerError> {
        let leased = bus.leased(&self.boots).await?;
        let of_boot = leased.into_iter().filter(|leased| leased.member == BOOT);
        Ok(of_boot
            .filter_map(|mut leased| {
                let boot = leased.value.try_get_u64().ok()?;
                let version = leased.value.try_get_u8().ok()?;
                Some(LivingNode::new(leased.node, boot, version))
            })
            .collect())
    }

    /// Notes which nodes live, and writes from now on what all of them read.
    fn note(&self, living: Vec<LivingNode>, node: &NodeName) -> Result<(), Mismatch> {
        let others = || living.iter().filter(|other| other.node != *node);
        let stranger = others().find(|other| other.version.abs_diff(self.newest) > 1);
        if let Some(other) = stranger {
            return Err(Mismatch {
                node: node.clone(),
                version: self.newest,
                other: other.node.clone(),
                other_version: other.version,
            });
        }
        let lowest = others().map(|other| other.version).min();
        let written = lowest.unwrap_or(self.newest).min(self.newest);
        self.written.store(written, Ordering::Relaxed);
        *self.known.lock() = living;
        Ok(())
    }
}

/// The oldest version that a program reads whose newest is this one.
const fn oldest(newest: u8) -> u8 {
    if newest > 1 { newest - 1 } else { 1 }
}

impl Line {
    /// The other nodes that lived at the last look, 3 s ago at most.
    pub(crate) fn known_others(&self) -> Vec<NodeName> {
        let known = self.living.known.lock();
        let others = known
            .iter()
            .filter(|living| living.node != *self.bus().node());
        others.map(|living| living.node.clone()).collect()
    }

    /// Becomes one of the nodes that share the broker. Resolves with `false`, and does nothing,
    /// where there are none or it is one already.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a living node cannot be understood, or they cannot be known.
    pub(crate) async fn join_once(self: &Arc<Self>) -> Result<bool, StartError> {
        let has_begun = &self.living.has_begun;
        if !self.is_shared() || has_begun.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let joined = self.join().await;
        if joined.is_ok() {
            tokio::spawn(keep_looking(Arc::downgrade(self)));
        } else {
            has_begun.store(false, Ordering::Relaxed);
        }
        joined.map(|()| true)
    }

    /// Returns whether the node has joined the others, is about to, or is the only one.
    pub(crate) fn has_joined(&self) -> bool {
        !self.is_shared() || self.living.has_begun.load(Ordering::Relaxed)
    }

    /// Says which start of the node this is. To say it again changes nothing.
    pub(crate) async fn announce(&self) -> Result<(), BrokerError> {
        let mut value = BytesMut::with_capacity(9);
        value.put_u64(self.boot());
        value.put_u8(self.living.newest);
        let boots = &self.living.boots;
        self.bus().lease(boots, BOOT, value.freeze()).await
    }

    /// Says which start of the node this is, and looks who the others are.
    async fn join(&self) -> Result<(), StartError> {
        let bus = self.bus();
        // Those that start at a time see each other: each first says who it is, then looks.
        self.announce().await?;
        bus.listen(self.all()).await?;
        let noted = self.look().await;
        if noted.is_err() {
            // It ends anyway; otherwise its lease does.
            let _ = bus.release(&self.living.boots, BOOT).await;
            bus.unlisten(self.all()).await;
        }
        noted
    }

    async fn look(&self) -> Result<(), StartError> {
        let living = self.living.read(&**self.bus()).await?;
        Ok(self.living.note(living, self.bus().node())?)
    }
}

/// Looks at the others every 3 s.
async fn keep_looking(line: Weak<Line>) {
    let mut told = None;
    loop {
        sleep(EVERY).await;
        let Some(line) = line.upgrade() else {
            return;
        };
        // An unreachable store is told of elsewhere.
        if let Err(StartError::Mismatch(mismatch)) = line.look().await
            && told.as_ref() != Some(&mismatch)
        {
            tracing::error!("{mismatch}");
            told = Some(mismatch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> NodeName {
        NodeName::try_from(name).unwrap()
    }

    fn living(versions: &[(&str, u8)]) -> Vec<LivingNode> {
        let node = |(node, version): &(&str, u8)| LivingNode::new(name(node), 7, *version);
        versions.iter().map(node).collect()
    }

    #[test]
    fn a_node_writes_the_older_version_until_all_living_ones_read_the_newer() {
        let node = Living::new(3);
        assert_eq!(node.written(), 2);
        for (others, written) in [
            (&[("a", 3), ("b", 2)][..], 2),
            (&[("a", 3), ("b", 3)], 3),
            (&[("a", 3), ("b", 4)], 3),
            (&[("a", 3), ("b", 2)], 2),
            (&[("a", 3)], 3),
        ] {
            node.note(living(others), &name("a")).unwrap();
            assert_eq!(node.written(), written, "{others:?}");
        }
        let read: Vec<u8> = (0..6).filter(|version| node.reads(*version)).collect();
        assert_eq!(read, [2, 3]);
    }

    #[test]
    fn a_program_of_the_first_version_writes_and_reads_that() {
        let node = Living::new(1);
        assert_eq!(node.written(), 1);
        assert!(node.reads(1) && !node.reads(0) && !node.reads(2));
    }

    #[test]
    fn a_node_that_is_two_versions_apart_is_named() {
        for (other, told) in [(1, "version 1"), (5, "version 5")] {
            let refused = Living::new(3).note(living(&[("a", 3), ("old", other)]), &name("a"));
            assert_eq!(
                refused.unwrap_err().to_string(),
                format!(
                    "this node, a, speaks version 3 of the messages between nodes, and old speaks \
                     {told}: nodes may be one version apart, so update in steps"
                )
            );
        }
    }
}
