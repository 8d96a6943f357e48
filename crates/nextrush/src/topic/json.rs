//! The dialect of plain topics.

use nextrush_broker::{Position, Publication, Retention};
use serde::Serialize;
use serde_json::value::RawValue;

use super::dialect::{Arrival, Dialect, Gap};
use super::locked::Locked;
use super::name::PLAIN;
use super::since::Recovered;
use crate::message::{ErrorCode, ErrorMessage, Outgoing, Timestamp};

/// The number of publications that a plain topic remembers.
const KEPT: usize = 100;

/// The dialect of [`Handle::topic`](crate::Handle::topic): JSON objects that name the topic.
///
/// - `{"type":"publication","topic","data","timestamp","offset"}` for each publication;
/// - `{"type":"subscribed","topic","epoch","offset","recovered"}` to a socket that subscribes;
/// - `{"type":"deleted","topic","offset"}` for a publication that was deleted, and in its place
///   to those who missed it;
/// - `{"type":"gap","topic","from","to","epoch"}` for publications that a subscriber will not
///   get;
/// - `{"type":"renewed","topic","epoch","offset"}` for another epoch under which the topic goes
///   on: positions of the one before count up to this offset.
///
/// The last 100 publications are remembered.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Json;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Event<'a> {
    Subscribed {
        topic: &'a str,
        #[serde(flatten)]
        position: Position,
        #[serde(flatten)]
        recovered: Recovered,
    },
    Publication {
        topic: &'a str,
        data: &'a RawValue,
        timestamp: Timestamp,
        offset: u64,
    },
    Deleted {
        topic: &'a str,
        offset: u64,
    },
    Gap {
        topic: &'a str,
        from: u64,
        to: u64,
        epoch: String,
    },
    Renewed {
        topic: &'a str,
        #[serde(flatten)]
        position: Position,
    },
}

impl From<Event<'_>> for Outgoing {
    fn from(event: Event<'_>) -> Self {
        Self::json(&event).expect("the events of topics have string keys only")
    }
}

impl Dialect for Json {
    fn kind(&self) -> &'static str {
        PLAIN
    }

    fn retention(&self, _: &str) -> Retention {
        Retention::count(KEPT)
    }

    fn publication(&self, topic: &str, _: Position, publication: &Publication) -> Outgoing {
        match serde_json::from_slice(&publication.data) {
            Ok(data) => Outgoing::from(Event::Publication {
                topic,
                data,
                timestamp: Timestamp::from_unix_ms(publication.time_ms),
                offset: publication.offset,
            }),
            Err(error) => {
                tracing::error!(topic, %error, "a publication is no JSON");
                ErrorMessage::new(ErrorCode::Internal, "A publication could not be read").into()
            }
        }
    }

    fn gap(&self, topic: &str, gap: &Gap) -> Option<Outgoing> {
        let gap = Event::Gap {
            topic,
            from: gap.from.min(gap.to),
            to: gap.to,
            epoch: gap.epoch.to_string(),
        };
        Some(gap.into())
    }

    fn deleted(&self, topic: &str, offset: u64) -> Option<Outgoing> {
        Some(Event::Deleted { topic, offset }.into())
    }

    fn renewed(&self, topic: &str, position: Position) -> Option<Outgoing> {
        Some(Event::Renewed { topic, position }.into())
    }

    fn subscribed(&self, topic: &Locked<'_>, arrival: &Arrival) -> Vec<Outgoing> {
        let subscribed = Event::Subscribed {
            topic: topic.name(),
            position: arrival.position,
            recovered: arrival.recovered(),
        };
        vec![subscribed.into()]
    }
}
