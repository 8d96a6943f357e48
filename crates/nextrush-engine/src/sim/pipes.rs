//! The transports of a simulated shard.

use std::io;
use std::io::ErrorKind;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::transport::pipe::{Pipe, Reports, State};
use crate::transport::{Io, Readiness, Transport};

/// The connections of one shard.
pub(super) struct Pipes {
    pipes: Vec<Option<Arc<Mutex<State>>>>,
    reports: Arc<Reports>,
}

impl Pipes {
    /// `ring` is called whenever a pipe becomes ready.
    pub(super) fn new(ring: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            pipes: Vec::new(),
            reports: Arc::new(Reports::new(ring)),
        }
    }

    pub(super) fn take_ready(&self) -> Vec<Readiness> {
        self.reports.take()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.reports.is_empty()
    }

    fn pipe(&self, slot: u32) -> io::Result<&Mutex<State>> {
        let pipe = self.pipes.get(slot as usize).and_then(Option::as_ref);
        pipe.map(AsRef::as_ref)
            .ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Io for Pipes {
    const SHORT_READ_DRAINS: bool = true;

    fn register(&mut self, slot: u32, transport: Transport) -> io::Result<()> {
        let Transport::Simulated(Pipe(pipe)) = transport else {
            return Err(ErrorKind::Unsupported.into());
        };
        {
            let mut state = pipe.lock();
            state.report = Some((Arc::clone(&self.reports), slot));
            if !state.to_server.is_empty() || state.client_shut || state.reset {
                state.report();
            }
        }
        let index = slot as usize;
        if index >= self.pipes.len() {
            self.pipes.resize_with(index + 1, || None);
        }
        self.pipes[index] = Some(pipe);
        Ok(())
    }

    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.pipe(slot)?.lock();
        if state.to_server.is_empty() {
            return nothing_to_read(&state);
        }
        let count = buffer.len().min(state.to_server.len());
        let (front, back) = state.to_server.as_slices();
        let from_front = count.min(front.len());
        buffer[..from_front].copy_from_slice(&front[..from_front]);
        buffer[from_front..count].copy_from_slice(&back[..count - from_front]);
        state.to_server.drain(..count);
        Ok(count)
    }

    fn read_to(&mut self, slot: u32, message: &mut Vec<u8>) -> io::Result<usize> {
        let mut state = self.pipe(slot)?.lock();
        if state.to_server.is_empty() {
            return nothing_to_read(&state);
        }
        let room = message.capacity() - message.len();
        let count = room.min(state.to_server.len());
        message.extend(state.to_server.drain(..count));
        Ok(count)
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.pipe(slot)?.lock();
        if state.reset || state.server_shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !state.has_room() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if state.ignores {
            return Ok(bytes.len());
        }
        let count = bytes.len().min(state.window - state.to_client.len());
        state.to_client.extend(&bytes[..count]);
        Ok(count)
    }

    fn write_both(&mut self, slot: u32, header: &[u8], payload: &[u8]) -> io::Result<usize> {
        let begun = self.write(slot, header)?;
        if begun < header.len() {
            return Ok(begun);
        }
        match self.write(slot, payload) {
            Ok(count) => Ok(begun + count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(begun),
            Err(error) => Err(error),
        }
    }

    fn watch_writable(&mut self, slot: u32, watch: bool) -> io::Result<()> {
        let mut state = self.pipe(slot)?.lock();
        state.watch_writable = watch;
        state.report_writable();
        Ok(())
    }

    fn shutdown_write(&mut self, slot: u32) -> io::Result<()> {
        self.pipe(slot)?.lock().server_shut = true;
        Ok(())
    }

    fn close(&mut self, slot: u32) {
        let pipe = self.pipes.get_mut(slot as usize).and_then(Option::take);
        if let Some(pipe) = pipe {
            let mut state = pipe.lock();
            state.closed = true;
            state.report = None;
        }
    }
}

/// The result of a read from a pipe without bytes.
fn nothing_to_read(state: &State) -> io::Result<usize> {
    if state.reset {
        Err(ErrorKind::ConnectionReset.into())
    } else if state.client_shut {
        Ok(0)
    } else {
        Err(ErrorKind::WouldBlock.into())
    }
}
