//! The lines that the process logs.

use std::io;
use std::sync::{Mutex, Once};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing_subscriber::filter::LevelFilter;

use crate::support::within;

/// The tests that read the log.
static READERS: Mutex<Vec<UnboundedSender<String>>> = Mutex::new(Vec::new());

/// The lines of the log since its capture; those of other tests are among them.
pub struct Log(UnboundedReceiver<String>);

impl Log {
    pub fn capture() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(LevelFilter::INFO)
                .with_writer(|| Line(Vec::new()))
                .init();
        });
        let (sender, lines) = unbounded_channel();
        READERS.lock().unwrap().push(sender);
        Self(lines)
    }

    /// The next line with a text; those before it are passed over.
    pub async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = within(self.0.recv()).await.unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The lines up to now that have a text and were not read before.
    pub fn lines_with(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(line) = self.0.try_recv() {
            if line.contains(text) {
                lines.push(line);
            }
        }
        lines
    }
}

struct Line(Vec<u8>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = String::from_utf8_lossy(&self.0);
        let mut readers = READERS.lock().unwrap();
        readers.retain(|reader| reader.send(line.clone().into_owned()).is_ok());
    }
}
