//! The dialect of chat rooms.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use nextrush_broker::{Position, Publication, Retention};
use nextrush_engine::ConnectionId;
use parking_lot::Mutex;

use super::messages::{ChatMessage, Event, messages, present};
use super::users::Users;
use crate::message::{ErrorCode, ErrorMessage, Outgoing, UserId};
use crate::seldom::Seldom;
use crate::socket::rate_limit::Exceeded;
use crate::socket::work::{Maker, READ, Work, deliveries};
use crate::topic::{
    CatchUp, Dialect, Leaver, Locked, Newcomer, Profile, ShowUser, SlowReaderPolicy, SlowReaders,
    Unrecovered,
};

/// The options of a chat, and the wire form of its rooms.
pub(super) struct Chat {
    pub(super) kept: usize,
    pub(super) sent: usize,
    pub(super) listed: usize,
    pub(super) text_bytes: usize,
    pub(super) show_user: ShowUser,
    pub(super) slow_readers: SlowReaderPolicy,
    /// The work that each user makes by joins, private messages and questions.
    pub(super) work: Work,
    /// The sockets that keep the list of members themselves.
    pub(super) keepers: Mutex<HashSet<ConnectionId>>,
    /// The last lines of the log, by what failed.
    pub(super) not_stored: Seldom,
    pub(super) not_accepted: Seldom,
    pub(super) not_read: Seldom,
    pub(super) not_joined: Seldom,
}

/// The profiles of about 1 KiB.
const PROFILES: usize = 16;

impl Chat {
    /// Counts a join to a room with so many sockets, each of which is told.
    pub(super) fn allow_join(&self, user: &UserId, sockets: usize) -> Result<(), Exceeded> {
        self.allow(user, sockets.max(READ))
    }

    /// Counts a question, before it is known what the answer is.
    pub(super) fn allow_question(&self, user: &UserId) -> Result<(), Exceeded> {
        self.allow(user, READ)
    }

    /// Counts messages of the history that are sent to one socket.
    pub(super) fn allow_history(
        &self,
        user: &UserId,
        messages: &[Arc<Publication>],
    ) -> Result<(), Exceeded> {
        let bytes: usize = messages.iter().map(|message| message.data.len()).sum();
        self.allow(user, bytes / 1024)
    }

    /// Counts a list of so many users.
    pub(super) fn allow_list(&self, user: &UserId, users: usize) -> Result<(), Exceeded> {
        self.allow(user, READ.max(users / PROFILES))
    }

    /// Counts a private message to a user with so many sockets.
    pub(super) fn allow_private(
        &self,
        user: &UserId,
        text: &str,
        sockets: usize,
    ) -> Result<(), Exceeded> {
        self.allow(user, deliveries(text.len(), sockets))
    }

    fn allow(&self, user: &UserId, work: usize) -> Result<(), Exceeded> {
        self.work.allow(&Maker::User(user.clone()), work)
    }
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            kept: 100,
            sent: 50,
            listed: 1_000,
            text_bytes: usize::MAX,
            show_user: Arc::new(|_, user| user.into()),
            slow_readers: SlowReaderPolicy::new(SlowReaders::Heal),
            work: Work::default(),
            keepers: Mutex::default(),
            not_stored: Seldom::new(),
            not_accepted: Seldom::new(),
            not_read: Seldom::new(),
            not_joined: Seldom::new(),
        }
    }
}

impl Dialect for Chat {
    fn kind(&self) -> &'static str {
        "chat"
    }

    fn publication(&self, room: &str, position: Position, publication: &Publication) -> Outgoing {
        let message = ChatMessage::new(position, publication);
        match message.and_then(|message| Outgoing::json(&message)) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(room, %error, "a kept chat message cannot be read");
                ErrorMessage::new(ErrorCode::Internal, "A message could not be read").into()
            }
        }
    }

    fn retention(&self, _: &str) -> Retention {
        Retention::count(self.kept)
    }

    fn slow_readers(&self, _: &str) -> SlowReaderPolicy {
        self.slow_readers.clone()
    }

    fn announces(&self) -> bool {
        true
    }

    fn renewed(&self, _: &str, position: Position) -> Option<Outgoing> {
        Some(Event::Renewed { position }.into())
    }

    fn newest_after_loss(&self, _: &str) -> usize {
        self.sent
    }

    /// The same as to a client that comes back: the room and what it missed there.
    fn catch_up(&self, room: &Locked<'_>, behind: &CatchUp<'_>) -> Vec<Outgoing> {
        let recovered = match behind.gap {
            None => Ok(()),
            Some(_) => Err(Unrecovered::History),
        };
        let left;
        let publications = match behind.gap {
            None => behind.publications,
            Some(_) => {
                left = present(behind.publications);
                &left
            }
        };
        let keeps = |subscriber| self.keepers.lock().contains(&subscriber);
        let users = match behind.subscriber {
            Some(subscriber) if keeps(subscriber) => Users::counted(room, behind.is_last),
            _ => Users::listed(room, self.listed),
        };
        let history = Event::RoomHistory {
            messages: messages(behind.position.epoch, publications),
            users,
            position: behind.position,
            recovered: Some(recovered).into(),
        };
        vec![history.into()]
    }

    fn deleted(&self, _: &str, offset: u64) -> Option<Outgoing> {
        Some(Event::Deleted { offset }.into())
    }

    fn came(&self, room: &Locked<'_>, newcomer: &Newcomer<'_>) {
        let joined = Event::UserJoined {
            user: newcomer.profile,
            user_count: room.member_count(),
        };
        room.announce_to_others(joined, newcomer);
    }

    fn gone(&self, room: &Locked<'_>, user: &Profile) {
        room.announce(Event::UserLeft {
            user,
            user_count: room.member_count(),
        });
    }

    fn left(&self, _: &Locked<'_>, leaver: &Leaver<'_>) {
        self.keepers.lock().remove(&leaver.socket.id());
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat")
            .field("kept", &self.kept)
            .field("sent", &self.sent)
            .field("listed", &self.listed)
            .field("text_bytes", &self.text_bytes)
            .finish_non_exhaustive()
    }
}
