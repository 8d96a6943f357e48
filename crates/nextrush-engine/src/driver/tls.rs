//! TLS on the sockets of a shard.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::rc::Rc;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustc_hash::FxHashMap;
use rustls::ServerConnection;

use super::mio::SHORT_READ_DRAINS;

/// What may be encrypted and not taken by the kernel, in bytes of plaintext: a record of
/// the largest size.
const UNSENT: usize = 16 * 1024;

/// A TLS connection of a shard. What it leaves undone, its shard's [`Unfinished`] sees to.
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
    /// Fills the buffer as far as the socket allows, so that a short read says the same as
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
    /// What is encrypted counts as written. Of that the kernel has not taken one record at
    /// most, which goes out as soon as it can, and before which nothing more is taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tls = self.tls.borrow_mut();
        let count = tls.write(bytes)?;
        self.keep_sending(&mut tls)?;
        Ok(count)
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
        // Read by whoever did the handshake: the socket does not report it again.
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

/// What the TLS connections of a shard have left undone: what is decrypted and not read,
/// which no event of a socket speaks of any more, and what is encrypted and not sent, of
/// which the shard knows nothing.
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

    /// Whether there are connections to be read although their sockets may have nothing.
    pub(super) fn has_readable(&self) -> bool {
        !self.readable.borrow().is_empty()
    }

    /// Takes these connections.
    pub(super) fn take_readable(&self) -> Vec<Token> {
        mem::take(&mut *self.readable.borrow_mut())
    }

    /// A socket can be written. Sends what is encrypted; returns whether that is gone, and
    /// so the connection as well can be written.
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
    /// Under which it is registered.
    token: Option<Token>,
    /// Whether the shard wants to know when writing is possible.
    watched: bool,
    /// What went wrong while there was still something to be read.
    broken: Option<io::Error>,
    shut: Shut,
}

/// How far the end of what we send is.
#[derive(PartialEq)]
enum Shut {
    No,
    /// On the TLS level; the TCP connection follows when all is sent.
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
                // The peer has ended the TCP connection without a word on the TLS level,
                // as many do. A message that is cut short is known by its frame.
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

    /// Takes ciphertext from the socket, once. Returns whether that was all of it.
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
        // What it answers of its own: a key update, or the alert that says what is wrong.
        let flushed = self.flush();
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        flushed?;
        Ok(drained)
    }

    /// Whether a read gives something, if only the end, even if the socket has nothing.
    fn is_readable(&mut self) -> bool {
        // Only looks: all that has been received has been decrypted at once.
        self.broken.is_some()
            || self.session.process_new_packets().map_or(true, |state| {
                state.plaintext_bytes_to_read() > 0 || state.peer_has_closed()
            })
    }

    /// Encrypts as long as the socket takes all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            self.flush()?;
            if count == bytes.len() {
                return Ok(count);
            }
            if self.session.wants_write() {
                return match count {
                    0 => Err(ErrorKind::WouldBlock.into()),
                    count => Ok(count),
                };
            }
            count += self.session.writer().write(&bytes[count..])?;
        }
    }

    /// Sends what is encrypted, as far as the socket takes it.
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

/// A socket that notices that it has been emptied.
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
