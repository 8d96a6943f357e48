//! The machine: limits, clock and kernel.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::finding::Finding;

/// The open files below which a server is likely to run out of them.
const FILES: u64 = 65_536;
/// The open files without which not even a small server gets along.
const FEW_FILES: u64 = 1024;
/// The time before which no machine with this program can be: 2026-01-01.
const BUILT: Duration = Duration::from_secs(1_767_225_600);

/// The limit of open files: each socket is one.
pub(super) fn files() -> Option<Finding> {
    open_files().map(|limit| judge_files(limit.0, limit.1))
}

#[cfg(unix)]
fn open_files() -> Option<(u64, u64)> {
    use rustix::process::{Resource, getrlimit};

    let limit = getrlimit(Resource::Nofile);
    let [soft, hard] = [limit.current, limit.maximum].map(|limit| limit.unwrap_or(u64::MAX));
    Some((soft, hard))
}

#[cfg(not(unix))]
fn open_files() -> Option<(u64, u64)> {
    None
}

fn judge_files(soft: u64, hard: u64) -> Finding {
    let what = format!("open files: {soft}, and a socket takes one");
    let to_do = match hard > soft {
        true => format!("`ulimit -n {hard}` before the start, or LimitNOFILE=1048576 in the unit"),
        false => "raise LimitNOFILE= in the unit, or the limit in /etc/security/limits.conf".into(),
    };
    match soft {
        FILES.. => Finding::ok(format!("open files: {soft}")),
        FEW_FILES.. => Finding::warn(what, to_do),
        _ => Finding::fail(what, to_do),
    }
}

/// The clock, by which tokens end.
pub(super) fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    judge_clock(now.unwrap_or_default(), is_synchronized())
}

/// Returns whether the clock is kept right, where systemd says so.
fn is_synchronized() -> Option<bool> {
    let exists = |path| fs::exists(path).unwrap_or(false);
    exists("/run/systemd/timesync").then(|| exists("/run/systemd/timesync/synchronized"))
}

fn judge_clock(now: Duration, is_synchronized: Option<bool>) -> Finding {
    let to_do = "let it be set by NTP: tokens are refused or live too long by a wrong clock";
    match is_synchronized {
        _ if now < BUILT => Finding::fail("clock: it is years behind", to_do),
        Some(false) => Finding::warn("clock: systemd-timesyncd has not set it yet", to_do),
        Some(true) => Finding::ok("clock: set by systemd-timesyncd"),
        None => Finding::ok("clock: of this time, as far as can be seen from here"),
    }
}

/// Settings of the kernel for many sockets.
pub(super) fn kernel() -> Vec<Finding> {
    let read = |path: &str| fs::read_to_string(format!("/proc/sys/net/{path}")).ok();
    let page = 4096;
    [
        read("core/somaxconn").and_then(|text| judge_somaxconn(&text)),
        read("ipv4/tcp_mem").and_then(|text| judge_tcp_mem(&text, page)),
        read("ipv4/ip_local_port_range").and_then(|text| judge_ports(&text)),
        read("netfilter/nf_conntrack_max").and_then(|text| judge_conntrack(&text)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn judge_somaxconn(text: &str) -> Option<Finding> {
    let most: u64 = text.trim().parse().ok()?;
    let what = format!("net.core.somaxconn: {most} connections wait to be accepted at most");
    Some(match most {
        1024.. => Finding::ok(what),
        _ => Finding::warn(
            what,
            "`sysctl -w net.core.somaxconn=4096`: when all clients come back at once others are \
             dropped",
        ),
    })
}

fn judge_tcp_mem(text: &str, page: u64) -> Option<Finding> {
    let most: u64 = text.split_whitespace().nth(2)?.parse().ok()?;
    let bytes = most.saturating_mul(page);
    let what = format!("net.ipv4.tcp_mem: {} MiB for all sockets", bytes >> 20);
    Some(match bytes >> 20 {
        256.. => Finding::ok(what),
        _ => Finding::warn(
            what,
            "raise its third number, in pages of 4 KiB: an idle socket takes little, a busy one \
             up to some hundred KiB",
        ),
    })
}

fn judge_ports(text: &str) -> Option<Finding> {
    let mut numbers = text.split_whitespace();
    let first: u32 = numbers.next()?.parse().ok()?;
    let last: u32 = numbers.next()?.parse().ok()?;
    let count = (last + 1).checked_sub(first)?;
    let what = format!(
        "net.ipv4.ip_local_port_range: {count} connections from a proxy on this machine to one \
         address"
    );
    Some(match count {
        20_000.. => Finding::ok(what),
        _ => Finding::warn(
            what,
            "`sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`, or let the proxy use a Unix \
             socket",
        ),
    })
}

fn judge_conntrack(text: &str) -> Option<Finding> {
    let most: u64 = text.trim().parse().ok()?;
    let what = format!("net.netfilter.nf_conntrack_max: the firewall follows {most} connections");
    Some(match most {
        131_072.. => Finding::ok(what),
        _ => Finding::warn(
            what,
            "`sysctl -w net.netfilter.nf_conntrack_max=1048576`, or do not track the server's port: \
             beyond it packets are dropped in silence",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn limits_and_settings_are_judged_by_what_a_server_needs() {
        let level = |finding: Option<Finding>| finding.map(|finding| finding.level);
        for (finding, expected) in [
            (Some(judge_files(65_536, 65_536)), Level::Ok),
            (Some(judge_files(1024, 4096)), Level::Warn),
            (Some(judge_files(1023, 1023)), Level::Fail),
            (judge_somaxconn("4096\n"), Level::Ok),
            (judge_somaxconn("128\n"), Level::Warn),
            (judge_tcp_mem("1 2 65536", 4096), Level::Ok),
            (judge_tcp_mem("1 2 65535", 4096), Level::Warn),
            (judge_ports("32768\t60999\n"), Level::Ok),
            (judge_ports("50000 60999"), Level::Warn),
            (judge_conntrack("262144"), Level::Ok),
            (judge_conntrack("65536"), Level::Warn),
            (Some(judge_clock(BUILT, None)), Level::Ok),
            (Some(judge_clock(BUILT, Some(false))), Level::Warn),
            (Some(judge_clock(Duration::ZERO, Some(true))), Level::Fail),
        ] {
            assert_eq!(level(finding.clone()), Some(expected), "{finding:?}");
        }
        for wrong in ["", "x", "1"] {
            assert_eq!(judge_tcp_mem(wrong, 4096), None);
            assert_eq!(judge_ports(wrong), None);
        }
    }

    #[test]
    fn what_is_not_ok_says_what_to_do() {
        let text = judge_files(1024, 4096).to_string();
        assert_eq!(
            text,
            "warn  open files: 1024, and a socket takes one\n      -> `ulimit -n 4096` before the \
             start, or LimitNOFILE=1048576 in the unit\n"
        );
        assert_eq!(
            judge_files(70_000, 70_000).to_string(),
            "ok    open files: 70000\n"
        );
    }
}
