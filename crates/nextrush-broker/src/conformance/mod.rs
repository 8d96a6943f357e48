//! The promises of a [`Broker`] as a test, which the crate of each broker runs.
//!
//! ```
//! use nextrush_broker::{MemoryBroker, conformance::conformance};
//!
//! # // In a test: #[tokio::test(flavor = "multi_thread")]
//! #[tokio::main]
//! async fn main() {
//!     conformance(async || MemoryBroker::new()).await;
//! }
//! ```

mod answers;
mod concurrency;
mod deleting;
mod delivery;
mod pairs;
mod positions;
mod recorder;
mod remembering;
mod roster_pairs;
mod rosters;
mod versions;

pub use pairs::{SharedBrokers, StoreFault, pair_conformance};
pub use roster_pairs::roster_pair_conformance;
pub use rosters::roster_conformance;

use std::sync::Arc;
use std::time::Duration;

use crate::answer::CommandKey;
use crate::broker::Broker;
use crate::history::{History, HistoryQuery};
use crate::position::{Epoch, Position};
use crate::publication::{Publication, Publish, Published};
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// Checks the promises of [`Broker`] on brokers made by `make`, one for each promise.
///
/// The brokers may share a store: all topics and keys are new. Concurrent publishers are
/// tasks of tokio's current runtime; on a multi-threaded one they publish truly at once. No
/// check waits for time to pass.
///
/// # Panics
///
/// If a promise is broken, with a text that names it and the difference; if the broker
/// returns an error; or outside a tokio runtime.
pub async fn conformance<B: Broker>(make: impl AsyncFn() -> B) {
    positions::offsets_count_from_one(&make().await).await;
    positions::a_topic_has_a_position_before_its_first_publication(&make().await).await;
    remembering::latest_reads_the_newest(&make().await).await;
    remembering::after_reads_what_follows(&make().await).await;
    positions::topics_are_independent(&make().await).await;
    positions::topics_are_listed_in_order(&make().await).await;
    remembering::retention_bounds_the_count(&make().await).await;
    remembering::retention_bounds_the_age(&make().await).await;
    remembering::retention_bounds_the_bytes(&make().await).await;
    delivery::sinks_get_subscribed_topics_only(&make().await).await;
    delivery::interests_are_counted(&make().await).await;
    delivery::every_sink_gets_what_history_has(&make().await).await;
    delivery::publishing_at_once_is_publishing(&make().await).await;
    concurrency::concurrent_publishers_share_one_order(Arc::new(make().await)).await;
    concurrency::concurrent_topics_keep_their_order(Arc::new(make().await)).await;
    answers::a_publication_happens_once_per_key(&make().await).await;
    answers::a_key_with_another_fingerprint_is_refused(&make().await).await;
    answers::a_key_counts_within_its_topic_and_window(&make().await).await;
    versions::an_older_version_is_dropped(&make().await).await;
    versions::versions_belong_to_keys(&make().await).await;
    versions::concurrent_versions_end_with_the_highest(Arc::new(make().await)).await;
    answers::the_first_answer_to_a_command_stays(&make().await).await;
    answers::a_command_is_executed_by_one(&make().await).await;
    answers::a_command_is_executed_at_most_once(&make().await).await;
    concurrency::concurrent_repeats_publish_once(Arc::new(make().await)).await;
}

/// Checks the promises of [`Broker::delete`], for brokers that can delete, as
/// [`conformance`] checks the others.
///
/// # Panics
///
/// As [`conformance`].
pub async fn deletion<B: Broker>(make: impl AsyncFn() -> B) {
    deleting::a_deletion_leaves_the_place(&make().await).await;
    deleting::sinks_are_told_of_deletions(&make().await).await;
}

/// A time that exceeds every run of the suite.
const LONG: Duration = Duration::from_secs(3600);
const KEEP: Retention = Retention::count(10_000);
const ALL: HistoryQuery = HistoryQuery::Latest(usize::MAX);

/// A topic that is new to every broker, however old its store is.
fn fresh(name: &str) -> TopicName {
    let unique = Epoch::begin(0);
    TopicName::try_from(format!("conformance/{name}/{unique}"))
        .expect("the name is short and plain")
}

/// A key that is new to every broker.
fn fresh_key(name: &str) -> CommandKey {
    let unique = Epoch::begin(0);
    CommandKey::try_from(&*format!("conformance/{name}/{unique}")).expect("the name is short")
}

async fn publish(
    broker: &impl Broker,
    topic: &TopicName,
    text: &str,
    retention: Retention,
) -> Position {
    broker
        .publish(topic, Publish::new(text.to_owned()).retain(retention))
        .await
        .expect("publish resolves without an error")
        .position
}

async fn publish_once(
    broker: &impl Broker,
    topic: &TopicName,
    text: &str,
    key: &CommandKey,
    window: Duration,
) -> Published {
    let publish = Publish::new(text.to_owned()).retain(KEEP);
    broker
        .publish(topic, publish.once(key.clone(), window))
        .await
        .expect("publish resolves without an error")
}

async fn history(broker: &impl Broker, topic: &TopicName, query: HistoryQuery) -> History {
    broker
        .history(topic, query)
        .await
        .expect("history resolves without an error")
}

async fn subscribe(broker: &impl Broker, topic: &TopicName) {
    broker
        .subscribe(topic)
        .await
        .expect("subscribe resolves without an error");
}

async fn unsubscribe(broker: &impl Broker, topic: &TopicName) {
    broker
        .unsubscribe(topic)
        .await
        .expect("unsubscribe resolves without an error");
}

fn texts(history: &History) -> Vec<String> {
    let text = |kept: &Arc<Publication>| String::from_utf8_lossy(&kept.data).into_owned();
    history.publications.iter().map(text).collect()
}

fn offsets(history: &History) -> Vec<u64> {
    history
        .publications
        .iter()
        .map(|publication| publication.offset)
        .collect()
}
