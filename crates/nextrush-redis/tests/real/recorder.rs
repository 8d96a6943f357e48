//! A feed that writes down what it is told.

use std::collections::HashSet;
use std::sync::Arc;

use nextrush_broker::{Feed, Push, PushedGroup, SharedStore, TopicName, Unwatched};
use nextrush_redis::{RedisOptions, RedisStore, RedisUrl};
use parking_lot::Mutex;

use crate::servers::eventually;

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) pushes: Mutex<Vec<(TopicName, Push)>>,
    pub(crate) unwatched: Mutex<HashSet<TopicName>>,
    pub(crate) resumed: Mutex<usize>,
}

impl Feed for Recorder {
    fn pushed(&self, topic: &TopicName, push: Push) {
        self.pushes.lock().push((topic.clone(), push));
    }

    fn unwatched(&self, topics: Unwatched) {
        match topics {
            Unwatched::Topics(topics) => self.unwatched.lock().extend(topics),
            _ => panic!("this store knows its topics"),
        }
    }

    fn resumed(&self) {
        *self.resumed.lock() += 1;
    }
}

impl Recorder {
    /// The groups that were pushed to a topic.
    pub(crate) fn groups(&self, topic: &TopicName) -> Vec<PushedGroup> {
        let pushes = self.pushes.lock();
        let of_topic = pushes.iter().filter(|(pushed, _)| pushed == topic);
        let groups = of_topic.filter_map(|(_, push)| match push {
            Push::Published(group) => Some(group.clone()),
            _ => None,
        });
        groups.collect()
    }

    pub(crate) fn texts(&self, topic: &TopicName) -> Vec<String> {
        let groups = self.groups(topic);
        let publications = groups.iter().flat_map(|group| &group.publications);
        publications
            .map(|one| String::from_utf8_lossy(&one.data).into_owned())
            .collect()
    }

    pub(crate) async fn until_texts(&self, topic: &TopicName, expected: &[&str]) {
        eventually(&format!("{expected:?} is pushed"), async || {
            self.texts(topic) == expected
        })
        .await;
    }

    pub(crate) async fn until_unwatched(&self, topic: &TopicName) {
        eventually("the topic is unwatched", async || {
            self.unwatched.lock().remove(topic)
        })
        .await;
    }
}

/// A store and what it pushes.
pub(crate) async fn connect(url: &RedisUrl, options: RedisOptions) -> (RedisStore, Arc<Recorder>) {
    let store = RedisStore::connect(url, options).await.unwrap();
    let recorder = Arc::new(Recorder::default());
    store.connect(Arc::clone(&recorder) as Arc<dyn Feed>);
    (store, recorder)
}
