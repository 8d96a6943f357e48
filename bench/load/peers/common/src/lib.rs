//! The common parts of the peers on tokio: listening, a runtime, and rooms of channels.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::mpsc::UnboundedSender;

/// Listens on a free port, says which, and serves on a runtime that suits the cores: without
/// a scheduler of several threads where there is one core.
///
/// # Errors
///
/// If there is no port or no runtime.
pub fn run<F>(serve: impl FnOnce(TcpListener) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut builder = if cores.get() == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening on port {}", listener.local_addr()?.port());
        serve(listener).await
    })
}

/// Rooms by name; each member has a channel.
#[derive(Debug)]
pub struct Rooms<M>(Arc<Mutex<HashMap<String, Arc<Room<M>>>>>);

/// The members of one room.
#[derive(Debug)]
pub struct Room<M>(Mutex<Vec<UnboundedSender<M>>>);

impl<M: Clone> Rooms<M> {
    /// The room of a name, made if there is none.
    pub fn room(&self, name: &str) -> Arc<Room<M>> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.entry(name.to_owned());
        Arc::clone(room.or_insert_with(|| Arc::new(Room(Mutex::default()))))
    }
}

impl<M> Default for Rooms<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<M> Clone for Rooms<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Clone> Room<M> {
    /// Adds a member.
    pub fn join(&self, member: UnboundedSender<M>) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(member);
    }

    /// Sends to all members. Those that are gone are forgotten.
    pub fn publish(&self, message: &M) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.send(message.clone()).is_ok());
    }
}
