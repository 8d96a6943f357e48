//! A client's connection, and whether the server may close it.

use std::time::Duration;

use nextrush::testing::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::node::Node;
use super::tally::Tally;
use super::{AGE, WINDOW};

#[derive(Default)]
pub struct Link {
    client: Option<Client>,
    /// The name of the node.
    node: &'static str,
    /// Something may wait for it that the server cannot leave out.
    pub is_exposed: bool,
    is_slow: bool,
    /// The moment when the client stopped reading or, since then, last read a little; `None`
    /// while it reads.
    stalled_at: Option<Instant>,
    longest_stall: Duration,
    window: usize,
    /// Bytes that may be on the way to the client beyond its window: until the client has read
    /// these, the server does not notice that it reads.
    unseen: usize,
}

impl Link {
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    pub async fn connect(&mut self, node: &Node, path: &str) {
        *self = Self {
            client: Some(node.network.connect(path).await.unwrap()),
            node: node.name,
            window: WINDOW,
            ..Self::default()
        };
    }

    /// The name of the node that it was connected to last.
    pub fn node(&self) -> &'static str {
        self.node
    }

    /// Returns whether it was connected to a node last.
    pub fn is_at(&self, node: &str) -> bool {
        self.node == node
    }

    /// Returns whether messages have waited for the client since it connected.
    pub fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// Makes messages wait for the client from now on, or arrive in small pieces.
    pub fn slow_down(&mut self, window: usize, stalls: bool) {
        let Some(client) = &self.client else { return };
        self.is_slow = true;
        client.set_window(window);
        self.unseen += self.window.saturating_sub(window);
        self.window = window;
        if stalls {
            client.stall();
            self.stalled_at.get_or_insert_with(Instant::now);
        }
    }

    /// Reads so much, although it has stopped.
    pub fn read(&mut self, bytes: usize) {
        let read = self.client.as_ref().map_or(0, |client| client.read(bytes));
        let unseen = read.min(self.unseen);
        self.unseen -= unseen;
        if read > unseen && self.stalled_at.is_some() {
            self.note_stall();
            self.stalled_at = Some(Instant::now());
        }
    }

    /// Reads again if it was slow.
    pub fn resume(&mut self) {
        self.note_stall();
        self.stalled_at = None;
        self.window = WINDOW;
        self.unseen = 0;
        if let Some(client) = &self.client {
            client.set_window(WINDOW);
            client.resume();
        }
    }

    /// Loses its connection, with all that has come and was not handled.
    pub fn cut(&mut self) {
        self.client = None;
    }

    /// The next message that has come.
    pub fn take(&mut self) -> Option<Value> {
        let message = self.client.as_mut()?.try_recv()?;
        Some(message.json().unwrap())
    }

    fn is_closed(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_closed)
    }

    /// Returns whether the server closed the connection and nothing is left to take. Asserts
    /// that the server had a reason to.
    pub fn has_ended(&mut self, tally: &mut Tally) -> bool {
        if !self.is_closed() {
            return false;
        }
        let close = self.client.take().and_then(|client| client.close_frame());
        self.note_stall();
        let may_be_slow = self.is_exposed || self.longest_stall >= AGE;
        assert!(
            tally.is_ending || (self.is_slow && may_be_slow),
            "closed without need: {close:?}"
        );
        tally.closed += 1;
        true
    }

    fn note_stall(&mut self) {
        let stall = self.stalled_at.map_or(Duration::ZERO, |at| at.elapsed());
        self.longest_stall = self.longest_stall.max(stall);
    }
}
