//! The users of a room: the list that a client gets with the history, and the pages behind it.

use serde::{Deserialize, Serialize};

use super::member::Member;
use crate::message::request::{Answer, CommandId};
use crate::socket::Socket;
use crate::socket::rate_limit::Exceeded;
use crate::topic::{Locked, Profile, UserSockets};

/// The most bytes of the profiles of a page.
const PAGE_BYTES: usize = 64 * 1024;

/// The fields of a history that tell who is in the room.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Users {
    /// The profiles of the sockets, each by itself, in the order in which they came, up to the chat's bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<Profile>>,
    user_count: usize,
    /// The number of joins and leaves so far, by which a client that counts them sees whether
    /// some have passed it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    users_version: Option<u64>,
}

impl Users {
    pub(super) fn listed(room: &Locked<'_>, count: usize) -> Self {
        Self {
            users: Some(room.first_members(count)),
            user_count: room.member_count(),
            users_version: Some(room.members_version()),
        }
    }

    /// The fields for a client that keeps the list itself. While it lags further, joins and leaves
    /// pass it by further: only at the end the version says something.
    pub(super) fn counted(room: &Locked<'_>, is_last: bool) -> Self {
        Self {
            users: None,
            user_count: room.member_count(),
            users_version: is_last.then(|| room.members_version()),
        }
    }
}

/// The page that a member asks for.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct After {
    /// The `next` of the page before; 0 for the first one.
    #[serde(default)]
    after: u64,
}

/// The answer: users, each once, with the number of their sockets.
#[derive(Serialize)]
#[serde(tag = "type", rename = "members", rename_all = "camelCase")]
struct Page {
    members: Vec<UserSockets>,
    user_count: usize,
    users_version: u64,
    /// Absent from the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

impl Member {
    /// Sends a page, between the joins and leaves that are told before and after it.
    pub(super) fn send_members(
        &self,
        socket: &Socket,
        After { after }: After,
        id: Option<&CommandId>,
    ) -> Result<(), Exceeded> {
        let chat = self.topic.topics().dialect();
        let users = self
            .topic
            .locked(|room| room.member_count().min(chat.listed));
        chat.allow_list(&self.user.id, users.unwrap_or_default())?;
        self.topic.locked(|room| {
            let page = room.users(after, chat.listed.max(1), PAGE_BYTES);
            let page = Page {
                members: page.users,
                user_count: room.member_count(),
                users_version: room.members_version(),
                next: page.next,
            };
            room.tell(socket, Answer::new(page, id));
        });
        Ok(())
    }
}
