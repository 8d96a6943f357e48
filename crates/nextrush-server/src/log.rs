//! The log: lines for standard error that never hold the server up.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use nextrush::message::Timestamp;
#[cfg(feature = "otlp")]
use nextrush_server::Spans;
use nextrush_server::{Config, Filter, LogFormat};
use serde_json::json;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

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
    /// Sets which lines there are, and their form; `None` as long as nothing is logged.
    set: Option<Set>,
}

/// The functions that change a log.
#[derive(Clone)]
struct Set {
    filter: Arc<dyn Fn(Targets) + Send + Sync>,
    lines: Arc<dyn Fn(Lines) + Send + Sync>,
    #[cfg(feature = "otlp")]
    spans: (Spans, Arc<dyn Fn(Targets) + Send + Sync>),
}

/// The writer of lines.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;

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
    /// `true` if lines are JSON.
    is_json: AtomicBool,
}

impl Log {
    /// Logs what `RUST_LOG` asks for, and every panic, from now on: as text, in colours if the output
    /// has them.
    ///
    /// # Errors
    ///
    /// Fails if the thread cannot be started.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        has_colours: bool,
    ) -> io::Result<Self> {
        let mut log = Self::to(output)?;
        let wanted = std::env::var("RUST_LOG").ok();
        let filter = wanted.and_then(|text| text.parse::<Filter>().ok());
        let filter = filter.map_or_else(
            || Targets::new().with_default(LevelFilter::INFO),
            |filter| filter.to_targets(),
        );
        let (filter, set_filter) = reload::Layer::new(filter);
        let (lines, set_lines) = reload::Layer::new(log.text(has_colours));
        #[cfg(feature = "otlp")]
        let spans = Spans::new();
        #[cfg(feature = "otlp")]
        let (targets, set_targets) = reload::Layer::new(Targets::new());
        // The one of lines must not keep spans from the collector.
        #[cfg(feature = "otlp")]
        let all: Vec<Lines> = vec![
            lines.with_filter(filter).boxed(),
            spans.layer().with_filter(targets).boxed(),
        ];
        #[cfg(feature = "otlp")]
        registry().with(all).init();
        #[cfg(not(feature = "otlp"))]
        registry().with(lines).with(filter).init();
        // They fail only when the log is gone, and then there are no lines.
        log.set = Some(Set {
            filter: Arc::new(move |new| drop(set_filter.reload(new))),
            lines: Arc::new(move |new| drop(set_lines.reload(new))),
            #[cfg(feature = "otlp")]
            spans: (spans, Arc::new(move |new| drop(set_targets.reload(new)))),
        });
        let writer = log.clone();
        // The standard hook writes to standard error itself, and waits for a full pipe.
        panic::set_hook(Box::new(move |panicked| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("<unnamed>");
            if name == THREAD {
                // Its output panics: each line about it would be the cause of another one.
                return;
            }
            let mut text = format!("thread '{name}' {panicked}");
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                text = format!("{text}\n{backtrace}");
            }
            writer.say(&text);
        }));
        Ok(log)
    }

    fn to(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = channel();
        let counts = Arc::new(Counts::default());
        let log = Self {
            entries,
            counts: Arc::clone(&counts),
            set: None,
        };
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || write_all(output, &waiting, &counts))?;
        Ok(log)
    }

    /// Takes over the filter and the form of lines from a configuration.
    pub(crate) fn configure(&self, config: &Config) {
        let Some(Set { lines, .. }) = &self.set else {
            return;
        };
        self.set_filter(&config.log);
        if config.log_format == LogFormat::Json {
            self.counts.is_json.store(true, Ordering::Relaxed);
            lines(self.json());
        }
    }

    /// Sends spans to the collector that a configuration names, if there is one.
    ///
    /// # Errors
    ///
    /// Fails when a variable of OpenTelemetry is wrong.
    #[cfg(feature = "otlp")]
    pub(crate) fn send_spans(&self, config: &Config) -> Result<(), nextrush::BoxError> {
        if let (Some(set), Some(collector)) = (&self.set, &config.otlp_endpoint) {
            let (spans, set_targets) = &set.spans;
            spans.send_to(collector)?;
            set_targets(Spans::targets());
        }
        Ok(())
    }

    /// Sends the last spans, for 5 s at most.
    #[cfg(feature = "otlp")]
    pub(crate) async fn finish_spans(&self) {
        if let Some(set) = &self.set {
            set.spans.0.finish().await;
        }
    }

    /// Sets which lines get into the log from now on.
    pub(crate) fn set_filter(&self, filter: &Filter) {
        if let Some(Set { filter: set, .. }) = &self.set {
            set(filter.to_targets());
        }
    }

    /// Writes a text that is no event, such as that of a panic.
    pub(crate) fn say(&self, text: &str) {
        let line = as_line(text, self.counts.is_json.load(Ordering::Relaxed));
        self.add(line.as_bytes());
    }

    /// Lines for people.
    fn text(&self, has_colours: bool) -> Lines {
        let writer = self.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        // It would print its own trouble to standard error, and panic where it cannot.
        lines
            .log_internal_errors(false)
            .with_ansi(has_colours)
            .boxed()
    }

    /// Lines for programs.
    fn json(&self) -> Lines {
        let writer = self.clone();
        let lines = fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false);
        let lines = lines.with_writer(move || writer.clone());
        lines.log_internal_errors(false).boxed()
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
        let Counts { waiting, lost, .. } = &*self.counts;
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
                    true if lost > 0 && !write(&mut output, told(lost, counts).as_bytes()) => lost,
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

fn told(lost: usize, counts: &Counts) -> String {
    let is_json = counts.is_json.load(Ordering::Relaxed);
    as_line(
        &format!("nextrush: {lost} lines of the log were lost"),
        is_json,
    )
}

/// A text that is no event as a line of the log.
fn as_line(text: &str, is_json: bool) -> String {
    if !is_json {
        return format!("{text}\n");
    }
    let line = json!({
        "timestamp": Timestamp::now(),
        "level": "ERROR",
        "message": text,
        "target": "nextrush",
    });
    format!("{line}\n")
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
