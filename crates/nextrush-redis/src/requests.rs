//! Requests to the servers that are written to, on whatever detour they lead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use tokio::sync::RwLock;
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::failure::{Detour, DialError, Failure};
use crate::keys::Keys;
use crate::link::{Link, ServerId};
use crate::master::{Connector, Master, Whereabouts};
use crate::partition::Partition;
use crate::subscriber::Target;
use crate::turns::Turn;
use crate::url::Service;

/// The time after which a request is made again that the server was not ready for.
const PAUSE: Duration = Duration::from_millis(50);

/// The maker of requests.
pub(crate) struct Requests {
    pub(crate) masters: Masters,
    pub(crate) connector: Arc<Connector>,
    /// Held while a request is under way, and for writing by the shutdown.
    under_way: RwLock<()>,
}

/// The servers that are written to.
pub(crate) enum Masters {
    One(Arc<Master>),
    Cluster(Arc<Cluster>),
}

impl Requests {
    pub(crate) fn new(masters: Masters, connector: Arc<Connector>) -> Self {
        Self {
            masters,
            connector,
            under_way: RwLock::default(),
        }
    }

    /// Makes a request on the master of a partition, until it had an effect or the time is up.
    pub(crate) async fn run(
        &self,
        partition: Partition,
        call: impl Fn(ServerId, bool) -> Cmd,
        turn: Option<&Turn<'_>>,
    ) -> Result<Value, Failure> {
        let _under_way = self.under_way.read().await;
        let until = Instant::now() + self.connector.deadlines.command;
        let mut detour = None;
        loop {
            let in_full = detour == Some(Detour::UnknownScript);
            let reply = match &detour {
                Some(Detour::Ask(address)) => self.ask(partition, address, &call).await,
                _ => match self.link(partition).await {
                    Ok(link) => {
                        let reply = link.request(&call(link.server, in_full)).await;
                        if reply.as_ref().is_err_and(Failure::is_read_only) {
                            // It was demoted: the master is to be found anew.
                            link.close();
                        }
                        reply
                    }
                    Err(failure) => Err(failure),
                },
            };
            let failure = match reply {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let Some(next) = failure.detour() else {
                return Err(failure);
            };
            if Instant::now() >= until {
                return Err(failure);
            }
            if let Some(turn) = turn {
                turn.wait().await;
            }
            match (&self.masters, &next) {
                (_, Detour::Wait) => sleep(PAUSE).await,
                (Masters::Cluster(cluster), Detour::Moved) => cluster.refresh().await,
                _ => {}
            }
            detour = Some(next);
        }
    }

    /// Makes a request on the server that is taking over a slot.
    async fn ask(
        &self,
        partition: Partition,
        address: &str,
        call: impl Fn(ServerId, bool) -> Cmd,
    ) -> Result<Value, Failure> {
        let master = match &self.masters {
            Masters::Cluster(cluster) => match cluster.at(address) {
                Some(master) => Some(master),
                None => {
                    cluster.refresh().await;
                    cluster.at(address)
                }
            },
            Masters::One(_) => None,
        };
        let link = match master {
            Some(master) => master.link_within(self.connector.deadlines.ping).await,
            None => None,
        };
        let link = match link {
            Some(link) => link,
            None => self.link(partition).await?,
        };
        let mut commands = redis::pipe();
        commands.cmd("ASKING");
        // The other server need not know the script.
        commands.add_command(call(link.server, true));
        let mut replies = link.requests(&commands).await?;
        replies
            .pop()
            .unwrap_or_default()
            .extract_error()
            .map_err(Failure::of_sent)
    }

    /// The connection to the master of a partition.
    async fn link(&self, partition: Partition) -> Result<Arc<Link>, Failure> {
        match &self.masters {
            Masters::One(master) => master
                .link()
                .ok_or_else(|| Failure::NotConnected(master.place())),
            Masters::Cluster(cluster) => {
                let Some(master) = cluster.master(partition) else {
                    return Err(Failure::NotConnected(place(None)));
                };
                if let Some(link) = master.link() {
                    return Ok(link);
                }
                if self.patience(&master).is_zero() {
                    cluster.look_soon();
                    return Err(Failure::NotConnected(master.place()));
                }
                // It may have handed over its slots while it was away.
                cluster.refresh().await;
                let master = cluster.master(partition).unwrap_or(master);
                master
                    .link_within(self.connector.deadlines.ping)
                    .await
                    .ok_or_else(|| Failure::NotConnected(master.place()))
            }
        }
    }

    /// The connections to all masters; fails if one is away.
    pub(crate) fn all_links(&self) -> Result<Vec<Arc<Link>>, Failure> {
        let link = |master: Arc<Master>| {
            let away = || Failure::NotConnected(master.place());
            master.link().ok_or_else(away)
        };
        let masters = self.masters.all();
        if masters.is_empty() {
            return Err(Failure::NotConnected(place(None)));
        }
        masters.into_iter().map(link).collect()
    }

    /// Makes a request once, on whatever master there is now.
    pub(crate) async fn once(&self, partition: Partition, command: &Cmd) -> Result<Value, Failure> {
        let master = self.masters.of(partition);
        master
            .and_then(|master| master.link())
            .ok_or_else(|| Failure::NotConnected(place(None)))?
            .request(command)
            .await
    }

    /// Watches channels of one partition, on whichever master that is.
    pub(crate) async fn watch(
        &self,
        partition: Partition,
        channels: impl Fn() -> Vec<(String, Target)>,
    ) -> Result<(), Failure> {
        let deadline = self.connector.deadlines.command;
        let until = Instant::now() + deadline;
        loop {
            let master = self.masters.of(partition);
            let subscriber = match &master {
                Some(master) => master.subscriber_within(self.patience(master)).await,
                None => None,
            };
            let watched = match subscriber {
                Some(subscriber) => subscriber.watch(channels()).await,
                None => Err(Failure::NotConnected(place(master.as_deref()))),
            };
            let Err(failure) = watched else {
                return Ok(());
            };
            match (&self.masters, failure.detour()) {
                (_, None) => return Err(failure),
                _ if Instant::now() >= until => return Err(failure),
                (Masters::Cluster(cluster), Some(Detour::Moved)) => cluster.refresh().await,
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// The time for which a request may wait for a master that is away. Only the first of them
    /// takes a whole deadline.
    fn patience(&self, master: &Master) -> Duration {
        let away = master.away().unwrap_or_default();
        self.connector.deadlines.command.saturating_sub(away)
    }

    /// The time for which the master of a partition has been out of reach.
    pub(crate) fn away_from(&self, partition: Partition) -> Option<Duration> {
        self.masters.of(partition)?.away()
    }

    /// Closes the connections after what is under way.
    pub(crate) async fn finish(&self) {
        // Requests that begin meanwhile find no connection.
        let _nothing = self.under_way.write().await;
        self.stop();
    }

    /// Closes the connections.
    pub(crate) fn stop(&self) {
        // Nobody listens again to what ends for good.
        self.connector.feed.deafen();
        match &self.masters {
            Masters::One(master) => master.stop(),
            Masters::Cluster(cluster) => cluster.stop(),
        }
        self.connector.feed.set(None);
    }
}

impl Masters {
    pub(crate) async fn connect(
        service: &Service,
        connector: &Arc<Connector>,
        keys: &Keys,
    ) -> Result<Self, DialError> {
        let connector = Arc::clone(connector);
        let whereabouts = match service.clone() {
            Service::Standalone(address) => Whereabouts::Fixed(address),
            Service::Sentinel {
                sentinels,
                master,
                credentials,
            } => Whereabouts::Sentinel {
                sentinels,
                master,
                credentials,
            },
            Service::Cluster(seeds) => {
                let cluster = Cluster::connect(seeds, connector, &keys.tags).await?;
                return Ok(Self::Cluster(cluster));
            }
        };
        Ok(Self::One(Master::connect(whereabouts, connector).await?))
    }

    /// The master of a partition.
    pub(crate) fn of(&self, partition: Partition) -> Option<Arc<Master>> {
        match self {
            Self::One(master) => Some(Arc::clone(master)),
            Self::Cluster(cluster) => cluster.master(partition),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Master>> {
        match self {
            Self::One(master) => vec![Arc::clone(master)],
            Self::Cluster(cluster) => cluster.masters(),
        }
    }
}

/// The place of a master, for an error.
fn place(master: Option<&Master>) -> String {
    master.map_or_else(|| "the cluster".to_owned(), Master::place)
}
