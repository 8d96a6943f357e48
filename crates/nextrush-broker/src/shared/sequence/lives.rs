//! The lives of a topic: how one follows another.

use super::{CONTRADICTIONS, Outlet, Sequence};
use crate::broker::Interrupt;
use crate::history::History;
use crate::position::{Epoch, Position};
use crate::shared::early::Early;

impl Sequence {
    /// Sets the position for the first time, after which what waited is looked at.
    pub(super) fn settle(
        &mut self,
        position: Position,
        continues: Option<Position>,
        outlet: &mut impl Outlet,
    ) {
        self.position = Some(position);
        self.continues = continues;
        self.known = position.offset;
        self.early = Early::default();
        self.take_foreign(position.epoch, outlet);
    }

    /// Takes what came of a life before it was known, and forgets what came of others.
    pub(super) fn take_foreign(&mut self, epoch: Epoch, outlet: &mut impl Outlet) {
        if let Some((foreign, early)) = self.foreign.take()
            && foreign == epoch
        {
            self.in_doubt = false;
            self.known = self.known.max(early.highest);
            for arrived in early.publications.into_values() {
                self.take(arrived, outlet);
            }
            self.advance(outlet);
        }
    }

    pub(super) fn forget_foreign(&mut self, present: Epoch) {
        if !self.in_doubt
            || self
                .foreign
                .as_ref()
                .is_some_and(|(epoch, _)| *epoch == present)
        {
            self.foreign = None;
        }
    }

    /// Goes on with a life that continues the present one from `end`.
    pub(super) fn continue_as(&mut self, epoch: Epoch, end: Position, outlet: &mut impl Outlet) {
        let Some(position) = self.position else {
            return;
        };
        let offset = position.offset.min(end.offset);
        self.position = Some(Position::new(epoch, offset));
        self.continues = Some(end);
        // The end of the earlier life exists, whether or not it has come.
        self.known = end.offset;
        self.early.take_back(end.offset);
        self.tail.take_back(end.offset);
        self.told.split_off(&(end.offset + 1));
        if position.offset > end.offset {
            outlet.interrupt(&Interrupt::TakenBack {
                epoch,
                offsets: end.offset + 1..=position.offset,
            });
        } else {
            outlet.interrupt(&Interrupt::Continued {
                epoch,
                continues: end,
                offset,
            });
        }
        self.take_foreign(epoch, outlet);
    }

    /// Goes on with a life that has nothing to do with the present one. What came of it is
    /// delivered, and what was published before that is not.
    pub(super) fn begin_anew(&mut self, history: &History, outlet: &mut impl Outlet) {
        let Position { epoch, offset: top } = history.position;
        let first = self.foreign.as_ref().and_then(|(foreign, early)| {
            let (first, _) = early.publications.first_key_value()?;
            (*foreign == epoch).then_some(*first)
        });
        let offset = first.map_or(top, |first| top.min(first - 1));
        let position = Position::new(epoch, offset);
        self.position = Some(position);
        self.continues = history.continues;
        self.known = offset;
        self.early = Early::default();
        self.tail.clear();
        self.told.clear();
        outlet.interrupt(&Interrupt::Began { position });
        self.take_foreign(epoch, outlet);
    }

    /// A read says less than this node has seen in the same life. It is old, or the store has
    /// lost its end without a new life, as no store should.
    pub(super) fn contradict(&mut self, found: Position, outlet: &mut impl Outlet) {
        self.contradictions += 1;
        self.in_doubt = true;
        if self.contradictions < CONTRADICTIONS {
            return;
        }
        self.in_doubt = false;
        self.contradictions = 0;
        let Some(position) = self.position else {
            return;
        };
        self.known = found.offset.max(position.offset);
        self.early.take_back(found.offset);
        if position.offset > found.offset {
            self.position = Some(found);
            self.known = found.offset;
            self.tail.take_back(found.offset);
            outlet.interrupt(&Interrupt::TakenBack {
                epoch: found.epoch,
                offsets: found.offset + 1..=position.offset,
            });
        }
    }
}
