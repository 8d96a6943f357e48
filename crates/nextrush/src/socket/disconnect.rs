//! Disconnecting a user or a session on all nodes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nextrush_broker::{Asked, TopicName};
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use super::Socket;
use super::acts::{Reached, add_up, answer_of};
use super::audience::Audience;
use super::handle::{Handle, WeakHandle};
use crate::message::UserId;
use crate::seldom::Seldom;

/// The kind of the questions.
const DISCONNECT: &str = "nr.disconnect";
/// The set in which the users are whose sockets are refused.
const DENIED: &str = "denied";
/// The time for which they are.
const DENIAL: Duration = Duration::from_secs(10);
/// The time for which a node knows a denial again.
const KNOWN: Duration = Duration::from_secs(60);
/// The time between two looks at the set.
const EVERY: Duration = Duration::from_secs(3);

/// The last line of the log of nodes that do not learn of a denial.
static UNTOLD: Seldom = Seldom::new();

/// A user or a session whose sockets are to be closed, also those that are opened within the next
/// moments.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Denial {
    /// A random number, by which a node knows a denial again that it hears of twice.
    id: u64,
    #[serde(flatten)]
    of: Of,
    code: u16,
    reason: String,
}

/// The owner of sockets.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Of {
    User(UserId),
    Session(String),
}

/// The denials that hold on this node.
#[derive(Default)]
struct Denials {
    /// Their number, which a socket looks at first.
    count: AtomicUsize,
    held: Mutex<Held>,
}

/// The denials that are known, by what they are found by: there are many where an application signs
/// many out.
#[derive(Default)]
struct Held {
    ids: HashSet<u64>,
    /// The last one of each owner, with the moment since which it is known.
    last: HashMap<Of, (Instant, Denial)>,
    oldest: VecDeque<(Instant, u64, Of)>,
}

impl Denials {
    /// Adds a denial; `false` if it is known.
    fn add(&self, denial: &Denial) -> bool {
        let mut held = self.held.lock();
        let now = Instant::now();
        held.forget(now);
        let is_new = held.ids.insert(denial.id);
        if is_new {
            let of = denial.of.clone();
            held.oldest.push_back((now, denial.id, of.clone()));
            held.last.insert(of, (now, denial.clone()));
        }
        self.count.store(held.oldest.len(), Ordering::Release);
        is_new
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// The denial of an owner, if it is newer than `asked_at`.
    fn of(&self, of: &Of, asked_at: Option<Instant>) -> Option<Denial> {
        if self.is_empty() {
            return None;
        }
        let held = self.held.lock();
        let (since, denial) = held.last.get(of)?;
        let holds = since.elapsed() < DENIAL && asked_at.is_none_or(|at| at < *since);
        holds.then(|| denial.clone())
    }
}

impl Held {
    /// Forgets what is known for so long that it cannot come again. A denial is known for longer than
    /// it holds: it may be in the set a little longer, too.
    fn forget(&mut self, now: Instant) {
        while let Some((since, ..)) = self.oldest.front()
            && now - *since >= KNOWN
            && let Some((_, id, of)) = self.oldest.pop_front()
        {
            self.ids.remove(&id);
            if self.last.get(&of).is_some_and(|(_, last)| last.id == id) {
                self.last.remove(&of);
            }
        }
    }
}

impl Handle {
    /// Closes every socket of a user, on all nodes, and says which nodes have not answered within
    /// 2 s.
    ///
    /// A socket whose [request](crate::Authenticated) was authenticated before, and that is
    /// [admitted](crate::Authenticated::admit) within the next 10 s, is closed in the same way. Where
    /// nodes share the broker, so are all sockets that the user opens within these 10 s: none slips
    /// through on the way from one node to another. A node that did not answer does it when it hears of
    /// it, if that is within these 10 s.
    ///
    /// The application has to withdraw the user's tokens or sessions first: after that time whoever
    /// still has one may come back. Clients do not come back by themselves after 1008.
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle, user: &nextrush::User) {
    /// use nextrush::CloseCode;
    ///
    /// app.disconnect(&user.id, CloseCode::POLICY_VIOLATION, "Signed out").await;
    /// # }
    /// ```
    pub async fn disconnect(
        &self,
        user: &UserId,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Reached {
        self.disconnect_all(Of::User(user.clone()), code.into(), reason)
            .await
    }

    /// Closes every socket of a [session](Socket::enter_session), as
    /// [`disconnect`](Self::disconnect) does for a user: for somebody who signs out on one device.
    pub async fn disconnect_session(
        &self,
        session: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Reached {
        self.disconnect_all(Of::Session(session.to_owned()), code.into(), reason)
            .await
    }

    async fn disconnect_all(&self, of: Of, code: CloseCode, reason: &str) -> Reached {
        let line = self.line();
        let denial = Denial {
            id: rand::random(),
            of,
            code: code.as_u16(),
            reason: reason.to_owned(),
        };
        let begun = Instant::now();
        let here = self.deny(&denial);
        if !line.is_shared() {
            return Reached::here(here);
        }
        let question = serde_json::to_vec(&denial).expect("a denial is plain");
        let denied = TopicName::try_from(DENIED).expect("a plain name");
        let member = format!("{:016x}", denial.id);
        let bus = line.bus();
        let leased = bus.lease(&denied, &member, question.clone().into());
        let asked = line.ask(DISCONNECT, &Asked::All, &question);
        let (leased, asked) = tokio::join!(leased, asked);
        if let Err(error) = leased
            && UNTOLD.is_due()
        {
            tracing::warn!(%error, "nodes that cannot be asked do not learn of a disconnected user");
        }
        let bus = Arc::clone(bus);
        tokio::spawn(async move {
            sleep_until(begun + DENIAL).await;
            if let Err(error) = bus.release(&denied, &member).await {
                tracing::debug!(%error, "a denial stays in its set");
            }
        });
        add_up(line, here, asked)
    }

    fn sockets_of(&self, of: &Of) -> Audience {
        match of {
            Of::User(user) => self.user(user),
            Of::Session(session) => self.session(session),
        }
    }

    /// Closes the sockets that are meant on this node, and those that are opened for a while; the number
    /// of the former. Only once.
    fn deny(&self, denial: &Denial) -> usize {
        // In this order: a socket that is opened meanwhile is among the members, or sees the denial.
        if !self.denials().add(denial) {
            return 0;
        }
        self.sockets_of(&denial.of)
            .local_close(denial.code, &denial.reason)
    }

    /// Closes a socket that has just become this owner's, if the owner is denied.
    pub(super) fn close_if_denied(&self, socket: &Socket, of: &Of) {
        if self.line().is_shared() {
            self.close_if_denied_since(socket, of, None);
        }
    }

    fn close_if_denied_since(&self, socket: &Socket, of: &Of, asked_at: Option<Instant>) {
        if let Some(denial) = self.denials().of(of, asked_at) {
            socket.close(denial.code, &denial.reason);
        }
    }

    /// Closes a socket whose user or session was disconnected after its client was authenticated.
    pub(crate) fn close_if_disconnected(&self, socket: &Socket, asked_at: Instant) {
        if self.denials().is_empty() {
            return;
        }
        let user = socket.user().map(|user| Of::User(user.id));
        for of in user.into_iter().chain(socket.session().map(Of::Session)) {
            self.close_if_denied_since(socket, &of, Some(asked_at));
        }
    }

    fn denials(&self) -> Arc<Denials> {
        self.part(Arc::<Denials>::default)
    }

    /// Does what other nodes ask for.
    pub(super) fn answer_disconnects(&self) {
        let app = self.downgrade();
        self.line().answer(DISCONNECT, move |_, question| {
            let app = app.upgrade();
            async move {
                let denial = serde_json::from_slice(&question).ok()?;
                Some(answer_of(app?.deny(&denial)))
            }
        });
    }
}

/// Looks every 3 s whom other nodes have denied, for what this one was not asked or did not hear.
pub(super) async fn keep_denying(app: WeakHandle) {
    let denied = TopicName::try_from(DENIED).expect("a plain name");
    loop {
        let Some(bus) = app.upgrade().map(|app| Arc::clone(app.line().bus())) else {
            return;
        };
        // An unreachable store is told of elsewhere.
        let leased = bus.leased(&denied).await.unwrap_or_default();
        drop(bus);
        if let Some(app) = app.upgrade() {
            let denials = leased.iter().map(|leased| &leased.value);
            for denial in denials.filter_map(|value: &Bytes| serde_json::from_slice(value).ok()) {
                app.deny(&denial);
            }
        }
        sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_denial_of_version_1_is_read() {
        let recorded = r#"{"id":7,"user":"ada","code":4001,"reason":"kicked"}"#;
        let denial = Denial {
            id: 7,
            of: Of::User("ada".into()),
            code: 4001,
            reason: "kicked".to_owned(),
        };
        assert_eq!(serde_json::from_str::<Denial>(recorded).unwrap(), denial);
        assert_eq!(serde_json::to_string(&denial).unwrap(), recorded);
        let recorded = r#"{"id":7,"session":"s","code":4001,"reason":"kicked"}"#;
        let of = Of::Session("s".to_owned());
        let denial = Denial { of, ..denial };
        assert_eq!(serde_json::from_str::<Denial>(recorded).unwrap(), denial);
    }

    #[tokio::test(start_paused = true)]
    async fn a_denial_holds_for_10_s_and_is_known_again_for_a_minute() {
        let denials = Denials::default();
        let (ada, bob) = (Of::User("ada".into()), Of::User("bob".into()));
        let denial = Denial {
            id: 7,
            of: ada.clone(),
            code: 4001,
            reason: String::new(),
        };
        assert!(denials.add(&denial));
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(denials.of(&ada, None), Some(denial.clone()));
        assert_eq!(denials.of(&bob, None), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(denials.of(&ada, None), None);
        tokio::time::advance(Duration::from_secs(49)).await;
        assert!(!denials.add(&denial));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(denials.add(&denial));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_denial_of_an_owner_holds_and_all_are_forgotten() {
        let denials = Denials::default();
        let denial = |id: u64, user: u64| Denial {
            id,
            of: Of::User(user.to_string().into()),
            code: 4000,
            reason: id.to_string(),
        };
        let reason = |user: u64, asked_at| {
            let denial = denials.of(&denial(0, user).of, asked_at)?;
            Some(denial.reason)
        };
        let begun = Instant::now();
        for id in 0..100_000 {
            assert!(denials.add(&denial(id, id % 50_000)));
        }
        assert_eq!(reason(7, None).as_deref(), Some("50007"));
        // Whoever was asked for later has come back.
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(reason(7, Some(Instant::now())), None);
        assert!(denials.add(&denial(100_007, 7)));
        assert_eq!(reason(7, Some(begun)).as_deref(), Some("100007"));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(reason(7, None).as_deref(), Some("100007"));
        assert_eq!(reason(8, None), None);
        tokio::time::advance(KNOWN).await;
        assert!(denials.add(&denial(100_008, 8)));
        let held = denials.held.lock();
        assert_eq!(
            (held.ids.len(), held.last.len(), held.oldest.len()),
            (1, 1, 1)
        );
    }
}
