//! Damaged files: each file of a store is removed, emptied, cut, changed by a bit, swapped with
//! another and replaced by an older copy. Opening the store and reading everything gives all
//! that was acknowledged, or an error that says which file is damaged, and never less.
//!
//! A run takes some cases of a fixed seed. `NEXTRUSH_DAMAGE=all` takes all of them,
//! `NEXTRUSH_SEED` other ones, and `NEXTRUSH_DAMAGE=TEXT` those whose names contain the text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{
    Attempt, Broker, BrokerError, Bytes, Claim, CommandKey, EmbeddedBroker, EmbeddedOptions,
    HistoryQuery, OpenError, Publish, Retention, StoppedStore, TopicName,
};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

/// The directory of a child that fills a store.
const FILL: &str = "NEXTRUSH_DAMAGE_FILL";
/// The directory of a child that tries damages.
const TRY: &str = "NEXTRUSH_DAMAGE_TRY";
const ROUNDS: &str = "NEXTRUSH_DAMAGE_ROUNDS";

const ROOMS: usize = 50;
const KEPT: usize = 20;
/// The publications of a round, of 2 kB each.
const ROUND: usize = 20_000;
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);

fn room(number: usize) -> TopicName {
    TopicName::try_from(format!("room-{number}")).unwrap()
}

fn command(round: usize) -> Attempt {
    Attempt::new(key(&format!("command {round}"))).window(WINDOW)
}

fn key(text: &str) -> CommandKey {
    CommandKey::try_from(text).unwrap()
}

fn data(round: usize, number: usize) -> Vec<u8> {
    let mut data = format!("{round}/{number}/").into_bytes();
    data.resize(2000, b'x');
    data
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Fills a store, says so, and waits to be killed or told to end.
#[test]
fn fill() {
    let Ok(directory) = std::env::var(FILL) else {
        return;
    };
    let rounds = std::env::var(ROUNDS).unwrap();
    let (first, end) = rounds.split_once("..").unwrap();
    let rounds = first.parse().unwrap()..end.parse().unwrap();
    runtime().block_on(async {
        let broker = Arc::new(EmbeddedBroker::open(directory).unwrap());
        for round in rounds {
            let publishers: Vec<_> = (0..ROOMS)
                .map(|number| {
                    let broker = Arc::clone(&broker);
                    tokio::spawn(async move {
                        for number in (number..ROUND).step_by(ROOMS) {
                            let publish = Publish::new(data(round, number))
                                .retain(Retention::count(KEPT))
                                .once(key(&format!("{round}/{number}")), WINDOW);
                            let room = room(number % ROOMS);
                            broker.publish(&room, publish).await.unwrap();
                        }
                    })
                })
                .collect();
            for publisher in publishers {
                publisher.await.unwrap();
            }
            let answer = Bytes::from(format!("answer {round}"));
            match broker.claim(command(round)).await.unwrap() {
                Claim::Mine(claimed) => broker.answer(claimed, answer).await.unwrap(),
                other => panic!("{other:?}"),
            };
        }
        println!("filled");
        let _ = std::io::stdin().lines().next();
    });
}

fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
}

fn run_fill(directory: &Path, rounds: &str, end: fn(&mut std::process::Child)) {
    let mut child = child("fill")
        .env(FILL, directory)
        .env(ROUNDS, rounds)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    while !output.next().unwrap().unwrap().ends_with("filled") {}
    end(&mut child);
    child.stdin.take();
    output.for_each(drop);
    child.wait().unwrap();
}

/// Stores with files of all kinds.
struct Stores {
    /// The first round of all, closed.
    older: TempDir,
    /// Three rounds, killed.
    killed: TempDir,
    /// Three rounds, closed.
    closed: TempDir,
}

impl Stores {
    fn make() -> Self {
        let [older, killed, closed] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        run_fill(killed.path(), "0..1", |_| {});
        copy(killed.path(), older.path());
        run_fill(killed.path(), "1..3", |child| child.kill().unwrap());
        copy(killed.path(), closed.path());
        drop(EmbeddedBroker::open(closed.path()).unwrap());
        Self {
            older,
            killed,
            closed,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(path, copy).unwrap();
    }
}

/// A copy that shares the files that nobody changes in place.
fn link(from: &Path, to: &Path) {
    for path in files(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        if copy.ends_with("EXTENT") || copy.extension().is_some_and(|end| end == "jnl") {
            fs::copy(path, copy).unwrap();
        } else {
            fs::hard_link(path, copy).unwrap();
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A file and what happens to it.
#[derive(Clone, Debug)]
struct Case {
    file: PathBuf,
    damage: Damage,
}

#[derive(Clone, Debug)]
enum Damage {
    Removed,
    CutTo(u64),
    Flipped(u64),
    SwappedWith(PathBuf),
    Older,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.damage {
            Damage::Removed => write!(f, "{file} removed"),
            Damage::CutTo(0) => write!(f, "{file} emptied"),
            Damage::CutTo(length) => write!(f, "{file} cut to {length}"),
            Damage::Flipped(bit) => write!(f, "{file} with bit {bit} flipped"),
            Damage::SwappedWith(other) => write!(f, "{file} swapped with {}", other.display()),
            Damage::Older => write!(f, "{file} of an older copy"),
        }
    }
}

impl Case {
    /// Every kind of damage to every file of a store.
    fn all(store: &Path, older: &Path, random: &mut StdRng) -> Vec<Self> {
        let all = files(store);
        let name = |path: &Path| path.strip_prefix(store).unwrap().to_owned();
        let mut cases = Vec::new();
        for (index, path) in all.iter().enumerate() {
            let bytes = fs::read(path).unwrap();
            let length = bytes.len() as u64;
            let mut damages = vec![Damage::Removed];
            if length > 0 {
                // A journal is longer than what is in it.
                let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
                damages.extend([0, end / 2, end, length - 1].map(Damage::CutTo));
                let bits = [0, 8 * (end / 2), 8 * end + 7, 8 * length - 1];
                damages.extend(bits.map(Damage::Flipped));
                for _ in 0..4 {
                    damages.push(Damage::Flipped(random.random_range(0..8 * (end + 1))));
                }
            }
            let is_next_to = |other: &&PathBuf| other.parent() == path.parent();
            let next = all[index + 1..].iter().find(is_next_to);
            if let Some(next) = next
                && fs::read(next).unwrap() != bytes
            {
                damages.push(Damage::SwappedWith(name(next)));
            }
            if fs::read(older.join(name(path))).is_ok_and(|older| older != bytes) {
                damages.push(Damage::Older);
            }
            cases.extend(damages.into_iter().map(|damage| Self {
                file: name(path),
                damage,
            }));
        }
        cases
    }

    fn apply(&self, store: &Path, older: &Path) {
        let path = store.join(&self.file);
        let bytes = fs::read(&path).unwrap();
        // The file may be shared.
        fs::remove_file(&path).unwrap();
        match &self.damage {
            Damage::Removed => {}
            Damage::CutTo(length) => {
                fs::write(&path, &bytes[..usize::try_from(*length).unwrap()]).unwrap();
            }
            Damage::Flipped(bit) => {
                let mut bytes = bytes;
                bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
                fs::write(&path, bytes).unwrap();
            }
            Damage::SwappedWith(other) => {
                let other = store.join(other);
                fs::rename(&other, &path).unwrap();
                fs::write(other, bytes).unwrap();
            }
            Damage::Older => drop(fs::copy(older.join(&self.file), path).unwrap()),
        }
    }

    /// Checks that an error names the file, or another one where the damaged one is about
    /// others.
    fn is_named_by(&self, what: &str) -> bool {
        let mut names = vec![self.file.display().to_string()];
        match &self.damage {
            Damage::SwappedWith(other) => names.push(other.display().to_string()),
            // It may be the older one of the two that contradict each other.
            Damage::Older | Damage::CutTo(_) | Damage::Flipped(_) | Damage::Removed
                if is_journal(&self.file) =>
            {
                names.push(".jnl".to_owned());
            }
            _ => {}
        }
        if ["FILES", "EXTENT", "FORMAT"]
            .iter()
            .any(|own| self.file.ends_with(own))
        {
            names.push("data/".to_owned());
        }
        names.iter().any(|name| what.contains(name))
    }
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "jnl")
}

/// The end of a damaged store.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Outcome {
    Refused,
    /// Opened, but something could not be read.
    Unreadable,
    Whole,
}

/// Checks a store, which stays as it is. Returns whether damage was found, which names the file.
fn checked(directory: &Path, case: &Case) -> bool {
    let state = || {
        let files = files(directory).into_iter();
        files
            .map(|path| (fs::metadata(&path).unwrap().modified().unwrap(), path))
            .collect::<Vec<_>>()
    };
    let before = state();
    let check = match StoppedStore::check(directory) {
        Ok(check) => check,
        Err(OpenError::Format(what)) => {
            assert!(case.is_named_by(&what), "{what}");
            return true;
        }
        Err(OpenError::NewerFormat { .. } | OpenError::OlderFormat { .. })
            if case.file.ends_with("FORMAT") =>
        {
            return true;
        }
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(state(), before);
    let whats: Vec<_> = check.damages.iter().map(|damage| &damage.what).collect();
    let is_named = whats.iter().any(|what| case.is_named_by(what));
    assert!(whats.is_empty() || is_named, "{whats:?}");
    assert!(check.opens || !whats.is_empty());
    !whats.is_empty()
}

/// Opens a store of three rounds and reads everything.
async fn outcome(directory: &Path, case: &Case) -> Outcome {
    // Everything is read from the disk.
    let options = EmbeddedOptions::default().cache_bytes(0);
    let broker = match EmbeddedBroker::builder(directory).options(options).open() {
        Ok(broker) => broker,
        Err(OpenError::Damaged(what) | OpenError::Format(what)) => {
            assert!(case.is_named_by(&what), "{what}");
            return Outcome::Refused;
        }
        Err(OpenError::NewerFormat { .. } | OpenError::OlderFormat { .. })
            if case.file.ends_with("FORMAT") =>
        {
            return Outcome::Refused;
        }
        Err(error) => panic!("{error:?}"),
    };
    let mut outcome = Outcome::Whole;
    let mut note = |error: BrokerError| match error {
        BrokerError::Damaged(_) | BrokerError::Unavailable(_) => outcome = Outcome::Unreadable,
        error => panic!("{error:?}"),
    };
    match broker.topics(None, usize::MAX).await {
        Ok(topics) => assert_eq!(topics.len(), ROOMS),
        Err(error) => note(error),
    }
    for number in 0..ROOMS {
        match broker.history(&room(number), ALL).await {
            Ok(history) => {
                assert_eq!(history.position.offset as usize, 3 * ROUND / ROOMS);
                let kept = history.publications.iter().map(|kept| &kept.data[..]);
                let numbers = (number..ROUND).step_by(ROOMS).map(|number| data(2, number));
                let expected: Vec<_> = numbers.collect();
                assert!(
                    kept.eq(expected[expected.len() - KEPT..].iter()),
                    "{number}"
                );
            }
            Err(error) => note(error),
        }
    }
    for round in 0..3 {
        match broker.claim(command(round)).await {
            Ok(claim) => {
                let answer = format!("answer {round}");
                assert_eq!(claim, Claim::Answered(answer.into()));
            }
            Err(error) => note(error),
        }
        for number in (0..ROUND).step_by(ROUND / 40) {
            let publish = Publish::new(data(round, number))
                .retain(Retention::count(KEPT))
                .once(key(&format!("{round}/{number}")), WINDOW);
            match broker.publish(&room(number % ROOMS), publish).await {
                Ok(published) => assert!(published.is_repeat, "{round}/{number}"),
                Err(error) => note(error),
            }
        }
    }
    outcome
}

/// Tries the damages that are asked for, one line each.
#[test]
fn try_damages() {
    let Ok(store) = std::env::var(TRY) else {
        return;
    };
    let (store, older) = store.split_once(':').unwrap();
    let (store, older) = (Path::new(store), Path::new(older));
    let seed = std::env::var("NEXTRUSH_SEED").map_or(1, |text| text.parse().unwrap());
    let wanted = std::env::var("NEXTRUSH_DAMAGE").unwrap_or_default();
    let mut random = StdRng::seed_from_u64(seed);
    let mut cases = Case::all(store, older, &mut random);
    match wanted.as_str() {
        "all" => {}
        "" => cases = some(cases, &mut random),
        text => cases.retain(|case| case.to_string().contains(text)),
    }
    println!("NEXTRUSH_SEED={seed}");
    let runtime = runtime();
    let mut outcomes = BTreeMap::<_, usize>::new();
    let mut failed = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        println!("case {case}");
        let directory = tempfile::tempdir_in(store.parent().unwrap()).unwrap();
        link(store, directory.path());
        case.apply(directory.path(), older);
        // Some of them, as a check reads all that there is.
        let tried = AssertUnwindSafe(|| {
            let found = (number % 4 == 0).then(|| checked(directory.path(), &case));
            let outcome = runtime.block_on(outcome(directory.path(), &case));
            assert!(
                outcome == Outcome::Whole || found != Some(false),
                "{outcome:?}, and the check has found nothing"
            );
            outcome
        });
        match catch_unwind(tried) {
            Ok(outcome) => {
                println!("{outcome:?}");
                *outcomes.entry(outcome).or_default() += 1;
            }
            Err(_) => failed.push(case.to_string()),
        }
    }
    println!("tried {outcomes:?}");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The damages that once went unseen, and some others.
fn some(all: Vec<Case>, random: &mut StdRng) -> Vec<Case> {
    let (unseen, mut rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|case| {
        let is_gone = matches!(case.damage, Damage::Removed | Damage::CutTo(0));
        is_gone && (is_journal(&case.file) || case.file.ends_with("current"))
    });
    rest.shuffle(random);
    rest.truncate(40);
    unseen.into_iter().chain(rest).collect()
}

#[test]
fn each_file_that_is_damaged_is_named_or_costs_nothing() {
    let stores = Stores::make();
    let mut failed = false;
    for store in [&stores.closed, &stores.killed] {
        println!(
            "{}: {:?}",
            store.path().display(),
            files(store.path()).len()
        );
        let paths = format!(
            "{}:{}",
            store.path().display(),
            stores.older.path().display()
        );
        // Whatever asks for gigabytes because of a wrong length is ended here.
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 6000000; exec \"$0\" \"$@\""]);
        let tried = child("try_damages");
        let output = limited
            .arg(tried.get_program())
            .args(tried.get_args())
            .env(TRY, paths)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        print!("{text}");
        let is_whole = output.status.success() && text.contains("tried ");
        failed |= !is_whole;
    }
    assert!(!failed, "the output says where");
}

#[test]
fn damage_that_is_found_while_tables_are_merged_ends_the_broker_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    run_fill(directory.path(), "0..2", |_| {});
    // The tables of answers overlap, so they are merged.
    let answers = "data/keyspaces/3/tables";
    let tables = files(&directory.path().join(answers));
    for table in &tables {
        let mut bytes = fs::read(table).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(table, bytes).unwrap();
    }
    let options = EmbeddedOptions::default();
    runtime().block_on(async {
        let broker = EmbeddedBroker::builder(&directory).options(options);
        let broker = Arc::new(broker.open().unwrap());
        let publish_on = {
            let broker = Arc::clone(&broker);
            async move {
                for number in 0.. {
                    let answer = Bytes::from(vec![0; 256 << 10]);
                    // It fails as soon as the damage is found.
                    if let Ok(Claim::Mine(claimed)) = broker.claim(command(1000 + number)).await {
                        let _ = broker.answer(claimed, answer).await;
                    }
                }
            }
        };
        let part = tokio::select! {
            () = publish_on => unreachable!("it goes on for ever"),
            part = broker.failed() => part,
        };
        assert_eq!(part, "the store is damaged and");
    });
    let Err(OpenError::Damaged(what)) = EmbeddedBroker::open(directory.path()) else {
        panic!("it was opened");
    };
    assert!(what.contains(answers), "{what}");
}
