//! A sink that notes its publications.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::broker::{Broker, Sink};
use crate::position::{Epoch, Position};
use crate::publication::Publication;
use crate::topic_name::TopicName;

/// A sink that keeps all its publications.
#[derive(Default)]
pub(super) struct Recorder(
    Mutex<Vec<(TopicName, Epoch, Arc<Publication>)>>,
    Mutex<Vec<(TopicName, Epoch, Vec<u64>)>>,
);

impl Recorder {
    pub(super) fn attach(broker: &impl Broker) -> Arc<Self> {
        let recorder = Arc::new(Self::default());
        broker.attach(recorder.clone());
        recorder
    }

    pub(super) fn of(&self, wanted: &TopicName) -> Vec<(Epoch, Arc<Publication>)> {
        let all = self.0.lock();
        all.iter()
            .filter(|(topic, ..)| topic == wanted)
            .map(|(_, epoch, publication)| (*epoch, publication.clone()))
            .collect()
    }

    pub(super) fn offsets(&self, topic: &TopicName) -> Vec<u64> {
        self.of(topic)
            .iter()
            .map(|(_, publication)| publication.offset)
            .collect()
    }

    /// The deletions that it was told of.
    pub(super) fn deletions(&self, wanted: &TopicName) -> Vec<(Epoch, Vec<u64>)> {
        let all = self.1.lock();
        all.iter()
            .filter(|(topic, ..)| topic == wanted)
            .map(|(_, epoch, offsets)| (*epoch, offsets.clone()))
            .collect()
    }

    pub(super) fn has(&self, topic: &TopicName, position: Position, text: &str) -> bool {
        self.0.lock().iter().rev().any(|(of, epoch, publication)| {
            of == topic
                && *epoch == position.epoch
                && publication.offset == position.offset
                && publication.data == text
        })
    }
}

impl Sink for Recorder {
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        self.0
            .lock()
            .push((topic.clone(), epoch, publication.clone()));
    }
    fn deleted(&self, topic: &TopicName, epoch: Epoch, offsets: &[u64]) {
        self.1.lock().push((topic.clone(), epoch, offsets.to_vec()));
    }
}
