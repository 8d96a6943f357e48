//! The masters of a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redis::{Value, cmd};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::failure::DialError;
use crate::link::Link;
use crate::master::{Connector, Master};
use crate::partition::{PARTITIONS, Partition, Tags};
use crate::url::Address;

/// The time between looks at the slots that nobody asked for.
const EVERY: Duration = Duration::from_secs(15);
/// The shortest time between two looks.
const REST: Duration = Duration::from_millis(100);

/// A cluster: which master has which partitions.
pub(crate) struct Cluster {
    seeds: Vec<Address>,
    connector: Arc<Connector>,
    slots: Vec<u16>,
    map: RwLock<Map>,
    wanted: Notify,
    looks: watch::Sender<Looks>,
    task: Mutex<Option<AbortHandle>>,
}

/// The numbers of the newest look and of the newest that has ended.
#[derive(Clone, Copy, Default)]
struct Looks {
    begun: u64,
    ended: u64,
}

#[derive(Default)]
struct Map {
    masters: HashMap<Address, Arc<Master>>,
    of_partition: Vec<Option<Arc<Master>>>,
}

impl Cluster {
    /// Finds the masters and connects to them.
    ///
    /// # Errors
    ///
    /// [`DialError`] if no seed tells the slots, or some master cannot be connected to.
    pub(crate) async fn connect(
        seeds: Vec<Address>,
        connector: Arc<Connector>,
        tags: &Tags,
    ) -> Result<Arc<Self>, DialError> {
        let cluster = Arc::new(Self {
            seeds,
            connector,
            slots: Partition::all().map(|one| tags.slot(one)).collect(),
            map: RwLock::default(),
            wanted: Notify::new(),
            looks: watch::channel(Looks::default()).0,
            task: Mutex::default(),
        });
        cluster.look().await?;
        let deadline = cluster.connector.deadlines.connect;
        for master in cluster.masters() {
            if master.link_within(deadline).await.is_none() {
                cluster.stop();
                let address = master.place();
                let after = deadline;
                return Err(DialError::Late { address, after });
            }
        }
        let task = tokio::spawn(Arc::clone(&cluster).run());
        *cluster.task.lock() = Some(task.abort_handle());
        Ok(cluster)
    }

    /// The master of a partition, if its slot has one.
    pub(crate) fn master(&self, partition: Partition) -> Option<Arc<Master>> {
        let map = self.map.read();
        map.of_partition.get(partition.index()).cloned().flatten()
    }

    /// The master at an address, as a server writes it.
    pub(crate) fn at(&self, address: &str) -> Option<Arc<Master>> {
        let masters = &self.map.read().masters;
        let found = masters
            .iter()
            .find(|(known, _)| known.to_string() == address);
        found.map(|(_, master)| Arc::clone(master))
    }

    pub(crate) fn masters(&self) -> Vec<Arc<Master>> {
        self.map.read().masters.values().cloned().collect()
    }

    /// Looks at the slots anew. Resolves after a look that began after this call, at the latest
    /// after a second.
    pub(crate) async fn refresh(&self) {
        let mut looks = self.looks.subscribe();
        let now = looks.borrow_and_update().begun;
        self.wanted.notify_one();
        let looked = looks.wait_for(|looks| looks.ended > now);
        // Without a look the request meets the old master again.
        let _ = timeout(Duration::from_secs(1), looked).await;
    }

    /// Lets the slots be looked at anew, without waiting for that.
    pub(crate) fn look_soon(&self) {
        self.wanted.notify_one();
    }

    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        let map = std::mem::take(&mut *self.map.write());
        for master in map.masters.values() {
            master.stop();
        }
    }

    async fn run(self: Arc<Self>) {
        let mut is_known_lost = false;
        loop {
            // Nobody needs to ask for it: the time has come.
            let _ = timeout(EVERY, self.wanted.notified()).await;
            self.looks.send_modify(|looks| looks.begun += 1);
            match self.look().await {
                Ok(()) => is_known_lost = false,
                Err(error) if is_known_lost => tracing::debug!("{}", error.in_full()),
                Err(error) => {
                    tracing::warn!("{}", error.in_full());
                    is_known_lost = true;
                }
            }
            self.looks.send_modify(|looks| looks.ended = looks.begun);
            sleep(REST).await;
        }
    }

    /// Asks who has which slots, and connects to masters that are new.
    async fn look(&self) -> Result<(), DialError> {
        let owners = self.owners().await?;
        let gone: Vec<_> = {
            let mut map = self.map.write();
            let mut known = std::mem::take(&mut map.masters);
            let mut masters = HashMap::new();
            let mut of_partition = vec![None; usize::from(PARTITIONS)];
            for (first, last, address) in owners {
                let connector = &self.connector;
                let master = masters.entry(address.clone()).or_insert_with(|| {
                    known
                        .remove(&address)
                        .unwrap_or_else(|| Master::found(address, Arc::clone(connector)))
                });
                for (place, slot) in of_partition.iter_mut().zip(&self.slots) {
                    if (first..=last).contains(slot) {
                        *place = Some(Arc::clone(master));
                    }
                }
            }
            map.masters = masters;
            map.of_partition = of_partition;
            known.into_values().collect()
        };
        for master in gone {
            master.stop();
        }
        Ok(())
    }

    /// The ranges of slots and their masters.
    async fn owners(&self) -> Result<Vec<(u16, u16, Address)>, DialError> {
        for master in self.masters() {
            if let Some(link) = master.link()
                && let Ok(owners) = ask(&link).await
            {
                return Ok(owners);
            }
        }
        let mut last = None;
        for seed in &self.seeds {
            let connector = &self.connector;
            let link = Link::open_any(&connector.dialer, seed, connector.deadlines.command).await;
            match link {
                Ok(link) => match ask(&link).await {
                    Ok(owners) => return Ok(owners),
                    Err(error) => last = Some(Box::new(error)),
                },
                Err(error) => last = Some(Box::new(error)),
            }
        }
        Err(DialError::NoCluster(last))
    }
}

/// Asks a member of the cluster for the ranges of slots and their masters.
async fn ask(link: &Link) -> Result<Vec<(u16, u16, Address)>, DialError> {
    let slots = link.query::<Value>(cmd("CLUSTER").arg("SLOTS")).await;
    let owners = slots
        .ok()
        .and_then(|slots| read_slots(slots, &link.address));
    match owners {
        Some(owners) if !owners.is_empty() => Ok(owners),
        _ => Err(DialError::NoCluster(None)),
    }
}

/// Reads the reply to `CLUSTER SLOTS` of the member at `asked`, which may leave out its own host.
fn read_slots(slots: Value, asked: &Address) -> Option<Vec<(u16, u16, Address)>> {
    let Value::Array(ranges) = slots else {
        return None;
    };
    let range = |range| {
        let Value::Array(parts) = range else {
            return None;
        };
        let [
            Value::Int(first),
            Value::Int(last),
            Value::Array(master),
            ..,
        ] = &parts[..]
        else {
            return None;
        };
        let [host, Value::Int(port), ..] = &master[..] else {
            return None;
        };
        let host = match host {
            Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
            _ => asked.host.clone(),
        };
        let port = u16::try_from(*port).ok()?;
        let bounds = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
        Some((bounds.0, bounds.1, Address { host, port }))
    };
    ranges.into_iter().map(range).collect()
}
