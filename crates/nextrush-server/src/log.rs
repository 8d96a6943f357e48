//! The log: lines for standard error that never hold the server up.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use nextrush_server::Filter;
use tracing_subscriber::EnvFilter;

/// The most bytes of lines that wait to be written; further lines are lost.
const WAITING_BYTES: usize = 1 << 20;
/// The time that the last lines get at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The name of the thread that writes.
const THREAD: &str = "nextrush-log";

/// A writer that hands lines to a thread of their own. A full disk, a reader that is gone and a
/// pipe that is full cost lines and nothing else.
#[derive(Clone)]
pub(crate) struct Log {
    entries: Sender<Entry>,
    counts: Arc<Counts>,
    /// Sets which lines there are; `None` as long as nothing is logged.
    filter: Option<SetFilter>,
}

/// Sets the filter of a log.
type SetFilter = Arc<dyn Fn(EnvFilter) + Send + Sync>;

enum Entry {
    Line(Vec<u8>),
    /// A request to be told when all lines before it are written.
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Counts {
    /// The bytes of the lines that wait to be written.
    waiting: AtomicUsize,
    /// The lines that were lost and are not yet told.
    lost: AtomicUsize,
}

impl Log {
    /// Logs what `RUST_LOG` asks for, and every panic, from now on.
    ///
    /// # Errors
    ///
    /// Fails if the thread cannot be started.
    pub(crate) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let mut log = Self::to(output)?;
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let writer = log.clone();
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || writer.clone())
            // It would print its own trouble to standard error, and panic where it cannot.
            .log_internal_errors(false)
            .with_filter_reloading();
        let filter = lines.reload_handle();
        // Fails only when the log is gone, and then there are no lines to choose from.
        log.filter = Some(Arc::new(move |new| drop(filter.reload(new))));
        lines.init();
        let writer = log.clone();
        // The standard hook writes to standard error itself, and waits for a full pipe.
        panic::set_hook(Box::new(move |panicked| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("<unnamed>");
            if name == THREAD {
                // Its output panics: each line about it would be the cause of another one.
                return;
            }
            let mut text = format!("thread '{name}' {panicked}\n");
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                text = format!("{text}{backtrace}\n");
            }
            writer.add(text.as_bytes());
        }));
        Ok(log)
    }

    fn to(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = channel();
        let counts = Arc::new(Counts::default());
        let log = Self {
            entries,
            counts: Arc::clone(&counts),
            filter: None,
        };
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || write_all(output, &waiting, &counts))?;
        Ok(log)
    }

    /// Sets which lines get into the log from now on.
    pub(crate) fn set_filter(&self, filter: &Filter) {
        if let Some(set) = &self.filter {
            set(filter.to_env_filter());
        }
    }

    /// Waits until all lines are written, for a second at most.
    pub(crate) fn flush(&self) {
        let (written, all) = sync_channel(1);
        if self.entries.send(Entry::Flush(written)).is_ok() {
            // What is not written by then is lost with the process.
            let _ = all.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    fn add(&self, line: &[u8]) {
        let Counts { waiting, lost } = &*self.counts;
        let is_full = waiting.fetch_add(line.len(), Ordering::Relaxed) > WAITING_BYTES;
        if is_full || self.entries.send(Entry::Line(line.to_vec())).is_err() {
            waiting.fetch_sub(line.len(), Ordering::Relaxed);
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes entries until the last [`Log`] is dropped.
fn write_all(mut output: impl Write, entries: &Receiver<Entry>, counts: &Counts) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let is_written = write(&mut output, &line);
                counts.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                let lost = counts.lost.swap(0, Ordering::Relaxed);
                let still_lost = match is_written {
                    false => lost + 1,
                    true if lost > 0 && !write(&mut output, told(lost).as_bytes()) => lost,
                    true => 0,
                };
                counts.lost.fetch_add(still_lost, Ordering::Relaxed);
            }
            // Nobody may wait for it any more.
            Entry::Flush(written) => drop(written.try_send(())),
        }
    }
}

/// Writes a line; `false` if that fails, or panics.
fn write(output: &mut impl Write, line: &[u8]) -> bool {
    let write = || output.write_all(line).and_then(|()| output.flush());
    catch_unwind(AssertUnwindSafe(write)).is_ok_and(|written| written.is_ok())
}

fn told(lost: usize) -> String {
    format!("nextrush: {lost} lines of the log were lost\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that takes what a test lets it take.
    struct Gated {
        taken: Sender<String>,
        /// True for each line that is written, false for one that fails.
        allowed: Receiver<bool>,
    }

    impl Write for Gated {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if !self.allowed.recv().unwrap_or(false) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let text = String::from_utf8_lossy(line).into_owned();
            // The test may not look at all of them.
            let _ = self.taken.send(text);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Log, Sender<bool>, Receiver<String>) {
        let (taken, lines) = channel();
        let (allow, allowed) = channel();
        let log = Log::to(Gated { taken, allowed }).unwrap();
        (log, allow, lines)
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_ones_go_on() {
        let (log, allow, lines) = gated();
        for line in ["1\n", "2\n", "3\n", "4\n"] {
            log.add(line.as_bytes());
        }
        for is_allowed in [true, false, false, true, true] {
            allow.send(is_allowed).unwrap();
        }
        let expected = ["1\n", "4\n", "nextrush: 2 lines of the log were lost\n"];
        for expected in expected {
            assert_eq!(lines.recv().unwrap(), expected);
        }
    }

    #[test]
    fn a_blocked_output_holds_a_mebibyte_and_nobody_up() {
        let (log, _allow, _lines) = gated();
        let line = [b'x'; 1024];
        for _ in 0..10_000 {
            log.add(&line);
        }
        let waiting = log.counts.waiting.load(Ordering::Relaxed);
        assert!(waiting <= WAITING_BYTES + 2 * line.len(), "{waiting}");
        let kept = waiting / line.len();
        assert_eq!(log.counts.lost.load(Ordering::Relaxed), 10_000 - kept);
    }

    #[test]
    fn an_output_that_panics_costs_a_line_and_the_next_ones_go_on() {
        struct PanicsOnce(bool, Sender<String>);
        impl Write for PanicsOnce {
            fn write(&mut self, line: &[u8]) -> io::Result<usize> {
                assert!(std::mem::replace(&mut self.0, true), "ended on purpose");
                let text = String::from_utf8_lossy(line).into_owned();
                self.1.send(text).unwrap();
                Ok(line.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (taken, lines) = channel();
        let log = Log::to(PanicsOnce(false, taken)).unwrap();
        log.add(b"lost\n");
        log.add(b"written\n");
        log.flush();
        let lines: Vec<_> = lines.try_iter().collect();
        assert_eq!(
            lines,
            ["written\n", "nextrush: 1 lines of the log were lost\n"]
        );
    }
}
