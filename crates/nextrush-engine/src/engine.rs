//! The engine: the door through which connections come, and the owner of its shards.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nextrush_protocol::{CloseFrame, Frame};
use parking_lot::Mutex;
use tokio::runtime;
use tokio::sync::broadcast;

use crate::config::{EngineConfig, SocketOptions};
use crate::connection::{Connection, Handler, Handover, Reservation};
use crate::driver::mio;
use crate::error::AcceptError;
use crate::id::ConnectionId;
use crate::link::{Accept, Command};
use crate::metrics::EngineMetrics;
use crate::room::{Room, RoomEvent, sorted};
use crate::shared::Shared;
use crate::transport::Transport;

/// The connections of a process and the threads that serve them.
///
/// A cheap handle, usable from any thread. When the last handle is dropped the shards stop
/// and cut their connections; [`shutdown`](Self::shutdown) is the friendly way.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    shards: Mutex<Shards>,
}

/// The state of the shards' threads.
enum Shards {
    /// The first connection starts them.
    NotStarted,
    /// They run, or a simulated network runs the shards in their place.
    Started,
    /// Starting them failed; those that had started were stopped.
    Failed,
}

impl Engine {
    /// An engine without connections. The first connection starts its threads.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self(Arc::new(Inner {
            shared: Arc::new(Shared::new(&config)),
            shards: Mutex::new(Shards::NotStarted),
        }))
    }

    /// Leaves the shards to the caller, in place of threads; `false` if they run already.
    #[cfg(feature = "sim")]
    pub(crate) fn claim_shards(&self) -> bool {
        let mut shards = self.0.shards.lock();
        let is_free = matches!(*shards, Shards::NotStarted) && !self.0.shared.is_shutting_down();
        if is_free {
            *shards = Shards::Started;
        }
        is_free
    }

    /// Takes over a connection whose opening handshake is done. [`Handover::open`]
    /// is called on the thread of its shard.
    ///
    /// The shards enter the tokio runtime that the first call was made in, so work of
    /// handlers may use whatever needs one.
    ///
    /// # Errors
    ///
    /// Fails if there are too many connections, the engine shuts down, there is no tokio
    /// runtime, or the threads cannot be started. The transport and the handler are dropped.
    pub fn accept(
        &self,
        transport: Transport,
        mut handover: Handover,
        options: Arc<SocketOptions>,
        handler: impl Handler,
    ) -> Result<ConnectionId, AcceptError> {
        let shared = &self.0.shared;
        if shared.is_shutting_down() || shared.failure().is_some() {
            return Err(AcceptError::ShuttingDown);
        }
        self.start()?;
        let has_place = |reserved: Reservation| reserved.take_for(shared);
        if !handover.reservation.take().is_some_and(has_place) && !shared.add_connection() {
            return Err(AcceptError::TooManyConnections {
                limit: shared.limit(),
            });
        }
        let Handover {
            open,
            read_ahead,
            deflate,
            placement,
            is_counted,
            first_message,
            reservation: _,
        } = handover;
        let link = shared.place(placement);
        let id = link.reserve();
        let accept = Command::Accept(Box::new(Accept {
            id,
            make: Box::new(move |id, link| Connection::new(id, link, options, deflate, handler)),
            transport,
            read_ahead,
            open,
            is_counted,
            first_message,
        }));
        if link.inbox.push(accept) {
            Ok(id)
        } else {
            link.remove(id.slot);
            shared.remove_connection();
            Err(AcceptError::ShuttingDown)
        }
    }

    /// The connection of this id: from the moment that its shard has it until its transport is
    /// dropped.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<Connection> {
        self.0.shared.links.get(usize::from(id.shard))?.find(id)
    }

    /// All connections, closing ones included, in no order.
    #[must_use]
    pub fn all_connections(&self) -> Vec<Connection> {
        let mut all = Vec::with_capacity(self.connections());
        for link in &self.0.shared.links {
            link.all(&mut all);
        }
        all
    }

    /// Keeps a place free for a connection, to be given to [`accept`](Self::accept) in its
    /// [`Handover`]; `None` if there are too many, or the engine shuts down. A server that asks for
    /// it before it grants an upgrade refuses over HTTP whomever it has no place for, also when many
    /// come at once.
    #[must_use]
    pub fn reserve(&self) -> Option<Reservation> {
        let shared = &self.0.shared;
        let is_serving = !shared.is_shutting_down() && shared.failure().is_none();
        is_serving.then(|| Reservation::new(shared)).flatten()
    }

    /// Returns whether [`accept`](Self::accept) would take a connection now. Where many come at once
    /// another may be the one that it takes; see [`reserve`](Self::reserve).
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        let shared = &self.0.shared;
        let is_serving = !shared.is_shutting_down() && shared.failure().is_none();
        is_serving && shared.connections() < shared.limit()
    }

    /// Sends one frame to every open connection but these, and those that are not
    /// [admitted](Connection::admit) yet: one shared buffer, and one command in
    /// the inbox of each shard that has connections. All connections get the broadcasts in one
    /// order. A shard then queues the frame for each of its connections, as a send of its own.
    pub fn broadcast_except(&self, frame: &Frame, except: &[ConnectionId]) {
        let except = sorted(except);
        let shared = &self.0.shared;
        let mut asleep = Vec::new();
        // All inboxes get it under one lock, which makes the order the same for all.
        let order = shared.broadcasts.lock();
        for link in shared.links.iter().filter(|link| link.load() > 0) {
            let broadcast = Command::Broadcast {
                frame: frame.clone(),
                except: except.clone(),
            };
            if link.inbox.push_quietly(broadcast) {
                asleep.push(link);
            }
        }
        drop(order);
        for link in asleep {
            link.inbox.wake();
        }
    }

    /// The room of this name. Makes it if there is none; a room without members and handles
    /// takes no memory.
    #[must_use]
    pub fn room(&self, name: &str) -> Room {
        self.0.shared.rooms.room(name)
    }

    /// The rooms that get a first member or lose the last one from now on, in the order of each
    /// room. A receiver that is 1,024 events behind misses the oldest ones, and learns how many
    /// those are.
    #[must_use]
    pub fn room_events(&self) -> broadcast::Receiver<RoomEvent> {
        self.0.shared.rooms.events()
    }

    /// The room of this name if there is one: with members, or with a handle somewhere.
    #[must_use]
    pub fn find_room(&self, name: &str) -> Option<Room> {
        self.0.shared.rooms.find(name)
    }

    /// The rooms that have members, in no order.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        self.0.shared.rooms.with_members()
    }

    /// The number of connections, closing ones and [kept places](Self::reserve) included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.shared.connections()
    }

    /// The counts of all shards since the start, and what they hold now.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let links = self.0.shared.links.iter();
        EngineMetrics {
            shards: links.map(|link| link.board.read()).collect(),
        }
    }

    /// The part of the process that has ended although nobody told it to, if there is one: a
    /// shard's thread, or what was [noted](Self::fail). New connections are refused from then
    /// on; the process has to be ended.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        self.0.shared.failure()
    }

    /// Waits for a [failure](Self::failure).
    pub async fn failed(&self) -> &'static str {
        self.0.shared.failed().await
    }

    /// Notes that a part without which the process cannot serve has ended. The first one counts.
    pub fn fail(&self, part: &'static str) {
        self.0.shared.fail(part);
    }

    /// Ends the thread of the first shard by a panic; for tests.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn end_shard(&self) {
        self.0.shared.links[0].inbox.push(Command::Panic);
    }

    /// Makes the watchdog's thread panic at its next look; for tests.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn end_watchdog(&self) {
        self.0.shared.end_watchdog.ask();
    }

    /// Closes every connection with `frame`, and refuses new ones. Resolves when all
    /// connections are gone, the work of their handlers is done, and the threads have stopped.
    /// Connections and work that are left after `deadline` are cut and dropped.
    pub async fn shutdown(&self, frame: CloseFrame, deadline: Duration) {
        let shared = &self.0.shared;
        {
            // Under the lock, so that no thread starts behind the command.
            let shards = self.0.shards.lock();
            shared.begin_shutdown();
            if matches!(*shards, Shards::Started) {
                for link in &shared.links {
                    link.inbox.push(Command::Shutdown {
                        frame: frame.clone(),
                        deadline,
                    });
                }
            }
        }
        shared.stopped().await;
    }

    #[cfg(feature = "sim")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    fn start(&self) -> Result<(), AcceptError> {
        let mut shards = self.0.shards.lock();
        match *shards {
            Shards::Started => Ok(()),
            Shards::Failed => Err(AcceptError::ShuttingDown),
            Shards::NotStarted if self.0.shared.is_shutting_down() => {
                Err(AcceptError::ShuttingDown)
            }
            Shards::NotStarted => {
                let runtime = runtime::Handle::try_current().map_err(|_| AcceptError::NoRuntime)?;
                match mio::start(&self.0.shared, &runtime) {
                    Ok(()) => {
                        *shards = Shards::Started;
                        Ok(())
                    }
                    Err(error) => {
                        *shards = Shards::Failed;
                        self.0.stop();
                        Err(AcceptError::Start(error))
                    }
                }
            }
        }
    }
}

impl Inner {
    fn stop(&self) {
        self.shared.begin_shutdown();
        for link in &self.shared.links {
            link.inbox.push(Command::Stop);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("shards", &self.0.shared.links.len())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
