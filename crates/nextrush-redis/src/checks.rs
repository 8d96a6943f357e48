//! The look at a server's settings when a node starts.

use std::collections::HashMap;

use redis::{Value, cmd};

use crate::link::Link;

/// Warns of settings with which the server loses what it has acknowledged. A server that does
/// not tell its settings is left alone.
pub(crate) async fn warn_of_losses(link: &Link) {
    let mut question = cmd("CONFIG");
    question.arg("GET").arg("*");
    let (Ok(settings), Ok(replication)) = (
        link.query::<HashMap<String, String>>(&question).await,
        link.query::<Value>(cmd("INFO").arg("replication")).await,
    ) else {
        tracing::info!(
            "Redis at {} does not tell its settings, which decide what it may lose",
            link.address
        );
        return;
    };
    let replication = redis::from_redis_value::<String>(replication).unwrap_or_default();
    for warning in losses(&settings, &replication) {
        tracing::warn!("Redis at {}: {warning}", link.address);
    }
}

/// A text for each setting with which the server may lose something.
fn losses(settings: &HashMap<String, String>, replication: &str) -> Vec<String> {
    let setting = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut losses = Vec::new();
    let policy = setting("maxmemory-policy");
    if !matches!(policy, "" | "noeviction" | "volatile-ttl") {
        losses.push(format!(
            "maxmemory-policy {policy} forgets topics when memory is short: use noeviction"
        ));
    }
    if setting("maxmemory") == "0" {
        losses.push(
            "maxmemory is 0: without a bound the system ends the server when memory is short"
                .to_owned(),
        );
    }
    if setting("appendonly") == "no" {
        losses.push(
            "appendonly is no: a restart loses what was published since the last snapshot"
                .to_owned(),
        );
    }
    let replicas = replication
        .lines()
        .find_map(|line| line.strip_prefix("connected_slaves:"));
    if replicas.is_some_and(|replicas| replicas.trim() != "0")
        && setting("min-replicas-to-write") == "0"
    {
        losses.push(
            "min-replicas-to-write is 0: a master that is cut off from its replicas goes on \
             acknowledging what a failover loses"
                .to_owned(),
        );
    }
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(settings: &[(&str, &str)], replicas: u8) -> usize {
        let safe = [
            ("maxmemory-policy", "noeviction"),
            ("maxmemory", "1000000"),
            ("appendonly", "yes"),
            ("min-replicas-to-write", "1"),
        ];
        let settings = safe.iter().chain(settings);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let replication = format!("role:master\r\nconnected_slaves:{replicas}\r\n");
        losses(&settings.collect(), &replication).len()
    }

    #[test]
    fn each_setting_that_loses_something_is_told() {
        assert_eq!(warned(&[], 1), 0);
        assert_eq!(warned(&[("maxmemory-policy", "volatile-ttl")], 1), 0);
        assert_eq!(warned(&[("maxmemory-policy", "allkeys-lru")], 1), 1);
        assert_eq!(warned(&[("maxmemory-policy", "volatile-lru")], 1), 1);
        assert_eq!(warned(&[("maxmemory", "0")], 1), 1);
        assert_eq!(warned(&[("appendonly", "no")], 1), 1);
        assert_eq!(warned(&[("min-replicas-to-write", "0")], 1), 1);
        assert_eq!(warned(&[("min-replicas-to-write", "0")], 0), 0);
        // A server that has none of these settings.
        assert!(losses(&HashMap::new(), "").is_empty());
    }
}
