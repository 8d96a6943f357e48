//! The heartbeat: silent clients are pinged, and closed if they do not answer.

use nextrush_protocol::Frame;

use super::Shard;
use super::live::Flags;
use super::peer::Peer;
use crate::error::ConnectionError;
use crate::link::Ending;
use crate::transport::Io;

impl<I: Io> Shard<I> {
    /// Pings the clients that have been silent, and closes those that have not answered.
    pub(super) fn check_heartbeats(&mut self) {
        let mut found = Vec::new();
        self.parts.ticks.sweep(&mut found);
        for slot in found {
            if self
                .peer(slot)
                .is_some_and(|mut peer| peer.is_heartbeat_lost())
            {
                self.end(slot, Ending::Failed(ConnectionError::HeartbeatTimeout));
            }
        }
    }
}

impl<I: Io> Peer<'_, I> {
    /// Begins to watch a new connection.
    pub(super) fn watch_heartbeat(&mut self) {
        if let Some(heartbeat) = self.live.options().heartbeat {
            let ticks = &mut self.parts.ticks;
            ticks.expect(heartbeat.interval.min(heartbeat.timeout));
            ticks.look_after(self.slot, heartbeat.interval);
        }
    }

    /// Returns whether the client counts as gone. Its handle is closing then. A client that is
    /// only silent is pinged.
    fn is_heartbeat_lost(&mut self) -> bool {
        let Some(heartbeat) = self.live.options().heartbeat else {
            return false;
        };
        if !self.live.is_open() {
            return false;
        }
        if !self.live.reads() {
            // Not silent: not listened to.
            self.live.flags.remove(Flags::PINGED);
            self.parts.ticks.look_after(self.slot, heartbeat.interval);
            return false;
        }
        if self.live.is(Flags::PINGED) {
            // The last word is the transport's: after a stall of this shard an answer may
            // have come that has not been reported yet.
            self.live.flags.insert(Flags::READABLE);
            self.read();
            if self.live.is(Flags::PINGED) && self.live.reads() {
                self.live.connection.begin_closing();
                return true;
            }
            self.live.flags.remove(Flags::PINGED);
        }
        let silence = self.parts.ticks.silence(self.slot);
        if silence < heartbeat.interval {
            let rest = heartbeat.interval - silence;
            self.parts.ticks.look_after(self.slot, rest);
            return false;
        }
        self.live.flags.insert(Flags::PINGED);
        self.parts.ticks.look_after(self.slot, heartbeat.timeout);
        self.enqueue_first(Frame::ping(&[]).expect("an empty payload fits"));
        false
    }
}
