//! A publishing process is killed with `kill -9` at a random moment, again and again: nothing
//! acknowledged is missing afterwards, and no offset is given out twice.
//!
//! `NEXTRUSH_KILL_ROUNDS=200 cargo test -p nextrush-broker --all-features --test kill` runs
//! that many rounds; `NEXTRUSH_SEED` repeats the moments of a run. With `NEXTRUSH_KILL_LARGE=1`
//! each publication has 4 kB and there are more of them, so that some rounds end while files
//! are made, merged and removed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    Broker, CommandKey, EmbeddedBroker, Epoch, HistoryQuery, Publish, Retention, TopicName,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIRECTORY: &str = "NEXTRUSH_KILL_DIRECTORY";
const ROUND: &str = "NEXTRUSH_KILL_ROUND";
const LARGE: &str = "NEXTRUSH_KILL_LARGE";
const TOPICS: usize = 4;
const PUBLISHERS: usize = 8;
const WINDOW: Duration = Duration::from_secs(3600);

fn topic(number: usize) -> TopicName {
    TopicName::try_from(format!("topic-{number}")).unwrap()
}

fn is_large() -> bool {
    std::env::var_os(LARGE).is_some()
}

/// A text, and what makes it large.
fn data(text: &str) -> String {
    let padding = if is_large() { 4000 } else { 0 };
    format!("{text} {}", "x".repeat(padding))
}

fn retention() -> Retention {
    Retention::count(if is_large() { 1000 } else { 1_000_000 })
}

/// The process that is killed; does nothing when it runs as a test.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let broker = Arc::new(EmbeddedBroker::open(directory).unwrap());
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let (broker, round) = (Arc::clone(&broker), round.clone());
                tokio::spawn(publish_for_ever(broker, publisher, round))
            })
            .collect();
        for publisher in publishers {
            publisher.await.unwrap();
        }
    });
}

async fn publish_for_ever(broker: Arc<EmbeddedBroker>, publisher: usize, round: String) {
    for number in 0_u64.. {
        let topic_number = (publisher + number as usize) % TOPICS;
        let text = format!("{round}/{publisher}/{number}");
        let publish = Publish::new(data(&text))
            .retain(retention())
            .once(CommandKey::try_from(&*text).unwrap(), WINDOW);
        let published = broker.publish(&topic(topic_number), publish).await.unwrap();
        // One line is one write, so that an incomplete line can be recognised.
        let position = published.position;
        let line = format!(
            "ack {topic_number} {} {} {text}\n",
            position.epoch, position.offset
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

/// The known contents of a topic.
#[derive(Default)]
struct Known {
    epoch: Option<Epoch>,
    /// The texts that were acknowledged or seen, by offset.
    texts: HashMap<u64, String>,
    top: u64,
}

#[test]
fn nothing_that_was_acknowledged_is_missing_after_kill_9() {
    let rounds = std::env::var("NEXTRUSH_KILL_ROUNDS").map_or(5, |text| text.parse().unwrap());
    let seed = std::env::var("NEXTRUSH_SEED")
        .map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap());
    println!("NEXTRUSH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut known: Vec<Known> = (0..TOPICS).map(|_| Known::default()).collect();
    for round in 0..rounds {
        let lines = random.random_range(0..if is_large() { 30_000 } else { 400 });
        run_and_kill(directory.path(), round, lines, &mut known);
        check(directory.path(), &mut known);
    }
    let total: usize = known.iter().map(|topic| topic.texts.len()).sum();
    assert!(total > 0, "nothing was published");
    println!("{rounds} rounds, {total} publications");
}

fn run_and_kill(directory: &Path, round: u32, lines: usize, known: &mut [Known]) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut seen = 0;
    let mut line = String::new();
    loop {
        if seen == lines {
            // SIGKILL; the output up to here is still read.
            child.kill().unwrap();
        }
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            break;
        }
        let Some(acknowledged) = line
            .strip_prefix("ack ")
            .and_then(|rest| rest.strip_suffix('\n'))
        else {
            continue;
        };
        seen += 1;
        let fields: Vec<&str> = acknowledged.split(' ').collect();
        let [topic, epoch, offset, text] = fields[..] else {
            panic!("{line:?}");
        };
        let known = &mut known[topic.parse::<usize>().unwrap()];
        let epoch: Epoch = epoch.parse().unwrap();
        assert_eq!(*known.epoch.get_or_insert(epoch), epoch, "the epoch stays");
        let earlier = known.texts.insert(offset.parse().unwrap(), text.to_owned());
        assert_eq!(earlier, None, "offset {offset} was given out twice");
    }
    assert!(seen >= lines, "the child ended by itself");
    child.wait().unwrap();
}

fn check(directory: &Path, known: &mut [Known]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let broker = EmbeddedBroker::open(directory).unwrap();
        for (number, known) in known.iter_mut().enumerate() {
            let all = HistoryQuery::Latest(usize::MAX);
            let history = broker.history(&topic(number), all).await.unwrap();
            if known.epoch.is_none() {
                continue;
            }
            assert_eq!(Some(history.position.epoch), known.epoch);
            let offsets = history.publications.iter().map(|kept| kept.offset);
            let first = match is_large() {
                true => history.position.offset.saturating_sub(999).max(1),
                false => 1,
            };
            assert!(offsets.eq(first..=history.position.offset), "no hole");
            known.texts.retain(|offset, _| *offset >= first);
            assert!(history.position.offset >= known.top, "nothing goes back");
            known.top = history.position.offset;
            let stored: HashMap<u64, String> = history
                .publications
                .iter()
                .map(|kept| {
                    let data = str::from_utf8(&kept.data).unwrap();
                    let (text, _) = data.split_once(' ').unwrap();
                    (kept.offset, text.to_owned())
                })
                .collect();
            for (offset, text) in &known.texts {
                assert_eq!(
                    stored.get(offset),
                    Some(text),
                    "offset {offset} of {number}"
                );
            }
            let texts: std::collections::HashSet<&String> = stored.values().collect();
            assert_eq!(texts.len(), stored.len(), "nothing is there twice");
            known.texts = stored;
        }
        // A publisher without an answer asks again and gets the position.
        for (number, known) in known.iter().enumerate() {
            for offset in [1, known.top] {
                let Some(text) = known.texts.get(&offset) else {
                    continue;
                };
                let publish = Publish::new(data(text))
                    .retain(retention())
                    .once(CommandKey::try_from(&**text).unwrap(), WINDOW);
                let published = broker.publish(&topic(number), publish).await.unwrap();
                assert!(published.is_repeat);
                assert_eq!(published.position.offset, offset);
            }
        }
    });
}
