//! TLS on the sockets of a shard.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::rc::Rc;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustc_hash::FxHashMap;
use rustls::ServerConnection;

use super::mio::SHORT_READ_DRAINS;

/// The bytes of plaintext that may be encrypted and not taken by the kernel: a record of the
/// largest size.
const UNSENT: usize = 16 * 1024;

/// A TLS connection of a shard. Its shard's [`Unfinished`] finishes what it leaves undone.
pub(super) struct TlsStream {
    tls: Rc<RefCell<Tls>>,
    unfinished: Rc<Unfinished>,
}

impl TlsStream {
    pub(super) fn new(
        stream: TcpStream,
        mut session: Box<ServerConnection>,
        unfinished: Rc<Unfinished>,
    ) -> Self {
        session.set_buffer_limit(Some(UNSENT));
        let tls = Tls {
            stream,
            session,
            token: None,
            watched: false,
            broken: None,
            shut: Shut::No,
        };
        Self {
            tls: Rc::new(RefCell::new(tls)),
            unfinished,
        }
    }

    /// Writes a header and its payload as [`write`](Write::write) does, in the same records.
    pub(super) fn write_both(&self, header: &[u8], payload: &[u8]) -> io::Result<usize> {
        self.write_all_of(&mut [IoSlice::new(header), IoSlice::new(payload)])
    }

    fn write_all_of(&self, pieces: &mut [IoSlice<'_>]) -> io::Result<usize> {
        let mut tls = self.tls.borrow_mut();
        let count = tls.write(pieces)?;
        self.keep_sending(&mut tls)?;
        Ok(count)
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        let mut tls = self.tls.borrow_mut();
        tls.shutdown_write()?;
        self.keep_sending(&mut tls)
    }

    fn keep_sending(&self, tls: &mut Tls) -> io::Result<()> {
        match tls.token {
            Some(token) if tls.session.wants_write() => {
                self.unfinished.send_later(token, &self.tls, tls)
            }
            _ => Ok(()),
        }
    }
}

impl Read for TlsStream {
    /// Fills the buffer as far as the socket allows, so that a short read means the same as
    /// that of a plain socket.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tls = self.tls.borrow_mut();
        let count = tls.read(buffer)?;
        if count > 0 && count < buffer.len() {
            self.unfinished.report_readable(&mut tls);
        }
        self.keep_sending(&mut tls)?;
        Ok(count)
    }
}

impl Write for TlsStream {
    /// Encrypts bytes, which count as written. The kernel may lack one record of them at most:
    /// that is sent as soon as possible, and no more bytes are encrypted before.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all_of(&mut [IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for TlsStream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        let mut tls = self.tls.borrow_mut();
        tls.token = Some(token);
        tls.watched = interests.is_writable();
        tls.stream.register(registry, token, interests)?;
        // The handshake may have read bytes already: the socket does not report those again.
        self.unfinished.report_readable(&mut tls);
        self.keep_sending(&mut tls)
    }

    fn reregister(&mut self, registry: &Registry, _: Token, interests: Interest) -> io::Result<()> {
        let mut tls = self.tls.borrow_mut();
        tls.watched = interests.is_writable();
        tls.update_interest(registry)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        let mut tls = self.tls.borrow_mut();
        if let Some(token) = tls.token.take() {
            self.unfinished.forget(token);
        }
        tls.stream.deregister(registry)
    }
}

/// The TLS connections of a shard that are not done: some have decrypted bytes that were not
/// read, and no event of their socket will report those; some have encrypted bytes that were
/// not sent, and the shard does not know of those.
pub(super) struct Unfinished {
    registry: Registry,
    readable: RefCell<Vec<Token>>,
    unsent: RefCell<FxHashMap<Token, Rc<RefCell<Tls>>>>,
}

impl Unfinished {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            readable: RefCell::default(),
            unsent: RefCell::default(),
        }
    }

    /// Returns whether connections can be read although their sockets may have nothing.
    pub(super) fn has_readable(&self) -> bool {
        !self.readable.borrow().is_empty()
    }

    /// Takes the connections that can be read.
    pub(super) fn take_readable(&self) -> Vec<Token> {
        mem::take(&mut *self.readable.borrow_mut())
    }

    /// Sends encrypted bytes, as the socket can be written. Returns whether all of them are
    /// sent, so that the connection can be written as well.
    pub(super) fn send(&self, token: Token) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.is_empty() {
            return true;
        }
        let Some(tls) = unsent.get(&token).map(Rc::clone) else {
            return true;
        };
        let mut tls = tls.borrow_mut();
        let sent = tls.flush();
        if sent.is_ok() && tls.session.wants_write() {
            return false;
        }
        unsent.remove(&token);
        if let Err(error) = sent.and_then(|()| tls.update_interest(&self.registry)) {
            tls.broken = Some(error);
            self.report_readable(&mut tls);
        }
        true
    }

    fn send_later(&self, token: Token, shared: &Rc<RefCell<Tls>>, tls: &mut Tls) -> io::Result<()> {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.insert(token, Rc::clone(shared)).is_none() {
            tls.update_interest(&self.registry)?;
        }
        Ok(())
    }

    fn report_readable(&self, tls: &mut Tls) {
        if let Some(token) = tls.token
            && tls.is_readable()
        {
            self.readable.borrow_mut().push(token);
        }
    }

    fn forget(&self, token: Token) {
        self.readable.borrow_mut().retain(|other| *other != token);
        self.unsent.borrow_mut().remove(&token);
    }
}

/// A TCP connection, and the state of the TLS in it.
struct Tls {
    stream: TcpStream,
    session: Box<ServerConnection>,
    /// The token under which the socket is registered.
    token: Option<Token>,
    /// `true` if the shard waits for the connection to be writable.
    watched: bool,
    /// The error that came while bytes were still to be read.
    broken: Option<io::Error>,
    shut: Shut,
}

/// The part of our side that is shut.
#[derive(PartialEq)]
enum Shut {
    No,
    /// The TLS level; the TCP connection follows when all is sent.
    Tls,
    Both,
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        let mut drained = false;
        while count < buffer.len() {
            match self.session.reader().read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => {
                    count += more;
                    continue;
                }
                // The peer has ended the TCP connection without a TLS alert, as many do. A
                // message that is cut short is known by its frame.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if drained && count > 0 {
                break;
            }
            let received = match self.broken.take() {
                Some(error) => Err(error),
                None => self.receive(),
            };
            match received {
                Ok(is_all) => drained = is_all,
                Err(error) if count == 0 => return Err(error),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            }
        }
        Ok(count)
    }

    /// Reads ciphertext from the socket, once. Returns whether the socket is empty.
    fn receive(&mut self) -> io::Result<bool> {
        let mut source = Emptied {
            stream: &mut self.stream,
            drained: false,
        };
        loop {
            match self.session.read_tls(&mut source) {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let drained = source.drained;
        let processed = self.session.process_new_packets();
        // TLS may answer by itself: with a key update, or an alert that names an error.
        let flushed = self.flush();
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        flushed?;
        Ok(drained)
    }

    /// Returns whether a read gives bytes or the end, even if the socket has nothing.
    fn is_readable(&mut self) -> bool {
        // Decrypts nothing: all that was received is decrypted already.
        self.broken.is_some()
            || self.session.process_new_packets().map_or(true, |state| {
                state.plaintext_bytes_to_read() > 0 || state.peer_has_closed()
            })
    }

    /// Encrypts bytes until the socket does not take all of them.
    fn write(&mut self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            self.flush()?;
            if pieces.is_empty() {
                return Ok(count);
            }
            if self.session.wants_write() {
                return match count {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    count => Ok(count),
                };
            }
            let encrypted = self.session.writer().write_vectored(pieces)?;
            IoSlice::advance_slices(&mut pieces, encrypted);
            count += encrypted;
        }
    }

    /// Sends encrypted bytes until the socket takes no more.
    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.shut == Shut::Tls {
            self.shut = Shut::Both;
            self.stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if self.shut == Shut::No {
            self.shut = Shut::Tls;
            self.session.send_close_notify();
        }
        self.flush()
    }

    fn update_interest(&mut self, registry: &Registry) -> io::Result<()> {
        let Some(token) = self.token else {
            return Ok(());
        };
        let interests = if self.watched || self.session.wants_write() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        self.stream.reregister(registry, token, interests)
    }
}

/// A socket that notes when a read has emptied it.
struct Emptied<'a> {
    stream: &'a mut TcpStream,
    drained: bool,
}

impl Read for Emptied<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.drained = SHORT_READ_DRAINS && count < buffer.len();
        Ok(count)
    }
}
