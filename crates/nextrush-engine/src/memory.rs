//! The memory that the process may use.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory taken for granted where the system does not tell.
const UNKNOWN: usize = 2 << 30;

/// The bytes of memory that the process may use: that of the machine, or less if its container has
/// a limit (cgroup v1 and v2).
pub(crate) fn available() -> usize {
    let limits = limit_files().into_iter().filter_map(|file| number(&file));
    machine(Path::new("/proc/meminfo"))
        .into_iter()
        .chain(limits)
        .min()
        .map_or(UNKNOWN, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        })
}

fn machine(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that may hold a limit: each group of the process and those around it, as one of them
/// may be tighter.
fn limit_files() -> Vec<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            files.push(Path::new(root).join(group).join(name));
        }
    }
    files
}

/// The number in a file; `None` for `max`, which is no number.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn some_memory_is_available_and_no_more_than_the_machine_has() {
        let machine = machine(Path::new("/proc/meminfo")).unwrap();
        let available = available() as u64;
        assert!((1 << 20..=machine).contains(&available), "{available}");
    }
}
