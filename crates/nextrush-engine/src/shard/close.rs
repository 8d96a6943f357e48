//! The end of connections: the close handshake, failures, and the shard's own end.

use std::mem;
use std::time::Duration;

use nextrush_protocol::{CloseCode, CloseFrame, Frame};

use super::Shard;
use super::calls::drop_shielded;
use super::live::{Flags, Phase};
use super::peer::Peer;
use super::timers::Due;
use crate::close_reason::CloseReason;
use crate::connection::{Connection, ConnectionState};
use crate::error::ConnectionError;
use crate::link::{Command, Ending, Key};
use crate::transport::Io;

/// The most bytes that are still sent to a client for whom too much waited, so that a frame that was
/// begun comes whole. With more it is cut, as they would be kept until it has read them.
const FINISHED: usize = 16 * 1024;

impl<I: Io> Shard<I> {
    /// Begins the close handshake from our side (RFC 6455 §7.1.2).
    pub(super) fn close(&mut self, slot: u32, frame: Option<&CloseFrame>) {
        // What was published before is still sent.
        self.leave_all(slot);
        let Some(mut peer) = self.peer(slot) else {
            return;
        };
        peer.live.phase = Phase::Closing;
        peer.parts.ticks.forget(slot);
        peer.enqueue_last(Frame::close(frame));
        // Whatever held reading back: the peer's close frame has to be found.
        peer.resume_reading();
    }

    /// Follows an end that did not come from us.
    pub(super) fn end(&mut self, slot: u32, ending: Ending) {
        let Some(mut peer) = self.peer(slot) else {
            return;
        };
        if let Ending::Failed(error @ ConnectionError::Protocol(_)) = &ending
            && peer.live.connection.state() == ConnectionState::Open
        {
            // Still open, and closed by a later command: frames that the handler sends
            // now go out before the close frame.
            peer.call_error(error);
            return peer.post_end(Ending::Told(error.clone()));
        }
        let phase = peer.live.phase;
        if matches!(ending, Ending::EndOfStream) && peer.live.is_open() && peer.live.has_heard_all()
        {
            // Came right behind a violation, whose end is still in the inbox.
            return peer.post_end(ending);
        }
        peer.live.connection.begin_closing();
        match (phase, ending) {
            (Phase::Lingering, ending) => self.end_lingering(slot, &ending),
            (Phase::Open, Ending::Crowded) => {
                peer.call_error(&ConnectionError::SlowReader);
                self.fail(slot, &ConnectionError::SlowReader);
                self.end_lingering(slot, &Ending::Crowded);
            }
            // Its close frame comes behind all that waits.
            (Phase::Closing, Ending::Crowded) => {
                self.finish(slot, &reason_of(&ConnectionError::SlowReader));
                self.end_lingering(slot, &Ending::Crowded);
            }
            (phase, Ending::Peer(frame)) => {
                if phase == Phase::Open {
                    // The same code back (RFC 6455 §5.5.1).
                    let code = frame.as_ref().map(CloseFrame::code);
                    let answer = code.map(|code| CloseFrame::new(code, ""));
                    peer.enqueue_last(Frame::close(answer.as_ref()));
                }
                self.finish(slot, &CloseReason::from_peer(frame));
            }
            (_, Ending::EndOfStream) => {
                let reason = CloseReason::unclean(CloseCode::ABNORMAL, "");
                self.finish(slot, &reason);
                // A peer that only shut its side still reads what was sent before.
                self.end_lingering(slot, &Ending::EndOfStream);
            }
            // The handler panicked over an error, whose end is the next command.
            (Phase::Open, Ending::Failed(ConnectionError::HandlerPanicked))
                if peer.live.is(Flags::TOLD) => {}
            (Phase::Open, Ending::Failed(error)) => {
                peer.call_error(&error);
                self.fail(slot, &error);
            }
            (Phase::Open, Ending::Told(error)) => self.fail(slot, &error),
            // Our close frame is on its way, with another code.
            (Phase::Closing, Ending::Failed(ConnectionError::HandlerPanicked)) => {}
            // The handler has closed when it was told: with its own code, but the peer cannot
            // be understood any more.
            (Phase::Closing, Ending::Told(error)) => self.finish(slot, &reason_of(&error)),
            (Phase::Closing, Ending::Failed(error)) => {
                peer.call_error(&error);
                self.finish(slot, &reason_of(&error));
                if !matches!(error, ConnectionError::Protocol(_)) {
                    self.release(slot);
                }
            }
        }
    }

    fn fail(&mut self, slot: u32, error: &ConnectionError) {
        let code = error.close_code();
        if code == CloseCode::ABNORMAL {
            self.finish(slot, &reason_of(error));
            return self.release(slot);
        }
        // Before the backlog is dropped, so that no publication comes behind the gap.
        self.leave_all(slot);
        if let Some(mut peer) = self.peer(slot) {
            if matches!(error, ConnectionError::SlowReader) {
                peer.tell_unsent();
                peer.drop_backlog();
            }
            let text = match error {
                ConnectionError::HandlerPanicked => String::new(),
                error => description(error),
            };
            peer.enqueue_last(Frame::close(Some(&CloseFrame::new(code, text))));
        }
        self.finish(slot, &reason_of(error));
    }

    fn end_lingering(&mut self, slot: u32, ending: &Ending) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        match ending {
            Ending::EndOfStream if live.outbox.is_some() => {
                live.flags.insert(Flags::PEER_SHUT);
            }
            Ending::EndOfStream
            | Ending::Failed(ConnectionError::Transport(_) | ConnectionError::SlowReader) => {
                self.release(slot);
            }
            // A frame that was begun would be finished, and may be all that waits.
            Ending::Crowded
                if live
                    .outbox
                    .as_ref()
                    .is_some_and(|outbox| outbox.len() > FINISHED) =>
            {
                self.release(slot);
            }
            Ending::Peer(_) | Ending::Failed(_) | Ending::Told(_) | Ending::Crowded => {}
        }
    }

    /// Tells the handler of the end. The transport goes on until all is sent and the peer
    /// has shut its side, or the time for that is over.
    fn finish(&mut self, slot: u32, reason: &CloseReason) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        live.connection.mark_closed();
        // What was published before is still sent.
        self.leave_all(slot);
        if let Some(mut peer) = self.peer(slot) {
            peer.linger(reason);
        }
    }

    /// Ends the connection, as the peer has not done its part of closing in time.
    pub(super) fn close_deadline(&mut self, key: Key) {
        let Some(live) = self.slab.get(key) else {
            return;
        };
        if let Some(extra) = live.extra_mut() {
            extra.deadline = None;
        }
        if live.phase == Phase::Closing {
            let reason = CloseReason::unclean(CloseCode::ABNORMAL, "no answer to the close frame");
            self.finish(key.slot, &reason);
        }
        self.release(key.slot);
    }

    /// Drops the transport, and forgets the connection.
    pub(super) fn release(&mut self, slot: u32) {
        if let Some(mut peer) = self.peer(slot) {
            peer.drop_outbox();
        }
        let Some(mut live) = self.slab.remove(slot) else {
            return;
        };
        if let Some(deadline) = live.take_extra().and_then(|extra| extra.deadline) {
            self.parts.timers.cancel(deadline);
        }
        self.parts.io.close(slot);
        self.forget(&live.connection);
        drop_shielded(live);
    }

    /// Frees the connection's slot for another one.
    pub(super) fn forget(&mut self, connection: &Connection) {
        connection.mark_closed();
        self.parts.traffic.end(connection.id().slot);
        self.parts.link.remove(connection.id().slot);
        self.shared.remove_connection();
    }

    pub(super) fn begin_shutdown(&mut self, frame: CloseFrame, deadline: Duration) {
        let id = self.parts.link.next_timer();
        let at = self.parts.now.after(deadline);
        self.parts.timers.set(at, id, Due::Cut);
        for key in self.slab.keys() {
            if let Some(live) = self.slab.get(key) {
                live.connection.close(Some(frame.clone()));
            }
        }
        self.shutdown.get_or_insert(frame);
    }

    /// Cuts all connections, and ends the shard.
    pub(super) fn stop(&mut self) {
        if mem::replace(&mut self.stopped, true) {
            return;
        }
        for key in self.slab.keys() {
            let reason = CloseReason::unclean(CloseCode::ABNORMAL, "the engine stopped");
            self.finish_unless_lingering(key.slot, &reason);
            self.release(key.slot);
        }
        self.parts.tasks.cut();
        self.parts.timers.cut();
        // Later commands are refused, and those that have come have no effect any more.
        for command in self.parts.link.inbox.close() {
            self.refuse(command);
        }
    }

    /// Drops a command, as the shard has stopped.
    pub(super) fn refuse(&mut self, command: Command) {
        if let Command::Accept(accept) = &command {
            self.parts.link.remove(accept.id.slot);
            self.shared.remove_connection();
        }
        drop_shielded(command);
    }

    fn finish_unless_lingering(&mut self, slot: u32, reason: &CloseReason) {
        if self.slab.at(slot).is_some_and(|live| !live.is_lingering()) {
            self.finish(slot, reason);
        }
    }
}

impl<I: Io> Peer<'_, I> {
    /// Tells the handler of the end, and keeps the transport for the frames that are queued.
    fn linger(&mut self, reason: &CloseReason) {
        self.tell_unsent();
        self.live.phase = Phase::Lingering;
        if let Some(extra) = self.live.take_extra() {
            let own = extra.deadline.into_iter().chain(extra.unfinished);
            for timer in extra.timers.into_iter().chain(own) {
                self.parts.timers.cancel(timer);
            }
        }
        self.parts.ticks.forget(self.slot);
        self.arm_close_deadline();
        self.mark_dirty();
        let traffic = self.parts.traffic.end(self.slot);
        self.call_last(reason, traffic);
        self.queue_reading();
    }

    /// Drops the backlog of a slow reader: it would have to read all of it to find the close
    /// frame.
    fn drop_backlog(&mut self) {
        self.parts.counts.slow_readers_closed += 1;
        if let Some(outbox) = &mut self.live.outbox {
            outbox.truncate();
        }
    }

    /// Bounds the time in which the peer has to do its part of closing.
    pub(super) fn arm_close_deadline(&mut self) {
        let extra = self.live.extra();
        if extra.is_none_or(|extra| extra.deadline.is_none()) {
            let timeout = self.live.options().close_timeout;
            let deadline = self.set_deadline(timeout, Due::Deadline(self.key()));
            self.live.need_extra().deadline = Some(deadline);
        }
    }
}

/// The reason that the handler of a failed connection gets.
fn reason_of(error: &ConnectionError) -> CloseReason {
    CloseReason::unclean(error.close_code(), description(error))
}

fn description(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Protocol(violation) => violation.to_string(),
        error => error.to_string(),
    }
}
