//! Topics in the store that no part of the application claims.

use nextrush_broker::{BrokerError, TopicName};

use super::name::{PLAIN, RECORDS, TopicPath};
use crate::socket::handle::Handle;

/// The most topics that are listed.
const LISTED: usize = 20;

impl Handle {
    /// Lists topics in the broker's store that belong to no part of the application, and so
    /// are served to nobody: one of each part that is missing, 20 at most.
    ///
    /// Most likely a part was renamed or left out. A [server](crate::Listen::start) warns of
    /// these topics when it starts; call this where the application is served otherwise, when
    /// all its parts are made. A broker that cannot
    /// [list](crate::broker::Broker::topics) its topics has none here.
    ///
    /// ```
    /// # async fn example() -> Result<(), nextrush::BoxError> {
    /// use nextrush::{App, ChatServer};
    ///
    /// let app: App = App::new();
    /// let support = ChatServer::new(&app, "support");
    /// assert!(app.handle().unclaimed_topics().await?.is_empty());
    /// # drop(support);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the broker cannot read the names.
    pub async fn unclaimed_topics(&self) -> Result<Vec<TopicName>, BrokerError> {
        let mut unclaimed = Vec::new();
        let mut after: Option<TopicName> = None;
        // One question for each part, however many topics it has.
        while unclaimed.len() < LISTED
            && let Some(topic) = self.broker().topics(after.as_ref(), 1).await?.pop()
        {
            after = Some(last_like(&topic));
            if !self.has_part_of(&topic) {
                unclaimed.push(topic);
            }
        }
        Ok(unclaimed)
    }

    /// Warns of the [unclaimed topics](Self::unclaimed_topics).
    pub(crate) async fn warn_of_unclaimed_topics(&self) {
        match self.unclaimed_topics().await {
            Ok(unclaimed) => {
                for topic in unclaimed {
                    tracing::warn!(
                        %topic,
                        "the store has topics like this one that no part of the application \
                         claims; was a part renamed?"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "the topics of the store cannot be listed"),
        }
    }

    fn has_part_of(&self, topic: &TopicName) -> bool {
        TopicPath::read(topic).is_some_and(|path| match path.kind {
            PLAIN => true,
            RECORDS => self.kind_of_part(path.part).is_some(),
            // The framework's own, which no part can have.
            kind if kind.starts_with("nr.") => true,
            kind => self.kind_of_part(path.part) == Some(kind),
        })
    }
}

/// A name behind those of all topics of the same part, so that one question skips them.
fn last_like(topic: &TopicName) -> TopicName {
    let Some(TopicPath { kind, part, .. }) = TopicPath::read(topic) else {
        return topic.clone();
    };
    let mut prefix = TopicPath::prefix(kind, part);
    // The character after the slash at the end of the prefix.
    prefix.pop();
    prefix.push('0');
    TopicName::try_from(prefix).unwrap_or_else(|_| topic.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Bound;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nextrush_broker::{
        Attempt, BoxFuture, Broker, Bytes, Claim, Claimed, History, HistoryQuery, Publish,
        Published, Sink,
    };

    use super::*;
    use crate::{App, ChatServer, LiveUpdates};

    /// A broker that can do nothing but list topics, and counts how often it does.
    struct Names {
        names: BTreeSet<TopicName>,
        questions: Arc<AtomicUsize>,
    }

    impl Broker for Names {
        fn attach(&self, _: Arc<dyn Sink>) {}

        fn publish(
            &self,
            topic: &TopicName,
            _: Publish,
        ) -> BoxFuture<'_, Result<Published, BrokerError>> {
            panic!("publishes to {topic}")
        }

        fn history(
            &self,
            topic: &TopicName,
            _: HistoryQuery,
        ) -> BoxFuture<'_, Result<History, BrokerError>> {
            panic!("reads {topic}")
        }

        fn topics(
            &self,
            after: Option<&TopicName>,
            limit: usize,
        ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
            self.questions.fetch_add(1, Ordering::Relaxed);
            let after = after.map_or(Bound::Unbounded, Bound::Excluded);
            let found = self.names.range((after, Bound::Unbounded)).take(limit);
            let found = found.cloned().collect();
            Box::pin(async { Ok(found) })
        }

        fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
            panic!("subscribes to {topic}")
        }

        fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
            panic!("unsubscribes from {topic}")
        }

        fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
            panic!("claims {attempt:?}")
        }

        fn answer(&self, claimed: Claimed, _: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
            panic!("answers {claimed:?}")
        }
    }

    /// The unclaimed topics of an application with the chat `a` and the live updates `b`,
    /// and the number of questions to its broker.
    async fn unclaimed(names: impl IntoIterator<Item = String>) -> (Vec<String>, usize) {
        let names = names.into_iter();
        let names = names.map(|name| TopicName::try_from(name).unwrap());
        let questions = Arc::new(AtomicUsize::new(0));
        let broker = Names {
            names: names.collect(),
            questions: Arc::clone(&questions),
        };
        let app: App = App::builder().broker(broker).build();
        let _chat = ChatServer::new(&app, "a");
        let _live = LiveUpdates::new(&app, "b");
        let found = app.handle().unclaimed_topics().await.unwrap();
        let found = found.iter().map(TopicName::to_string).collect();
        (found, questions.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_topic_of_each_missing_part_is_found() {
        let names = [
            "chat/a/lobby",
            "chat/a-b/lobby",
            "chat/a0/lobby",
            "chat/b/lobby",
            "chat/b/other",
            "live/a/news",
            "live/b/\u{10ffff}",
            "live/b/news",
            "orders",
            "prices",
            "topic/chat/c/lobby",
            "topic/orders",
            "wiki/a/page",
        ];
        let (found, _) = unclaimed(names.map(str::to_owned)).await;
        let expected = [
            "chat/a-b/lobby",
            "chat/a0/lobby",
            "chat/b/lobby",
            "live/a/news",
            "orders",
            "prices",
            "wiki/a/page",
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn the_number_of_questions_goes_by_the_parts() {
        let rooms = (0..1000).flat_map(|room| {
            ["chat/a", "live/b", "live/lost", "topic"].map(|part| format!("{part}/{room}"))
        });
        // One more finds nothing.
        assert_eq!(unclaimed(rooms).await, (vec!["live/lost/0".to_owned()], 5));
    }

    #[tokio::test]
    async fn twenty_topics_are_listed_at_most() {
        for name in ["chat/lost-{}/room", "{}"] {
            let names = (100..1000).map(|number| name.replace("{}", &number.to_string()));
            let (found, questions) = unclaimed(names).await;
            assert_eq!((found.len(), questions), (20, 20), "{name}");
        }
    }
}
