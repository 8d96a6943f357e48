//! Names of the rooms that the framework keeps for itself.
//!
//! Such a name begins with a NUL, which a [`RoomName`](crate::RoomName) cannot hold: an
//! application's room never meets one of these.

use std::fmt;

use crate::message::UserId;

/// The room of a user's sockets. The id is written as JSON, so that 1 and "1" differ.
pub(crate) fn of_user(user: &UserId) -> String {
    format!("\0user/{}", serde_json::json!(user))
}

/// The room of a session's sockets.
pub(crate) fn of_session(session: &str) -> String {
    format!("\0session/{session}")
}

/// A room of one of several owners that don't know each other.
pub(crate) fn of_owner(kind: &str, owner: impl fmt::Display, name: &str) -> String {
    format!("\0{kind}/{owner}/{name}")
}

/// Every socket of a user in one part of the application.
pub(crate) fn of_part(kind: &str, part: &str, user: &UserId) -> String {
    format!("\0{kind}/{part}/{}", serde_json::json!(user))
}

/// The subscribers of a topic.
pub(crate) fn of_topic(topic: &nextrush_broker::TopicName) -> String {
    format!("{TOPIC}{topic}")
}

/// The topic whose subscribers a room has, if it has those of one.
pub(crate) fn topic_of(room: &str) -> Option<&str> {
    room.strip_prefix(TOPIC)
}

/// Returns whether a room is the application's own or a topic's, which clients join by name.
pub(crate) fn is_joined_by_name(room: &str) -> bool {
    !room.starts_with('\0') || room.starts_with(TOPIC)
}

const TOPIC: &str = "\0topic/";
