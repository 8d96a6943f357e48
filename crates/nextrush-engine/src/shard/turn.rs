//! The turn: the one entry of a shard, and the order of all that happens in it.

use std::mem;
use std::sync::Arc;

use super::Shard;
use super::calls::{Purpose, drop_shielded};
use super::live::{Flags, Live};
use super::timers::Due;
use crate::link::{Accept, Command, Key, Order};
use crate::moment::Moment;
use crate::room::Place;
use crate::transport::{Io, Readiness};

/// The times that a turn looks into the inbox again for commands that the commands have caused,
/// before it goes on to the sockets: work that wakes itself must not keep the other connections
/// waiting.
const ROUNDS: usize = 16;

/// The capacity that the commands' buffer keeps after a burst.
const COMMANDS_KEPT: usize = 1024;

impl<I: Io> Shard<I> {
    /// Does all that is due at `now`, given the transports that became ready.
    pub(crate) fn turn(&mut self, now: Moment, ready: impl IntoIterator<Item = Readiness>) {
        self.parts.link.inbox.rouse();
        self.parts.now = now;
        self.parts.ticks.advance_to(now);
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
        self.bound_backlogs();
        if self.shutdown.is_some() && self.slab.is_empty() && self.parts.tasks.is_empty() {
            self.stop();
        }
        self.show_counts();
    }

    /// Closes the largest backlogs of the process if this turn has added to them and there is
    /// too much of them.
    fn bound_backlogs(&mut self) {
        let parts = &mut self.parts;
        let now = parts.own_bytes;
        let before = mem::replace(&mut parts.own_bytes_before, now);
        if now != before {
            parts.link.board.show_own_bytes(now);
        }
        if now > before {
            match self.shared.backlog_excess() {
                0 => {}
                excess => self.shared.close_largest_backlogs(excess),
            }
        }
    }

    /// Shows the counts to other threads.
    pub(super) fn show_counts(&mut self) {
        self.parts.counts.connections = self.slab.len() as u64;
        self.parts.link.board.show(&self.parts.counts);
    }

    /// The moment of the next turn if nothing becomes ready and no command comes.
    pub(crate) fn next_turn(&self) -> Option<Moment> {
        let parts = &self.parts;
        if !parts.readable.is_empty() || !parts.dirty.is_empty() {
            return Some(parts.now);
        }
        [parts.timers.next(), parts.ticks.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn note(&mut self, ready: Readiness) {
        let Some(mut peer) = self.peer(ready.slot) else {
            return;
        };
        if ready.readable || ready.hangup {
            peer.live.flags.insert(Flags::READABLE);
            if ready.hangup {
                peer.live.flags.insert(Flags::HANGUP);
            }
            peer.queue_reading();
        }
        if ready.writable {
            peer.unblock();
        }
    }

    /// Follows the commands in the inbox, and those that they cause.
    fn follow_inbox(&mut self) {
        for _ in 0..ROUNDS {
            let mut commands = mem::take(&mut self.commands);
            self.parts.link.inbox.take(&mut commands);
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
                number,
            } => self.publish(Place { room, number }, frame, except, skippable),
            Command::Broadcast { frame, except } => self.broadcast(frame, except),
            Command::Wake { task } => self.resume_task(task),
            Command::Shutdown { frame, deadline } => self.begin_shutdown(frame, deadline),
            Command::Stop => self.stop(),
            #[cfg(feature = "sim")]
            Command::Panic => panic!("ended on purpose"),
        }
    }

    fn follow_order(&mut self, key: Key, order: Order) {
        let slot = key.slot;
        let Some(mut peer) = self.peer_of(key) else {
            return drop_shielded(order);
        };
        match order {
            Order::Send(frame) => peer.send(frame),
            Order::Close(frame) if peer.live.is_open() => self.close(slot, frame.as_ref()),
            // Something else has ended it meanwhile.
            Order::Close(_) => {}
            Order::StartReading => peer.start_reading(),
            Order::Admit => peer.admit(),
            Order::ReadOn => peer.read_on(),
            Order::Join(room) if peer.live.is_open() => self.join(slot, room),
            Order::Join(_) => {}
            Order::Leave(room) => self.leave(slot, room),
            Order::Give(giving) => self.give(slot, *giving),
            Order::Fill(filling) => self.fill(slot, *filling),
            Order::Look(looking) => peer.look(*looking),
            Order::SetTimer(timer) if !peer.live.is_lingering() => peer.set_timer(*timer),
            Order::SetTimer(timer) => drop_shielded(timer),
            Order::CancelTimer(id) => peer.cancel_timer(id),
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
            is_counted,
            first_message,
        } = accept;
        let slot = id.slot;
        let link = &self.parts.link;
        let connection = make(id, Arc::clone(link));
        link.add(connection.clone());
        if let Err(error) = self.parts.io.register(slot, transport) {
            tracing::warn!(connection = %connection.id(), %error, "a connection was lost on the way to its shard");
            return self.forget(&connection);
        }
        let mut live = Live::new(connection.clone());
        if is_counted {
            live.flags.insert(Flags::COUNTED);
            self.parts.traffic.begin(slot, read_ahead.len());
        }
        if let Some(limits) = first_message {
            live.need_extra().first = Some(limits);
        }
        live.stash_bytes(&read_ahead);
        self.parts.counts.accepted += 1;
        self.parts.counts.bytes_in += read_ahead.len() as u64;
        self.slab.insert(slot, live);
        self.parts.ticks.begin(slot);
        if let Some(mut peer) = self.peer(slot) {
            peer.watch_heartbeat();
            peer.call(Purpose::Open, |_, connection| open?(connection));
            peer.resume_reading();
        }
        if let Some(frame) = self.shutdown.clone() {
            connection.close(Some(frame));
        }
    }

    fn run_timers(&mut self) {
        while let Some(due) = self.parts.timers.take_due(self.parts.now) {
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
