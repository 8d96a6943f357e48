//! A reader of a topic, as a client is one: it has a position, may come back to another node, and
//! knows what it is missing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use nextrush_broker::{Epoch, History, Interrupt, Position, Publication};

/// An event of a topic at a sink.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Delivered(Epoch, Arc<Publication>),
    Interrupted(Interrupt),
}

/// A reader of a topic and all that it has been given or told.
#[derive(Debug)]
pub(crate) struct Reader {
    name: String,
    position: Position,
    /// The offset after which it reads.
    begun: u64,
    have: BTreeMap<u64, String>,
    /// The ranges that it was told it will not get.
    missing: Vec<RangeInclusive<u64>>,
    pub(crate) lost: u32,
    pub(crate) taken_back: u32,
    pub(crate) began: u32,
    pub(crate) recovered: u32,
    pub(crate) refused: u32,
}

impl Reader {
    /// A reader of what comes after a position.
    pub(crate) fn new(name: String, position: Position) -> Self {
        Self {
            name,
            position,
            begun: position.offset,
            have: BTreeMap::new(),
            missing: Vec::new(),
            lost: 0,
            taken_back: 0,
            began: 0,
            recovered: 0,
            refused: 0,
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Takes an event that comes in its order.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Delivered(epoch, publication) => {
                let expected = Position::new(self.position.epoch, self.position.offset + 1);
                let position = Position::new(*epoch, publication.offset);
                assert_eq!(position, expected, "{}: out of order", self.name);
                self.add(publication);
            }
            Event::Interrupted(interrupt) => self.interrupted(interrupt),
        }
    }

    /// Comes back with a history, and then takes what was published since it subscribed. The rule
    /// for the history is that of the framework.
    pub(crate) fn come_back(&mut self, history: &History, held: &[Event]) {
        match self.missed(history) {
            Some(missed) => {
                self.recovered += 1;
                self.position.epoch = history.position.epoch;
                for publication in missed {
                    self.add(publication);
                }
            }
            None => {
                self.refused += 1;
                self.begin(history.position);
            }
        }
        assert_eq!(self.position, history.position, "{}", self.name);
        let first = held.iter().position(|event| self.is_news(event));
        for event in &held[first.unwrap_or(held.len())..] {
            self.take(event);
        }
    }

    /// Compares with what the store has in the end; without its texts if it does not keep them.
    pub(crate) fn compare(&self, end: Position, truth: Option<&BTreeMap<u64, String>>) {
        assert_eq!(self.position, end, "{} is behind", self.name);
        for offset in self.begun + 1..=end.offset {
            match self.have.get(&offset) {
                Some(text) => {
                    let is_kept = truth.is_none_or(|truth| truth.get(&offset) == Some(text));
                    assert!(is_kept, "{} has another {offset}: {text}", self.name);
                }
                None => assert!(
                    self.missing.iter().any(|range| range.contains(&offset)),
                    "{} lacks {offset} of {end:?} untold, told are {:?}",
                    self.name,
                    self.missing
                ),
            }
        }
    }

    fn missed<'a>(&self, history: &'a History) -> Option<&'a [Arc<Publication>]> {
        let Position { epoch, offset } = self.position;
        let top = history.position.offset;
        let counts = |end: Position| end.epoch == epoch && offset <= end.offset;
        if epoch != history.position.epoch && !history.continues.is_some_and(counts) {
            return None;
        }
        let read = &history.publications;
        let missed = &read[read.partition_point(|publication| publication.offset <= offset)..];
        let is_whole = match (missed.first(), missed.last()) {
            (Some(first), Some(last)) => first.offset == offset + 1 && last.offset == top,
            _ => offset == top,
        };
        is_whole.then_some(missed)
    }

    /// Returns `true` for the first event that was not in the history already.
    fn is_news(&self, event: &Event) -> bool {
        let position = match event {
            Event::Delivered(epoch, publication) => Position::new(*epoch, publication.offset),
            Event::Interrupted(interrupt) => interrupt.position(),
        };
        if position.epoch == self.position.epoch {
            return position.offset > self.position.offset;
        }
        // A life begins with an interruption; a delivery of another life is of one before.
        match event {
            Event::Delivered(..) => false,
            Event::Interrupted(Interrupt::Continued { continues, .. }) => {
                continues.epoch == self.position.epoch
            }
            Event::Interrupted(_) => !self.is_past(position.epoch),
        }
    }

    /// Lives are named by the times at which they began.
    fn is_past(&self, epoch: Epoch) -> bool {
        epoch.created_ms() < self.position.epoch.created_ms()
    }

    fn interrupted(&mut self, interrupt: &Interrupt) {
        let Position { epoch, offset } = self.position;
        match interrupt {
            Interrupt::Lost { epoch: of, offsets } => {
                assert_eq!(*of, epoch, "{}: {interrupt:?}", self.name);
                // The history that it came back with may have had the first of them.
                assert!(
                    *offsets.start() <= offset + 1,
                    "{}: {interrupt:?}",
                    self.name
                );
                self.lost += 1;
                self.missing.push(offset + 1..=*offsets.end());
            }
            Interrupt::Continued {
                continues,
                offset: at,
                ..
            } => {
                assert_eq!(continues.epoch, epoch, "{}: {interrupt:?}", self.name);
                assert_eq!(*at, offset, "{}: {interrupt:?}", self.name);
                assert!(offset <= continues.offset, "{}: {interrupt:?}", self.name);
            }
            Interrupt::TakenBack { offsets, .. } => {
                assert_eq!(*offsets.end(), offset, "{}: {interrupt:?}", self.name);
                self.taken_back += 1;
                let first = *offsets.start();
                self.have.retain(|offset, _| *offset < first);
                self.begun = self.begun.min(first - 1);
                self.missing.retain(|range| *range.start() < first);
            }
            Interrupt::Began { position } => {
                self.began += 1;
                return self.begin(*position);
            }
            other => panic!("{}: {other:?}", self.name),
        }
        self.position = interrupt.position();
    }

    /// Begins anew: everything up to here is missing, and it is told so.
    fn begin(&mut self, position: Position) {
        self.have.clear();
        self.begun = position.offset;
        self.position = position;
    }

    fn add(&mut self, publication: &Publication) {
        let text = String::from_utf8_lossy(&publication.data).into_owned();
        self.position.offset = publication.offset;
        self.have.insert(publication.offset, text);
    }
}
