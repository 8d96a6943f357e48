//! Nodes, their readers and publishers on a simulated server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::simulated::{SimulatedServer, SimulatedStore};
use nextrush_broker::{
    Broker, Epoch, History, HistoryQuery, Interrupt, Position, Publication, SequencedBroker,
    SequencerOptions, Sink, TopicName,
};
use parking_lot::Mutex;

use crate::reader::{Event, Reader};

/// A node of the world.
pub(crate) struct Node {
    pub(crate) broker: SequencedBroker<SimulatedStore>,
    sink: Arc<NodeSink>,
}

/// The readers at a node.
#[derive(Default)]
struct NodeSink(Mutex<BTreeMap<(TopicName, usize), Seat>>);

enum Seat {
    /// Its history is being read, and what is published meanwhile is held for it.
    Waiting(Vec<Event>),
    Live(Box<Reader>),
}

impl NodeSink {
    fn tell(&self, topic: &TopicName, event: &Event) {
        let mut seats = self.0.lock();
        for ((of, _), seat) in seats.iter_mut() {
            if of == topic {
                match seat {
                    Seat::Waiting(held) => held.push(event.clone()),
                    Seat::Live(reader) => reader.take(event),
                }
            }
        }
    }
}

impl Sink for NodeSink {
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        self.tell(topic, &Event::Delivered(epoch, Arc::clone(publication)));
    }

    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        self.tell(topic, &Event::Interrupted(interrupt.clone()));
    }
}

impl Node {
    pub(crate) fn new(server: &SimulatedServer, options: SequencerOptions) -> Self {
        let store = Arc::new(server.connect());
        let broker = SequencedBroker::new(store, options);
        let sink = Arc::new(NodeSink::default());
        broker.attach(sink.clone());
        Self { broker, sink }
    }

    pub(crate) fn store(&self) -> &SimulatedStore {
        self.broker.store()
    }

    /// Seats a reader: a new one, or one that comes back. Returns it if it could not be seated.
    pub(crate) async fn seat(
        &self,
        topic: &TopicName,
        number: usize,
        before: Option<Box<Reader>>,
    ) -> Result<(), Option<Box<Reader>>> {
        if self.broker.subscribe(topic).await.is_err() {
            return Err(before);
        }
        let key = (topic.clone(), number);
        let waiting = Seat::Waiting(Vec::new());
        self.sink.0.lock().insert(key.clone(), waiting);
        let query = match &before {
            Some(reader) => HistoryQuery::After {
                offset: reader.position().offset,
                limit: 1000,
            },
            None => HistoryQuery::Latest(0),
        };
        let history = self.broker.history(topic, query).await;
        let seated = self.sit_down(key, before, history.ok());
        if seated.is_err() {
            drop(self.broker.unsubscribe(topic).await);
        }
        seated
    }

    fn sit_down(
        &self,
        key: (TopicName, usize),
        before: Option<Box<Reader>>,
        history: Option<History>,
    ) -> Result<(), Option<Box<Reader>>> {
        let mut seats = self.sink.0.lock();
        let Some(Seat::Waiting(held)) = seats.remove(&key) else {
            panic!("the seat is the reader's");
        };
        let Some(history) = history else {
            return Err(before);
        };
        let (topic, number) = &key;
        let mut reader = before.unwrap_or_else(|| {
            Box::new(Reader::new(format!("{topic} {number}"), history.position))
        });
        reader.come_back(&history, &held);
        seats.insert(key, Seat::Live(reader));
        Ok(())
    }

    /// The position of a reader in its seat.
    pub(crate) fn position(&self, topic: &TopicName, number: usize) -> Position {
        match self.sink.0.lock().get(&(topic.clone(), number)) {
            Some(Seat::Live(reader)) => reader.position(),
            _ => panic!("nobody has seat {number} of {topic}"),
        }
    }

    /// Takes a reader from its seat.
    pub(crate) async fn leave(&self, topic: &TopicName, number: usize) -> Option<Box<Reader>> {
        let seat = self.sink.0.lock().remove(&(topic.clone(), number));
        let Some(Seat::Live(reader)) = seat else {
            return None;
        };
        drop(self.broker.unsubscribe(topic).await);
        Some(reader)
    }
}

/// A topic of the server in the end.
pub(crate) struct Truth {
    pub(crate) end: Position,
    pub(crate) texts: BTreeMap<u64, String>,
}

impl Truth {
    pub(crate) fn of(server: &SimulatedServer, topic: &TopicName) -> Option<Self> {
        let kept = server.kept(topic)?.history;
        let text = |publication: &Arc<Publication>| {
            let text = String::from_utf8_lossy(&publication.data).into_owned();
            (publication.offset, text)
        };
        Some(Self {
            end: kept.position,
            texts: kept.publications.iter().map(text).collect(),
        })
    }
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).expect("a valid name")
}

/// Runs a test in virtual time, in which nothing but the seed decides what happens.
pub(crate) fn in_virtual_time(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime starts")
        .block_on(test);
}

pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
