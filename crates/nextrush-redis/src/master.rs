//! A server that is written to, and the two connections to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value, cmd};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::dial::{Dialer, greeting};
use crate::failure::DialError;
use crate::link::Link;
use crate::options::Deadlines;
use crate::subscriber::{FeedSlot, Subscriber};
use crate::url::{Address, Credentials};

/// The settings and the feed that the connections to all servers share.
pub(crate) struct Connector {
    pub(crate) dialer: Dialer,
    pub(crate) deadlines: Deadlines,
    pub(crate) feed: FeedSlot,
    /// True for channels that belong to the slots of a cluster.
    pub(crate) is_sharded: bool,
}

impl Connector {
    pub(crate) async fn link(&self, address: &Address) -> Result<Arc<Link>, DialError> {
        Link::open(&self.dialer, address, self.deadlines.command).await
    }

    /// Connects to the server process of `link` for pushes.
    async fn subscriber(&self, link: &Link) -> Result<Arc<Subscriber>, DialError> {
        let subscriber = Subscriber::open(
            &self.dialer,
            &link.address,
            self.is_sharded,
            self.feed.clone(),
            self.deadlines.command,
        );
        let subscriber = subscriber.await?;
        // Otherwise publications would be acknowledged by one server and awaited from another.
        if subscriber.server != link.server {
            subscriber.close();
            return Err(DialError::SeveralServers(link.address.to_string()));
        }
        Ok(subscriber)
    }
}

/// The way to find a master.
pub(crate) enum Whereabouts {
    /// At an address.
    Fixed(Address),
    /// By asking Sentinels.
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
        credentials: Credentials,
    },
}

/// A server that is written to. It is connected to again whenever a connection is lost.
pub(crate) struct Master {
    whereabouts: Whereabouts,
    connector: Arc<Connector>,
    link: watch::Sender<Option<Arc<Link>>>,
    subscriber: watch::Sender<Option<Arc<Subscriber>>>,
    /// The moment from which on there was no connection for commands or pushes; `None` while there
    /// are both.
    away_since: Mutex<Option<Instant>>,
    task: Mutex<Option<AbortHandle>>,
}

impl Master {
    /// Connects, and keeps connecting from then on.
    ///
    /// # Errors
    ///
    /// [`DialError`] if the first attempt fails; then there is no other.
    pub(crate) async fn connect(
        whereabouts: Whereabouts,
        connector: Arc<Connector>,
    ) -> Result<Arc<Self>, DialError> {
        let master = Self::new(whereabouts, connector);
        let connected = master.connect_once().await?;
        // Requests don't wait for the task.
        master.link.send_replace(Some(Arc::clone(&connected.0)));
        master
            .subscriber
            .send_replace(Some(Arc::clone(&connected.1)));
        *master.away_since.lock() = None;
        master.start(Some(connected));
        Ok(master)
    }

    /// A master at an address, to which connections are made in time.
    pub(crate) fn found(address: Address, connector: Arc<Connector>) -> Arc<Self> {
        let master = Self::new(Whereabouts::Fixed(address), connector);
        master.start(None);
        master
    }

    fn new(whereabouts: Whereabouts, connector: Arc<Connector>) -> Arc<Self> {
        Arc::new(Self {
            whereabouts,
            connector,
            link: watch::channel(None).0,
            subscriber: watch::channel(None).0,
            away_since: Mutex::new(Some(Instant::now())),
            task: Mutex::default(),
        })
    }

    fn start(self: &Arc<Self>, connected: Option<(Arc<Link>, Arc<Subscriber>)>) {
        let task = tokio::spawn(Arc::clone(self).run(connected));
        *self.task.lock() = Some(task.abort_handle());
    }

    /// The connection for commands, if there is one.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.borrow().clone()
    }

    /// Waits for a connection for commands.
    pub(crate) async fn link_within(&self, deadline: Duration) -> Option<Arc<Link>> {
        let mut link = self.link.subscribe();
        timeout(deadline, link.wait_for(Option::is_some))
            .await
            .ok()?
            .ok()?
            .clone()
    }

    /// The connection for pushes, if there is one.
    pub(crate) fn subscriber(&self) -> Option<Arc<Subscriber>> {
        self.subscriber.borrow().clone()
    }

    /// Waits for a connection for pushes.
    pub(crate) async fn subscriber_within(&self, deadline: Duration) -> Option<Arc<Subscriber>> {
        let mut subscriber = self.subscriber.subscribe();
        timeout(deadline, subscriber.wait_for(Option::is_some))
            .await
            .ok()?
            .ok()?
            .clone()
    }

    /// The time for which the server has been out of reach; `None` while it is not.
    pub(crate) fn away(&self) -> Option<Duration> {
        self.away_since.lock().map(|since| since.elapsed())
    }

    /// The place of the server, for the log and errors.
    pub(crate) fn place(&self) -> String {
        match &self.whereabouts {
            Whereabouts::Fixed(address) => address.to_string(),
            Whereabouts::Sentinel { master, .. } => match self.link() {
                Some(link) => link.address.to_string(),
                None => format!("the master {master}"),
            },
        }
    }

    /// Ends both connections for good.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        self.disconnect();
    }

    fn disconnect(&self) {
        self.away_since.lock().get_or_insert_with(Instant::now);
        if let Some(link) = self.link.send_replace(None) {
            link.close();
        }
        if let Some(subscriber) = self.subscriber.send_replace(None) {
            subscriber.close();
        }
    }

    async fn run(self: Arc<Self>, mut connected: Option<(Arc<Link>, Arc<Subscriber>)>) {
        let mut backoff = Backoff::default();
        // A server that is away for long is one line in the log, not thousands.
        let mut is_known_away = false;
        loop {
            let attempt = match connected.take() {
                Some(connected) => Ok(connected),
                None => self.connect_once().await,
            };
            match attempt {
                Ok((link, subscriber)) => {
                    if is_known_away {
                        tracing::info!("connected to Redis at {} again", link.address);
                    }
                    backoff = Backoff::default();
                    *self.away_since.lock() = None;
                    self.link.send_replace(Some(Arc::clone(&link)));
                    self.subscriber.send_replace(Some(Arc::clone(&subscriber)));
                    if let Some(feed) = self.connector.feed.get() {
                        feed.resumed();
                    }
                    self.serve(&link, subscriber).await;
                    tracing::warn!("the connection to Redis at {} is lost", link.address);
                    is_known_away = true;
                    self.disconnect();
                }
                Err(error) if is_known_away => {
                    tracing::debug!("still no connection to Redis: {}", error.in_full());
                }
                Err(error) => {
                    tracing::warn!("no connection to Redis: {}", error.in_full());
                    is_known_away = true;
                }
            }
            sleep(backoff.next()).await;
        }
    }

    /// Keeps the connections of a server alive until that for commands is lost.
    async fn serve(&self, link: &Arc<Link>, subscriber: Arc<Subscriber>) {
        let deadlines = self.connector.deadlines;
        tokio::select! {
            () = link.keep_alive(deadlines.ping) => {}
            () = self.keep_subscribed(link, subscriber) => {}
            () = self.moved(link) => {}
        }
    }

    /// Connects for pushes again whenever that connection is lost. Resolves when that leads to
    /// another server than commands go to.
    async fn keep_subscribed(&self, link: &Arc<Link>, mut subscriber: Arc<Subscriber>) {
        let silence = self.connector.deadlines.silence;
        loop {
            subscriber.keep_alive(silence).await;
            tracing::warn!("the connection for pushes from {} is lost", link.address);
            self.subscriber.send_replace(None);
            self.away_since.lock().get_or_insert_with(Instant::now);
            let mut backoff = Backoff::default();
            subscriber = loop {
                match self.connector.subscriber(link).await {
                    Ok(subscriber) => break subscriber,
                    Err(DialError::SeveralServers(_)) => return,
                    Err(_) => sleep(backoff.next()).await,
                }
            };
            tracing::info!("subscribed at Redis at {} again", link.address);
            self.subscriber.send_replace(Some(Arc::clone(&subscriber)));
            *self.away_since.lock() = None;
            if let Some(feed) = self.connector.feed.get() {
                feed.resumed();
            }
        }
    }

    async fn connect_once(&self) -> Result<(Arc<Link>, Arc<Subscriber>), DialError> {
        let address = self.find().await?;
        let link = self.connector.link(&address).await?;
        let subscriber = self.connector.subscriber(&link).await?;
        Ok((link, subscriber))
    }

    async fn find(&self) -> Result<Address, DialError> {
        match &self.whereabouts {
            Whereabouts::Fixed(address) => Ok(address.clone()),
            Whereabouts::Sentinel {
                sentinels,
                master,
                credentials,
            } => {
                let mut last = None;
                for sentinel in sentinels {
                    let dialer = &self.connector.dialer;
                    match ask_sentinel(dialer, sentinel, master, credentials).await {
                        Ok(Some(address)) => return Ok(address),
                        Ok(None) => last = Some(DialError::UnknownMaster(master.clone())),
                        // One that answered says more.
                        Err(error) => last = last.or(Some(error)),
                    }
                }
                Err(last.unwrap_or_else(|| DialError::UnknownMaster(master.clone())))
            }
        }
    }

    /// Resolves when Sentinels name another master than the one that is connected to: one that
    /// they cut off from the others may still answer here.
    async fn moved(&self, link: &Link) {
        if let Whereabouts::Fixed(_) = self.whereabouts {
            return std::future::pending().await;
        }
        loop {
            sleep(self.connector.deadlines.command).await;
            if self
                .find()
                .await
                .is_ok_and(|address| address != link.address)
            {
                return;
            }
        }
    }
}

/// Asks a Sentinel for the address of a master.
async fn ask_sentinel(
    dialer: &Dialer,
    sentinel: &Address,
    master: &str,
    credentials: &Credentials,
) -> Result<Option<Address>, DialError> {
    let refused = |error| DialError::Refused {
        address: sentinel.to_string(),
        error,
    };
    let asked = async {
        let stream = dialer.connect(sentinel).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let greeting = greeting(credentials);
        let connected = MultiplexedConnection::new_with_config(&greeting, stream, config);
        let (mut connection, driver) = connected.await.map_err(refused)?;
        let question = cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(master)
            .to_owned();
        tokio::select! {
            reply = question.query_async::<Value>(&mut connection) => reply.map_err(refused),
            () = driver => Err(refused(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into())),
        }
    };
    let late = |_| DialError::Late {
        address: sentinel.to_string(),
        after: dialer.deadline,
    };
    let reply = timeout(dialer.deadline, asked).await.map_err(late)??;
    let address = redis::from_redis_value::<Option<(String, u16)>>(reply);
    Ok(address
        .ok()
        .flatten()
        .map(|(host, port)| Address { host, port }))
}
