use nextrush_protocol::Frame;

use super::Shard;
use super::slab::{Flags, Phase};
use crate::error::ConnectionError;
use crate::link::Ending;
use crate::transport::Io;

impl<I: Io> Shard<I> {
    /// Begins to watch a new connection.
    pub(super) fn watch_heartbeat(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        if let Some(heartbeat) = live.options().heartbeat {
            self.ticks.expect(heartbeat.interval.min(heartbeat.timeout));
            self.ticks.look_after(slot, heartbeat.interval);
        }
    }

    /// Pings those that have been silent, and cuts those that have not answered.
    pub(super) fn check_heartbeats(&mut self) {
        let mut found = Vec::new();
        self.ticks.sweep(&mut found);
        for slot in found {
            self.check_heartbeat(slot);
        }
    }

    fn check_heartbeat(&mut self, slot: u32) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let Some(heartbeat) = live.options().heartbeat else {
            return;
        };
        if live.phase != Phase::Open {
            return;
        }
        if !live.reads() {
            // Not silent: not listened to.
            live.flags.remove(Flags::PINGED);
            return self.ticks.look_after(slot, heartbeat.interval);
        }
        if live.is(Flags::PINGED) {
            // The last word is the transport's: after a stall of this shard an answer may
            // have come that has not been reported yet.
            live.flags.insert(Flags::READABLE);
            self.read(slot);
            let Some(live) = self.slab.at(slot) else {
                return;
            };
            if live.is(Flags::PINGED) && live.reads() {
                live.connection.begin_closing();
                return self.end(slot, Ending::Failed(ConnectionError::HeartbeatTimeout));
            }
            live.flags.remove(Flags::PINGED);
        }
        let silence = self.ticks.silence(slot);
        if silence < heartbeat.interval {
            self.ticks.look_after(slot, heartbeat.interval - silence);
            return;
        }
        if let Some(live) = self.slab.at(slot) {
            live.flags.insert(Flags::PINGED);
        }
        self.ticks.look_after(slot, heartbeat.timeout);
        let ping = Frame::ping(&[]).expect("an empty payload fits");
        self.enqueue_first(slot, ping);
    }
}
