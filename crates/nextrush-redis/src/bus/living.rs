//! The nodes that live.

use std::sync::Weak;

use nextrush_broker::NodeName;
use tokio::time::sleep;

use super::{EVERY, LEASE, Line, STEADY};
use crate::failure::Failure;
use crate::link::ServerId;
use crate::partition::Partition;
use crate::script::SCRIPTS;

/// The nodes that are known.
pub(super) struct Known {
    is_new: bool,
    pub(super) living: Vec<NodeName>,
    /// The nodes that died less than an hour ago.
    pub(super) dead: Vec<NodeName>,
}

impl Line {
    /// Says that this node lives, and puts its members again if it counted as dead.
    pub(super) async fn live(&self) -> Result<(), Failure> {
        let known = self.known(self.node.as_str()).await;
        self.note(&known);
        if !known?.is_new {
            return Ok(());
        }
        let leases = self.state.lock().leases.clone();
        for ((set, member), value) in leases {
            self.put(&set, &member, &value).await?;
        }
        Ok(())
    }

    /// Notes whether the server has taken a sign of life.
    fn note(&self, known: &Result<Known, Failure>) {
        let mut state = self.state.lock();
        let before = match known {
            Ok(known) if known.is_new => 0,
            Ok(_) => state.renewed,
            Err(_) => {
                state.renewed = 0;
                return;
            }
        };
        state.renewed = (before + 1).min(STEADY);
        if let Ok(known) = known
            && (state.renewed == STEADY || state.steady.is_empty())
        {
            state.steady.clone_from(&known.living);
        }
    }

    /// Reads which nodes live.
    ///
    /// # Errors
    ///
    /// Also if living nodes may be missing in the list: this one is, or one that is gone since the
    /// server does not take this node's signs of life, and then perhaps nobody's.
    pub(super) async fn nodes(&self) -> Result<Known, Failure> {
        let known = self.known("").await?;
        let is_missing = |node: &NodeName| !known.living.contains(node);
        let mut state = self.state.lock();
        let is_doubtful = state.renewed < STEADY && state.steady.iter().any(is_missing);
        if is_doubtful || is_missing(&self.node) {
            return Err(Failure::Unlisted);
        }
        if state.renewed == STEADY {
            let new = known
                .living
                .iter()
                .filter(|node| !state.steady.contains(node));
            let new: Vec<_> = new.cloned().collect();
            state.steady.extend(new);
        }
        drop(state);
        Ok(known)
    }

    /// Reads which nodes are listed; `node` lives, if it is not empty.
    async fn known(&self, node: &str) -> Result<Known, Failure> {
        let keys = [self.store.keys.nodes()];
        let lease = crate::format::whole_ms(LEASE);
        let call = |_: ServerId, in_full: bool| {
            let mut call = SCRIPTS.nodes.call_either(&keys, in_full);
            call.arg(lease).arg(node);
            call
        };
        let reply = self
            .store
            .requests
            .run(Partition::FIRST, call, None)
            .await?;
        let reply = redis::from_redis_value::<(u8, Vec<String>, Vec<String>)>(reply);
        let (is_new, living, dead) =
            reply.map_err(|_| Failure::Damaged("the list of nodes".to_owned()))?;
        let names = |names: Vec<String>| {
            let mut names: Vec<_> = names
                .iter()
                .filter_map(|name| NodeName::try_from(&**name).ok())
                .collect();
            names.sort();
            names
        };
        Ok(Known {
            is_new: is_new == 1,
            living: names(living),
            dead: names(dead),
        })
    }
}

/// Says every 3 s that the node lives.
pub(super) async fn keep_living(line: Weak<Line>) {
    loop {
        sleep(EVERY).await;
        let Some(line) = line.upgrade() else {
            return;
        };
        if let Err(failure) = line.live().await {
            tracing::debug!("other nodes do not know that this one lives: {failure}");
        }
    }
}
