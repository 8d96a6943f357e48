//! The rules of a kind of roster: what a member is, who may join, and how changes are told.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::TopicName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::{Change, Retold, Step};
use super::place::Record;
use super::view::View;

/// The rules of a kind of roster.
///
/// The methods that tell ([`changed`](Self::changed), [`retold`](Self::retold),
/// [`waits`](Self::waits)) are called one at a time for each roster, in the order of its changes,
/// without any lock of the topic: they take it themselves. They may enqueue wishes, but nothing
/// they call waits for this roster. The others may be called at any time, also under locks of the
/// engine, and call nothing of the engine.
pub(crate) trait Rules: Send + Sync + Sized + 'static {
    /// The part of a member that others see or that rules need, as it is stored for all nodes.
    /// Fields that are not serialised are this node's own: the members that this node has put are
    /// in its views as the very [`Arc`]s that it gave.
    type Member: PartialEq + Serialize + DeserializeOwned + Debug + Send + Sync + 'static;

    /// The work that remains to be done for a socket when it is a member, mostly a boxed closure.
    type Arrival: Send + 'static;

    /// The data derived from the members for quick answers, `()` if nothing is. Cloned for each
    /// change: let it consist of numbers and persistent maps.
    type Index: Clone + Default + Send + Sync + 'static;

    /// The time for which a lost member is waited for; `None` if it leaves at once.
    fn grace(&self) -> Option<Duration>;

    /// The version and number from which a roster of a node alone goes out.
    fn begin(&self) -> Origin {
        Origin::default()
    }

    /// This node follows a roster no more, as it does not use it. That of a node alone is
    /// forgotten.
    fn ended(&self, last: Origin) {
        let _ = last;
    }

    /// The number of a new member, higher than `last`, which is the highest so far.
    fn number(&self, last: u64) -> u64 {
        last + 1
    }

    /// Decides on a member that joins. Depends on the arguments alone: after a conflict it is asked
    /// again.
    fn admit(&self, view: &View<Self>, newcomer: &Self::Member) -> Admission;

    /// Notes in the index that a member has come (`before` is `None`), changed, or left (`after`
    /// is `None`).
    fn index(
        &self,
        index: &mut Self::Index,
        number: u64,
        before: Option<&Record<Self::Member>>,
        after: Option<&Record<Self::Member>>,
    ) {
        let _ = (index, number, before, after);
    }

    /// The number of versions by which a change raises that of the roster: one for each message
    /// that tells of it. The same on all nodes. By default one for each
    /// [visible](Step::is_visible) step.
    fn versions(&self, steps: &[Step<Self>]) -> u64 {
        steps.iter().filter(|step| step.is_visible()).count() as u64
    }

    /// Tells of a change, and takes the arrivals of those who have come by it. What it tells has
    /// the versions from `change.before.version() + 1` up to `change.after.version()`.
    fn changed(&self, roster: &TopicName, change: Change<'_, Self>);

    /// Tells the whole roster anew, as it is not known how it came to be, and takes the arrivals
    /// of those who are in it for the first time. Its version is higher than all that were told.
    /// Never called on a node alone.
    fn retold(&self, roster: &TopicName, retold: Retold<'_, Self>);

    /// Takes the arrival of a socket for which there is no room. When there is, a
    /// [change](Self::changed) has a step without an arrival for it.
    fn waits(&self, roster: &TopicName, arrival: Self::Arrival) {
        let _ = (roster, arrival);
    }

    /// Returns whether this node goes on following a roster in which none of its sockets is.
    fn is_used(&self, roster: &TopicName) -> bool {
        let _ = roster;
        false
    }

    /// The member as it is waited for, when its connection is lost. By default as it is.
    fn lost(&self, member: &Arc<Self::Member>) -> Arc<Self::Member> {
        Arc::clone(member)
    }
}

/// The decision on a member that joins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// The lost member of this number has come back: it stays what it was, and
    /// nobody hears of it.
    Again(u64),
    /// A new member, which gets a number and a place.
    New,
    /// There is no room. It is decided again when somebody has left.
    Wait,
}

/// The version and highest number of a roster.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Origin {
    pub(crate) version: u64,
    pub(crate) last: u64,
}
