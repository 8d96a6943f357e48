use std::mem;
use std::sync::Arc;

use super::Shard;
use super::calls::{Purpose, drop_shielded};
use super::slab::{Flags, Live, Phase};
use super::timers::Due;
use crate::link::{Accept, Command, Key, Order};
use crate::moment::Moment;
use crate::transport::{Io, Readiness};

/// How often a turn looks into the inbox again for what the commands themselves have
/// caused, before it goes on to the sockets: work that wakes itself must not keep the
/// other connections waiting.
const ROUNDS: usize = 16;

/// Kept of the commands' buffer after a burst.
const COMMANDS_KEPT: usize = 1024;

impl<I: Io> Shard<I> {
    /// Does what is to be done at `now`, given what became ready.
    pub(crate) fn turn(&mut self, now: Moment, ready: impl IntoIterator<Item = Readiness>) {
        self.now = now;
        self.ticks.advance_to(now);
        for readiness in ready {
            self.note(readiness);
        }
        // Reading comes before timers: after a stall, what has arrived is a sign of life.
        self.read_ready();
        self.follow_inbox();
        self.run_timers();
        self.check_heartbeats();
        self.follow_inbox();
        self.flush();
        self.refill_drained();
        if self.shutdown.is_some() && self.slab.is_empty() && self.tasks.is_empty() {
            self.stop();
        }
        self.show_counts();
    }

    /// Shows what was counted to whoever looks from outside.
    pub(super) fn show_counts(&mut self) {
        self.counts.connections = self.slab.len() as u64;
        self.link.board.show(&self.counts);
    }

    /// When a turn is due even if nothing becomes ready and nothing comes into the inbox.
    pub(crate) fn next_turn(&self) -> Option<Moment> {
        if !self.readable.is_empty() || !self.dirty.is_empty() {
            return Some(self.now);
        }
        [self.timers.next(), self.ticks.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn note(&mut self, ready: Readiness) {
        let Some(live) = self.slab.at(ready.slot) else {
            return;
        };
        if ready.readable || ready.hangup {
            live.flags.insert(Flags::READABLE);
            if ready.hangup {
                live.flags.insert(Flags::HANGUP);
            }
            self.queue_reading(ready.slot);
        }
        if ready.writable {
            self.unblock(ready.slot);
        }
    }

    /// Does what the inbox says, and what that causes.
    fn follow_inbox(&mut self) {
        for _ in 0..ROUNDS {
            let mut commands = mem::take(&mut self.commands);
            self.link.inbox.take(&mut commands);
            if commands.is_empty() {
                self.commands = commands;
                return;
            }
            for command in commands.drain(..) {
                self.follow(command);
            }
            commands.shrink_to(COMMANDS_KEPT);
            self.commands = commands;
        }
    }

    fn follow(&mut self, command: Command) {
        if self.stopped {
            return self.refuse(command);
        }
        match command {
            Command::Accept(accept) => self.accept(*accept),
            Command::Connection(key, order) => self.follow_order(key, order),
            Command::Publish {
                room,
                frame,
                except,
                skippable,
            } => self.publish(room, frame, except, skippable),
            Command::Wake { task } => self.resume_task(task),
            Command::Shutdown { frame, deadline } => self.begin_shutdown(frame, deadline),
            Command::Stop => self.stop(),
        }
    }

    fn follow_order(&mut self, key: Key, order: Order) {
        let slot = key.slot;
        let Some(live) = self.slab.get(key) else {
            return drop_shielded(order);
        };
        let open = live.phase == Phase::Open;
        match order {
            Order::Send(frame) => self.send(slot, frame),
            Order::Close(frame) if open => self.close(slot, frame.as_ref()),
            // Something else has ended it meanwhile.
            Order::Close(_) => {}
            Order::StartReading => self.start_reading(slot),
            Order::Join(room) if open => self.join(slot, room),
            Order::Join(_) => {}
            Order::Leave(room) => self.leave(slot, room),
            Order::Give(giving) => self.give(slot, *giving),
            Order::Fill(filling) => self.fill(slot, *filling),
            Order::SetTimer(timer) if !live.is_lingering() => self.set_timer(slot, *timer),
            Order::SetTimer(timer) => drop_shielded(timer),
            Order::CancelTimer(id) => self.cancel_timer(slot, id),
            Order::End(ending) => self.end(slot, ending),
        }
    }

    fn accept(&mut self, accept: Accept) {
        let Accept {
            id,
            make,
            transport,
            read_ahead,
            open,
        } = accept;
        let slot = id.slot;
        let connection = make(id, Arc::clone(&self.link));
        self.link.add(connection.clone());
        if let Err(error) = self.io.register(slot, transport) {
            tracing::warn!(connection = %connection.id(), %error, "a connection was lost on the way to its shard");
            self.forget(&connection);
            return;
        }
        let mut live = Live::new(connection.clone());
        live.stash_bytes(&read_ahead);
        self.counts.accepted += 1;
        self.counts.bytes_in += read_ahead.len() as u64;
        self.slab.insert(slot, live);
        self.ticks.begin(slot);
        self.watch_heartbeat(slot);
        self.call(slot, Purpose::Open, |_, connection| open?(connection));
        self.resume_reading(slot);
        if let Some(frame) = self.shutdown.clone() {
            connection.close(Some(frame));
        }
    }

    fn run_timers(&mut self) {
        while let Some(due) = self.timers.take_due(self.now) {
            match due {
                Due::User { key, id, run } => self.run_timer(key, id, run),
                Due::Unfinished(key) => self.check_unfinished(key),
                Due::Deadline(key) => self.close_deadline(key),
                Due::Age(key) => self.check_age(key),
                Due::Cut => self.stop(),
            }
            // A timer may have cancelled the next one.
            self.follow_inbox();
        }
    }
}
