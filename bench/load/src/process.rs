//! The operating system's side of a process: its CPU time, its memory, and where it may run.

use std::fs;
use std::io;
use std::ops::Sub;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::Error;

/// CPU time that a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// All of it, to the nanosecond, from the scheduler's own accounts.
    pub total: Duration,
    /// Clock ticks in user space and in the kernel: coarse, good for shares only.
    ticks: (u64, u64),
}

impl Cpu {
    /// The CPU time of a process so far. Threads that have ended are missing.
    ///
    /// # Errors
    ///
    /// If the process is gone, or the kernel has no such accounts.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let total = scheduled(pid).map_err(Error::io("reading /proc/PID/task/*/schedstat"))?;
        let ticks = ticks(pid).map_err(Error::io("reading /proc/PID/stat"))?;
        Ok(Self { total, ticks })
    }

    /// The part of it in user space.
    pub fn user(self) -> Duration {
        let (user, kernel) = self.ticks;
        let share = user as f64 / (user + kernel).max(1) as f64;
        self.total.mul_f64(share)
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            ticks: (
                self.ticks.0.saturating_sub(earlier.ticks.0),
                self.ticks.1.saturating_sub(earlier.ticks.1),
            ),
        }
    }
}

/// The resident memory of a process in bytes.
///
/// # Errors
///
/// If the process is gone.
pub fn memory(pid: u32) -> Result<u64, Error> {
    // `smaps_rollup` counts pages; `VmRSS` is kept per core and may be megabytes behind.
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path).map_err(Error::io(&path))?;
    let kilobytes = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .ok_or_else(|| malformed(&path))
        .map_err(Error::io(&path))?;
    Ok(kilobytes * 1024)
}

/// The bytes that the kernel holds for one loopback connection on either side, from
/// `/proc/net/tcp` and `tcp6`: the send queue of `server`'s port towards `client`'s, and the
/// receive queue of the other end.
///
/// # Errors
///
/// If the tables cannot be read.
pub fn kernel_queues(server: u16, client: u16) -> Result<(u64, u64), Error> {
    let mut queues = (0, 0);
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = match fs::read_to_string(path) {
            Ok(table) => table,
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io(path)(error)),
        };
        for line in table.lines().skip(1) {
            let Some((local, remote, sending, receiving)) = queues_of(line) else {
                continue;
            };
            if (local, remote) == (server, client) {
                queues.0 = sending;
            } else if (local, remote) == (client, server) {
                queues.1 = receiving;
            }
        }
    }
    Ok(queues)
}

fn queues_of(line: &str) -> Option<(u16, u16, u64, u64)> {
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (port(fields.next()?)?, port(fields.next()?)?);
    let (sending, receiving) = fields.nth(1)?.split_once(':')?;
    Some((
        local,
        remote,
        u64::from_str_radix(sending, 16).ok()?,
        u64::from_str_radix(receiving, 16).ok()?,
    ))
}

/// Keeps this thread on one core.
///
/// # Errors
///
/// If there is no such core.
pub fn pin(core: usize) -> Result<(), Error> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| Error::io(format!("core {core}"))(error.into()))
}

/// Raises the limit of open files as far as it goes, for this process and its children, and
/// says how far that is.
pub fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If it is refused, the limit stays what it is.
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.map_or(usize::MAX, |files| files as usize)
}

fn scheduled(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        // A thread may end while its directory is read.
        let Ok(stat) = fs::read_to_string(&path) else {
            continue;
        };
        let first = stat.split_ascii_whitespace().next();
        nanoseconds += first
            .and_then(|number| number.parse::<u64>().ok())
            .ok_or_else(|| malformed(&path.to_string_lossy()))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn ticks(pid: u32) -> io::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path)?;
    // The name, in parentheses, may hold anything; the state follows it (proc(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut next = || times.next()?.parse().ok();
    next().zip(next()).ok_or_else(|| malformed(&path))
}

fn malformed(path: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{path} is not understood"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queues_of_a_connection_are_read_from_the_kernels_table() {
        let line = "  12: 0100007F:0BB8 0100007F:C001 01 0000FF00:0000000A 01:00000014 \
                    00000000     0        0 12345 2 0000000000000000";
        assert_eq!(queues_of(line), Some((3000, 0xC001, 0xFF00, 10)));
        assert_eq!(queues_of("nonsense"), None);
    }

    #[test]
    fn a_process_has_memory_and_used_cpu_time() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap() > 4096);
        assert!(Cpu::of(pid).unwrap().total > Duration::ZERO);
    }
}
