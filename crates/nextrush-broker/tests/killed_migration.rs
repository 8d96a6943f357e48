//! A migration whose process is killed.
//!
//! In a program of its own: until a child runs another program it has the open files of this one,
//! and with them the lock of a store that another test has just closed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "migration/support.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nextrush_broker::{CommandKey, Migration, TopicName};

use support::{Names, builder, check, format, old_store};

/// The topics and answers in the fixture; the migration is asked for each once.
const NAMES: usize = 10;

/// A migration that aborts the process at the name number `at`.
struct Abort {
    at: usize,
    asked: AtomicUsize,
}

impl Abort {
    fn count(&self) {
        if self.asked.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            std::process::abort();
        }
    }
}

impl Migration for Abort {
    fn topic(&self, from: u32, topic: &TopicName) -> Option<TopicName> {
        self.count();
        Names.topic(from, topic)
    }

    fn command(&self, from: u32, key: &CommandKey) -> Option<CommandKey> {
        self.count();
        Names.command(from, key)
    }
}

/// The process that is killed; does nothing when it runs as a test.
#[test]
fn child() {
    let Ok(directory) = std::env::var("NEXTRUSH_MIGRATED") else {
        return;
    };
    let at = std::env::var("NEXTRUSH_ABORT_AT").unwrap();
    let abort = Abort {
        at: at.parse().unwrap(),
        asked: AtomicUsize::new(0),
    };
    let _broker = builder(Path::new(&directory)).migration(abort).open();
}

fn run_child(directory: &Path, abort_at: usize) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--test-threads=1"])
        .env("NEXTRUSH_MIGRATED", directory)
        .env("NEXTRUSH_ABORT_AT", abort_at.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

#[tokio::test]
async fn a_migration_that_is_killed_is_done_again() {
    for at in 1..=NAMES {
        let directory = old_store();
        // Twice in a row, at different names.
        assert!(!run_child(directory.path(), at), "{at}");
        assert!(!run_child(directory.path(), NAMES + 1 - at), "{at}");
        assert_eq!(format(directory.path()), "nextrush store 2", "{at}");
        let broker = builder(directory.path()).migration(Names).open().unwrap();
        check(&broker).await;
    }
    let directory = old_store();
    assert!(run_child(directory.path(), NAMES + 1));
    let broker = builder(directory.path()).open().unwrap();
    check(&broker).await;
}
