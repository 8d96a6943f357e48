//! Moving the view, and telling what has changed in it.

use std::mem;

use super::{State, settle_all};
use crate::roster::change::{Change, Retold, Step};
use crate::roster::host::Surroundings;
use crate::roster::own::Arrived;
use crate::roster::rules::Rules;
use crate::roster::view::View;

impl<R: Rules> State<R> {
    /// Makes steps that lead from the view to another one, and tells of them.
    pub(super) fn apply(
        &mut self,
        mut steps: Vec<Step<R>>,
        after: View<R>,
        around: &Surroundings<'_, R>,
    ) {
        let mut settling = Vec::new();
        for step in &mut steps {
            let (before, now) = (step.before.as_ref(), step.after.as_ref());
            let Some(arrived) = self.note(step.number, before, now, around) else {
                continue;
            };
            if self.is_stale {
                self.arrived.push((step.number, arrived));
            } else {
                step.arrival = Some(arrived.arrival);
                settling.push(arrived.settling);
            }
        }
        let mut before = mem::replace(&mut self.view, after);
        self.has_advanced();
        if self.is_stale {
            return self.tell_anew(around);
        }
        let versions = self.rules.versions(&steps);
        if self.is_alone {
            // A version that was raised beyond its steps is told to nobody.
            before.origin.version = self.view.version().saturating_sub(versions);
        }
        if before.version().checked_add(versions) == Some(self.view.version()) {
            if !steps.is_empty() {
                self.tell(before, steps, around);
            }
            around.shown.set(&self.view);
            settle_all(settling);
            return;
        }
        // Another version of the program counts otherwise.
        self.is_stale = true;
        let arrivals = steps
            .iter_mut()
            .filter_map(|step| Some((step.number, step.arrival.take()?)));
        for ((number, arrival), settling) in arrivals.zip(settling) {
            self.arrived.push((number, Arrived { arrival, settling }));
        }
        self.tell_anew(around);
    }

    fn tell(&self, before: View<R>, steps: Vec<Step<R>>, around: &Surroundings<'_, R>) {
        let change = Change {
            before,
            after: self.view.clone(),
            steps,
            shown: around.shown,
            rules: &*self.rules,
        };
        self.rules.changed(&self.roster, change);
    }

    /// Tells the whole roster, unless it is as it was told or in doubt. Where clients have seen
    /// versions as high as its own that waits until the next change has raised it.
    pub(super) fn tell_anew(&mut self, around: &Surroundings<'_, R>) {
        if self.is_in_doubt(around) {
            return;
        }
        let shown = around.shown.get();
        let is_as_told = shown.as_ref().is_none_or(|shown| {
            shown.version() == self.view.version() && shown.looks_like(&self.view)
        });
        if !is_as_told
            && let Some(shown) = &shown
            && shown.version() >= self.view.version()
        {
            return;
        }
        self.is_stale = false;
        let mut arrivals = Vec::new();
        let mut settling = Vec::new();
        for (number, arrived) in self.arrived.drain(..) {
            arrivals.push((number, arrived.arrival));
            settling.push(arrived.settling);
        }
        match shown.filter(|_| !is_as_told) {
            Some(before) => {
                let retold = Retold {
                    before,
                    after: self.view.clone(),
                    arrivals,
                    shown: around.shown,
                    rules: &*self.rules,
                };
                self.rules.retold(&self.roster, retold);
            }
            None if !arrivals.is_empty() => {
                let step = |(number, arrival): (u64, R::Arrival)| {
                    let record = self.view.get(number).cloned();
                    Step {
                        number,
                        before: record.clone(),
                        after: record,
                        arrival: Some(arrival),
                    }
                };
                let steps = arrivals.into_iter().map(step).collect();
                self.tell(self.view.clone(), steps, around);
            }
            None => {}
        }
        around.shown.set(&self.view);
        settle_all(settling);
    }
}
