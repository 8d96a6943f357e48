//! A full disk: publishing fails with an error that says so, nothing acknowledged is lost,
//! reading goes on, and publishing works again once there is space.
//!
//! A limit on the size of files stands in for the full disk. `prlimit` of util-linux sets it
//! from outside while a child process publishes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nextrush_broker::{
    Broker, BrokerError, EmbeddedBroker, Epoch, HistoryQuery, Publication, Publish, Retention,
    Sink, TopicName,
};
use parking_lot::Mutex;

const DIRECTORY: &str = "NEXTRUSH_FULL_DIRECTORY";
const KEEP: Retention = Retention::count(1_000_000);

#[derive(Default)]
struct Recorder(Mutex<Vec<u64>>);

impl Sink for Recorder {
    fn deliver(&self, _: &TopicName, _: Epoch, publication: &Arc<Publication>) {
        self.0.lock().push(publication.offset);
    }
}

/// Executes commands line by line and answers each with a line.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let topic = TopicName::try_from("a").unwrap();
        let broker = EmbeddedBroker::open(directory).unwrap();
        let recorder = Arc::new(Recorder::default());
        broker.attach(recorder.clone());
        broker.subscribe(&topic).await.unwrap();
        println!("ready");
        for line in std::io::stdin().lines() {
            let answer = match line.unwrap().as_str() {
                "publish" => {
                    let publish = Publish::new(vec![b'x'; 2000]).retain(KEEP);
                    match broker.publish(&topic, publish).await {
                        Ok(published) => published.position.offset.to_string(),
                        Err(BrokerError::Full(_)) => "full".to_owned(),
                        Err(error) => format!("{error:?}"),
                    }
                }
                "history" => {
                    let all = HistoryQuery::Latest(usize::MAX);
                    let history = broker.history(&topic, all).await.unwrap();
                    let offsets = history.publications.iter().map(|kept| kept.offset);
                    offsets.map(|offset| format!("{offset} ")).collect()
                }
                _ => format!("{:?}", recorder.0.lock()),
            };
            println!("> {answer}");
        }
    });
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(directory: &std::path::Path) -> Self {
        // Exceeding the limit must be an error instead of a signal.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        // The test harness may have begun the line.
        while !process.line().ends_with("ready") {}
        process
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(
            self.output.read_line(&mut line).unwrap(),
            0,
            "the child ended"
        );
        line.trim_end().to_owned()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        loop {
            if let Some(answer) = self.line().strip_prefix("> ") {
                return answer.to_owned();
            }
        }
    }

    fn limit_files(&self, bytes: &str) {
        let pid = self.child.id().to_string();
        let limit = format!("--fsize={bytes}:unlimited");
        let status = Command::new("prlimit")
            .args(["--pid", &pid, &limit])
            .status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn a_full_disk_fails_publishing_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path());
    for offset in 1..=10 {
        assert_eq!(process.ask("publish"), offset.to_string());
    }
    process.limit_files("4096");
    for _ in 0..5 {
        assert_eq!(process.ask("publish"), "full");
    }
    let history = "1 2 3 4 5 6 7 8 9 10";
    assert_eq!(process.ask("history").trim(), history);
    assert_eq!(process.ask("delivered"), "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]");

    process.limit_files("unlimited");
    // The broker tries again after a second.
    let begun = Instant::now();
    let next = loop {
        match process.ask("publish").as_str() {
            "full" => assert!(begun.elapsed() < Duration::from_secs(60)),
            offset => break offset.parse::<u64>().unwrap(),
        }
    };
    // It was open whether the first failed publication had happened.
    assert!((11..=12).contains(&next), "{next}");
    let all: Vec<u64> = (1..=next).collect();
    let text =
        |numbers: &[u64]| -> String { numbers.iter().map(|number| format!("{number} ")).collect() };
    assert_eq!(process.ask("history").trim(), text(&all).trim());
    assert_eq!(process.ask("delivered"), format!("{all:?}"));

    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let mut process = Process::start(directory.path());
    assert_eq!(process.ask("history").trim(), text(&all).trim());
    drop(process.input);
    process.child.wait().unwrap();
}
