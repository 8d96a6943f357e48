//! Hostile clients, a kind after the other.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::ValueEnum as _;
use socket2::SockAddr;

use crate::error::Error;
use crate::hostile::{Hostile, Kind};
use crate::soak::configuration::Configuration;
use crate::soak::lock;

/// The time of each kind: all come several times in ten minutes.
const EACH: Duration = Duration::from_secs(20);

/// Hostile clients at work, until it is ended.
#[derive(Debug)]
pub(super) struct Hostility {
    kind: Arc<Mutex<String>>,
    stop: Sender<()>,
    running: JoinHandle<()>,
}

impl Hostility {
    pub(super) fn begin(configuration: &Configuration, share: f64) -> Result<Self, Error> {
        let plain = SockAddr::unix(configuration.socket())
            .map_err(Error::io("the server's Unix socket"))?;
        let tls = SockAddr::from(configuration.addr());
        let kind = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&kind);
        let (stop, has_to_stop) = mpsc::channel();
        let running = thread::spawn(move || {
            // These do not even speak TLS, where the server does.
            let strangers = Hostile::begin(Kind::Bodies, tls, 1, share / 100.0);
            for kind in Kind::value_variants().iter().cycle() {
                *lock(&shown) = kind.name();
                let hostile = Hostile::begin(*kind, plain.clone(), 1, share);
                let waited = has_to_stop.recv_timeout(EACH);
                hostile.end();
                if waited != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            strangers.end();
        });
        Ok(Self {
            kind,
            stop,
            running,
        })
    }

    /// The name of the kind that is at work.
    pub(super) fn kind(&self) -> String {
        lock(&self.kind).clone()
    }

    pub(super) fn end(self) {
        // Either way it ends.
        let _ = self.stop.send(());
        let _ = self.running.join();
    }
}
