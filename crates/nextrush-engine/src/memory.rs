//! The memory that the process may use.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory taken for granted where the system does not tell.
const UNKNOWN: usize = 2 << 30;

/// The bytes of memory that the process may use: that of the machine, or less if its container has
/// a limit (cgroup v1 and v2).
pub(crate) fn available() -> usize {
    available_in(Path::new("/"))
}

/// The same by the files below a root.
fn available_in(root: &Path) -> usize {
    let limits = limit_files(root)
        .into_iter()
        .filter_map(|file| number(&file));
    machine(&root.join("proc/meminfo"))
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
fn limit_files(root: &Path) -> Vec<PathBuf> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (tree, name) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            files.push(root.join(tree).join(group).join(name));
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

    #[test]
    fn the_tightest_limit_of_the_container_and_those_around_it_counts() {
        let write = |root: &Path, files: &[(&str, &str)]| {
            for (file, text) in files {
                let file = root.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
        };
        let machine = ("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 7 kB\n");
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let group_v1 = ("proc/self/cgroup", "5:cpu:/x\n4:memory:/a\n0::/\n");
        let (own, outer) = ("sys/fs/cgroup/a/b/memory.max", "sys/fs/cgroup/a/memory.max");
        let own_v1 = "sys/fs/cgroup/memory/a/memory.limit_in_bytes";
        for (files, expected) in [
            (vec![], UNKNOWN),
            (vec![machine], 2 << 20),
            (vec![machine, group, (own, "max\n")], 2 << 20),
            (vec![machine, group, (own, "1000000\n")], 1_000_000),
            (vec![machine, group, (own, "max\n"), (outer, "500\n")], 500),
            (vec![machine, group, (own, "9000000\n")], 2 << 20),
            (vec![machine, group_v1, (own_v1, "1000\n")], 1_000),
        ] {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), &files);
            assert_eq!(available_in(root.path()), expected, "{files:?}");
        }
    }
}
