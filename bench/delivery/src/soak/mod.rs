//! Everything at once for a long time: chat, live updates, people who come and go, slow readers,
//! requests, hostile clients, new settings and certificates. Nothing may be lost, and the
//! server's memory has to stay as it is after ten minutes.

mod backend;
mod configuration;
mod crowd;
mod hostility;
mod publisher;
mod samples;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use socket2::SockAddr;

use crate::api::Api;
use crate::error::Error;
use crate::hostile::Bystander;
use crate::server::{Program, Server};
use crate::soak::configuration::Configuration;
use crate::soak::crowd::Crowd;
use crate::soak::hostility::Hostility;
use crate::soak::publisher::{Publishers, Tops};
use crate::soak::samples::Samples;

/// The time between two samples.
const SAMPLE: Duration = Duration::from_secs(5);
/// The time between two configurations.
const RELOAD: Duration = Duration::from_secs(60);
const TURN: Duration = Duration::from_millis(20);
/// The time for the last messages to come, and for the server to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The faults after which it is not worth to go on.
const FAULTS: usize = 100;
/// The longest echo that is told from longer ones, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// The options of this scenario.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// The time that it takes, in minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// The folder for samples, figures and the server's log.
    #[arg(long, default_value = "soak-out")]
    out: PathBuf,
    /// The chat rooms, of ten members each.
    #[arg(long, default_value_t = 24)]
    rooms: usize,
    /// The channels with a history, of ten readers each.
    #[arg(long, default_value_t = 30)]
    channels: usize,
    /// The channels with presence, of ten devices each.
    #[arg(long, default_value_t = 6)]
    desks: usize,
    /// The clients whose requests and publications a backend is asked about.
    #[arg(long, default_value_t = 20)]
    askers: usize,
    /// The readers of a channel with updates of 32 KiB that read a twelfth of it for a minute,
    /// then all.
    #[arg(long, default_value_t = 3)]
    slow: usize,
    /// Publications over HTTP a second.
    #[arg(long, default_value_t = 80.0)]
    rate: f64,
    /// Connections that are cut a second; the clients come back with their positions.
    #[arg(long, default_value_t = 10.0)]
    cuts: f64,
    /// Clients a second who are new, do a little and leave.
    #[arg(long, default_value_t = 8.0)]
    passing: f64,
    /// The share of its time that a hostile client is at work.
    #[arg(long, default_value_t = 0.08)]
    hostile: f64,
    /// The growth of the memory after the first ten minutes that is accepted, in percent of
    /// what it was then.
    #[arg(long, default_value_t = 10.0)]
    growth: f64,
}

/// Faults, told from any thread.
type Faults = Sender<String>;

pub(crate) fn run(program: &Program, settings: &Settings) -> Result<(), Error> {
    fs::create_dir_all(&settings.out).map_err(Error::io("the folder for samples"))?;
    let log = settings.out.join("server.log");
    let (faults, told) = mpsc::channel();
    let backend = backend::serve()?;
    let mut configuration = Configuration::new(program.addr(), backend)?;
    let server = program.start_with(
        configuration.file(),
        File::create(&log).map_err(Error::io("the log"))?,
    )?;
    let api = Api::over_tls(server.addr, configuration.authority());
    let tops = Tops::default();

    let mut crowd = Crowd::new(settings, &configuration, &api, &tops, &faults)?;
    crowd.come()?;
    let echoes = watch(configuration.socket(), &faults)?;
    let publishers = Publishers::start(&api, settings, &tops, &faults);
    let hostility = Hostility::begin(&configuration, settings.hostile)?;
    let mut samples = Samples::new(&settings.out, server.pid(), configuration.store())?;

    let begun = Instant::now();
    let end = begun + Duration::from_secs(60 * settings.minutes);
    let (mut next_sample, mut next_reload) = (begun + SAMPLE, begun + RELOAD);
    let mut all = Vec::new();
    while Instant::now() < end && all.len() < FAULTS {
        crowd.turn(Instant::now() + TURN)?;
        if Instant::now() >= next_sample {
            next_sample += SAMPLE;
            let echoes = std::mem::replace(&mut *lock(&echoes), histogram()?);
            samples.take(&echoes, &crowd, &hostility.kind(), all.len())?;
        }
        if Instant::now() >= next_reload {
            next_reload += RELOAD;
            reload(&mut configuration, &server, &api, &faults)?;
        }
        for fault in told.try_iter() {
            let at = begun.elapsed().as_secs();
            eprintln!("after {at} s: {fault}");
            all.push(fault);
        }
    }

    hostility.end();
    publishers.stop();
    let settled = crowd
        .settle(PATIENCE)
        .and_then(|()| crowd.compare_presence(PATIENCE));
    // Whoever is there at the end sees the server go.
    all.extend(told.try_iter());
    let ended = terminate(server, &mut crowd);
    for failed in [settled, ended] {
        all.extend(failed.err().map(|error| error.with_causes()));
    }
    all.extend(errors(&log)?);
    let figures = format!("{}{}", samples.figures(), crowd.figures());
    print!("{figures}");
    let mut file =
        File::create(settings.out.join("figures.txt")).map_err(Error::io("the figures"))?;
    write!(file, "{figures}faults: {}\n{}\n", all.len(), all.join("\n"))
        .map_err(Error::io("the figures"))?;
    all.extend(samples.growth_beyond(settings.growth));
    crowd.tally().judge()?;
    match all.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Error::Broken(format!(
            "{} faults, of which the first: {first}",
            all.len()
        ))),
    }
}

/// Asks the server for echoes on a thread of its own, and collects their times.
fn watch(socket: &Path, faults: &Faults) -> Result<Arc<Mutex<Histogram<u64>>>, Error> {
    let addr = SockAddr::unix(socket).map_err(Error::io("the server's Unix socket"))?;
    let mut bystander = Bystander::connect(&addr)?;
    let all = Arc::new(Mutex::new(histogram()?));
    let (echoes, faults) = (Arc::clone(&all), faults.clone());
    thread::spawn(move || {
        loop {
            match bystander.measure(Duration::from_secs(1)) {
                Ok(times) => *lock(&echoes) += times,
                // When the run is over nobody listens any more.
                Err(error) => {
                    return faults.send(format!("the bystander: {}", error.with_causes()));
                }
            }
        }
    });
    Ok(all)
}

fn histogram() -> Result<Histogram<u64>, Error> {
    Histogram::new_with_max(LONGEST, 3).map_err(|error| Error::Broken(error.to_string()))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared
        .lock()
        .expect("no thread panics while it holds the lock")
}

/// Gives the server another configuration and certificate, and has it checked elsewhere that
/// they hold.
fn reload(
    configuration: &mut Configuration,
    server: &Server,
    api: &Api,
    faults: &Faults,
) -> Result<(), Error> {
    let check = configuration.renew(api)?;
    server.reload()?;
    let faults = faults.clone();
    thread::spawn(move || match check.wait() {
        Ok(()) => Ok(()),
        Err(error) => faults.send(format!("a reload: {}", error.with_causes())),
    });
    Ok(())
}

/// Tells the server to stop, which sends everybody away, and waits for its end.
fn terminate(mut server: Server, crowd: &mut Crowd) -> Result<(), Error> {
    crowd.expect_the_end();
    server.terminate()?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        crowd.turn(Instant::now() + TURN)?;
        match server.ended()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(Error::Broken(format!("the server ended with {status}"))),
            None => {}
        }
    }
    Err(Error::Silence("the server was stopping"))
}

/// The lines of the log that tell of errors.
fn errors(log: &Path) -> Result<Vec<String>, Error> {
    let text = fs::read_to_string(log).map_err(Error::io("the log"))?;
    let errors = text.lines().filter(|line| line.contains(" ERROR "));
    Ok(errors.map(|line| format!("the log: {line}")).collect())
}
