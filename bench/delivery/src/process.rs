//! The operating system's side of a process: its CPU time, its memory, its core and its
//! limits.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::Error;

/// The CPU time that a process has used so far, from the scheduler's own accounts. Threads
/// that have ended are missing.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Error> {
    let doing = || Error::io("reading /proc/PID/task/*/schedstat");
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).map_err(doing())? {
        let path = task.map_err(doing())?.path().join("schedstat");
        // A thread may end while its directory is read.
        let stat = fs::read_to_string(&path).unwrap_or_default();
        let used = stat.split_ascii_whitespace().next();
        nanoseconds += used.and_then(|used| used.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resets the peak of a process's memory.
pub(crate) fn forget_peak(pid: u32) -> Result<(), Error> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").map_err(Error::io(path))
}

/// The most memory that a process has had resident so far, in megabytes.
pub(crate) fn peak_memory(pid: u32) -> Result<f64, Error> {
    status(pid, "VmHWM:")
}

/// The memory that a process has resident now, in megabytes.
pub(crate) fn memory(pid: u32) -> Result<f64, Error> {
    status(pid, "VmRSS:")
}

/// The number of files that a process has open.
pub(crate) fn open_files(pid: u32) -> Result<usize, Error> {
    count(format!("/proc/{pid}/fd"))
}

/// The number of threads that a process has.
pub(crate) fn threads(pid: u32) -> Result<usize, Error> {
    count(format!("/proc/{pid}/task"))
}

fn count(directory: String) -> Result<usize, Error> {
    let entries = fs::read_dir(&directory).map_err(Error::io(directory))?;
    Ok(entries.count())
}

/// The load averages of the machine.
pub(crate) fn load_average() -> Result<String, Error> {
    let path = "/proc/loadavg";
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let three: Vec<_> = text.split(' ').take(3).collect();
    Ok(three.join(" "))
}

/// Keeps this process on one core.
pub(crate) fn pin(core: usize) -> Result<(), Error> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| Error::io(format!("core {core}"))(error.into()))
}

/// Raises the limit of open files as far as it goes, for this process and its children.
pub(crate) fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // If it is refused, the limit stays what it is, and connecting will say so.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn status(pid: u32, field: &str) -> Result<f64, Error> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(Error::io(&path))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<f64>().ok());
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not understood");
    let kilobytes = kilobytes.ok_or_else(malformed).map_err(Error::io(&path))?;
    Ok(kilobytes / 1024.0)
}
