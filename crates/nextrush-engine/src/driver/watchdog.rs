//! The watch over the user's code: a handler that blocks its shard is named in the log.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::link::{Busy, Link};
use crate::shared::Shared;

/// The time between two looks at the shards. A call that is found twice in a row has taken at
/// least this long.
const PERIOD: Duration = Duration::from_millis(50);

/// Starts a thread that logs handlers that block a shard: after 50 to 100 ms, then each time
/// that the blocked time has doubled. The thread ends with the shards, and with nothing else.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let mut watched = Watched::all(shared);
    let shared: Weak<Shared> = Arc::downgrade(shared);
    thread::Builder::new()
        .name("nextrush-watchdog".to_owned())
        .spawn(move || {
            while let Some(shared) = shared.upgrade().filter(|shared| shared.is_running()) {
                let look = || {
                    #[cfg(feature = "sim")]
                    shared.end_watchdog.panic_once();
                    let now = Instant::now();
                    watched.iter_mut().for_each(|watched| watched.look(now));
                };
                if catch_unwind(AssertUnwindSafe(look)).is_err() {
                    watched = Watched::all(&shared);
                    // The log is the application's, and may be what panics.
                    let _ = catch_unwind(|| tracing::error!("the watchdog panicked and goes on"));
                }
                drop(shared);
                thread::park_timeout(PERIOD);
            }
        })?;
    Ok(())
}

struct Watched {
    link: Arc<Link>,
    found: Option<Found>,
}

struct Found {
    busy: Busy,
    since: Instant,
    /// The blocked time after which it is logged next.
    tell_after: Duration,
}

impl Watched {
    fn all(shared: &Shared) -> Vec<Self> {
        shared.links.iter().map(Self::new).collect()
    }

    fn new(link: &Arc<Link>) -> Self {
        Self {
            link: Arc::clone(link),
            found: None,
        }
    }

    fn look(&mut self, now: Instant) {
        let busy = self.link.busy();
        match (&mut self.found, busy) {
            (Some(found), Some(busy)) if found.busy == busy => {
                let blocked = now.duration_since(found.since);
                if blocked >= found.tell_after {
                    found.tell_after = blocked * 2;
                    tell(&self.link, busy, blocked);
                }
            }
            (found, busy) => {
                *found = busy.map(|busy| Found {
                    busy,
                    since: now,
                    tell_after: PERIOD,
                });
            }
        }
    }
}

fn tell(link: &Link, busy: Busy, blocked: Duration) {
    let Some(connection) = link.at(busy.slot) else {
        return;
    };
    tracing::warn!(
        endpoint = connection.options().name.as_deref(),
        connection = %connection.id(),
        blocked_ms = blocked.as_millis(),
        "a handler blocks its shard: {} connections wait for it; it should be offloaded",
        link.load(),
    );
}
