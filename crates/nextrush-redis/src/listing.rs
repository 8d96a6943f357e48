//! The names of all topics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nextrush_broker::TopicName;
use parking_lot::Mutex;
use redis::{Value, cmd};

use crate::failure::Failure;
use crate::keys::Keys;
use crate::link::Link;

/// The time for which the names that were read serve further pages.
const FRESH: Duration = Duration::from_secs(60);

/// The keys that the server looks at in one step.
const STEP: usize = 1000;

/// The place of the top in the record of a topic, which `topic.lua` packs.
const TOP: [usize; 2] = [17, 22];

/// The names of all topics, read as a whole for the first of several pages.
///
/// There is no index in Redis, which would cost every topic its name once more: names are
/// asked for rarely, and the server goes through its keys without standing still.
#[derive(Default)]
pub(crate) struct Listing(Mutex<Option<Names>>);

#[derive(Clone)]
struct Names {
    sorted: Arc<[TopicName]>,
    read: Instant,
}

impl Listing {
    /// The first `limit` names after `after`, or of all.
    pub(crate) async fn page(
        &self,
        after: Option<&TopicName>,
        limit: usize,
        links: Result<Vec<Arc<Link>>, Failure>,
        keys: &Keys,
    ) -> Result<Vec<TopicName>, Failure> {
        let known = self.0.lock().clone();
        let known = known.filter(|names| after.is_some() && names.read.elapsed() < FRESH);
        let sorted = match known {
            Some(names) => names.sorted,
            None => {
                let sorted: Arc<[_]> = read_names(links?, keys).await?.into();
                *self.0.lock() = Some(Names {
                    sorted: Arc::clone(&sorted),
                    read: Instant::now(),
                });
                sorted
            }
        };
        let start = after.map_or(0, |after| sorted.partition_point(|name| name <= after));
        let page: Vec<_> = sorted[start..].iter().take(limit).cloned().collect();
        if page.is_empty() {
            *self.0.lock() = None;
        }
        Ok(page)
    }
}

async fn read_names(links: Vec<Arc<Link>>, keys: &Keys) -> Result<Vec<TopicName>, Failure> {
    let mut names = Vec::new();
    for link in links {
        let mut scan = Scan::new(keys.topics_pattern());
        while let Some(found) = scan.next(&link).await? {
            names.extend(with_publications(&link, found, keys).await?);
        }
    }
    // A slot that moves has its keys on two servers for a moment.
    names.sort();
    names.dedup();
    Ok(names)
}

/// A walk through the keys of a server that have a pattern, some of them twice.
pub(crate) struct Scan {
    pattern: String,
    /// `None` at the end.
    cursor: Option<String>,
}

impl Scan {
    pub(crate) fn new(pattern: String) -> Self {
        let cursor = Some("0".to_owned());
        Self { pattern, cursor }
    }

    /// The next keys, perhaps none of them; `None` at the end.
    pub(crate) async fn next(&mut self, link: &Link) -> Result<Option<Vec<String>>, Failure> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(&self.pattern);
        scan.arg("COUNT").arg(STEP);
        let (next, found): (String, Vec<String>) = link.query(&scan).await?;
        self.cursor = (next != "0").then_some(next);
        Ok(Some(found))
    }
}

/// The topics of these keys that have publications: those that were only read have a record too.
async fn with_publications(
    link: &Link,
    found: Vec<String>,
    keys: &Keys,
) -> Result<Vec<TopicName>, Failure> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut tops = redis::pipe();
    for key in &found {
        tops.cmd("GETRANGE").arg(key).arg(&TOP);
    }
    let tops = link.requests(&tops).await?;
    let has_publications = |top: &Value| match top {
        Value::BulkString(top) => top.iter().any(|byte| *byte != 0),
        _ => false,
    };
    let found = found
        .iter()
        .zip(&tops)
        .filter(|(_, top)| has_publications(top));
    Ok(found.filter_map(|(key, _)| keys.topic_of(key)).collect())
}
