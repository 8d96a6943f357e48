//! Answers to what a client asks about its connection: `hello` and `ping`.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::message::command;
use crate::message::request::{Answer, REPEAT_WINDOW, Request};
use crate::message::{Message, Timestamp};
use crate::socket::Socket;

/// A question about the connection.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Question {
    Hello,
    Ping,
}

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Event<'a, U> {
    Hello {
        /// The client's user as others see it; `null` where there is none.
        user: &'a U,
        max_message_bytes: usize,
        /// Absent where silent clients are not pinged.
        #[serde(skip_serializing_if = "Option::is_none")]
        ping_interval_ms: Option<u64>,
        window_ms: u64,
        version: &'static str,
        time: Timestamp,
    },
    Pong,
}

impl<T: DeserializeOwned> Request<T> {
    /// Reads a message of a socket, and answers whatever is no such command: with a refusal,
    /// or where the client asks about its connection, with what it has to know.
    ///
    /// - `{"type":"hello"}` is answered with
    ///   `{"type":"hello","user","maxMessageBytes","pingIntervalMs","windowMs","version","time"}`;
    ///   `user` is the client's user as others see it.
    /// - `{"type":"ping"}` is answered with `{"type":"pong"}`.
    ///
    /// A type that `T` has itself is `T`'s.
    pub fn receive<U: Serialize>(socket: &Socket, message: &Message, user: &U) -> Option<Self> {
        let refusal = match Self::read(message) {
            Ok(request) => return Some(request),
            Err(refusal) => refusal,
        };
        // Only a message that is no command pays for the second look.
        let answer = match Request::<Question>::read(message) {
            Ok(Request { command, id }) => {
                Answer::new(command.answer(socket, user), id.as_ref()).into()
            }
            // A question, but for its id.
            Err(other) if is_asked(message) => other,
            Err(_) => refusal,
        };
        socket.send(answer);
        None
    }
}

fn is_asked(message: &Message) -> bool {
    let text = command::text_of(message);
    text.is_ok_and(|text| command::decode::<Question>(text).is_ok())
}

/// Returns whether messages of this type ask about the connection.
pub(super) fn is_question(kind: &str) -> bool {
    command::variants_of::<Question>().is_some_and(|kinds| kinds.contains(&kind))
}

impl Question {
    fn answer<'a, U: Serialize>(&self, socket: &Socket, user: &'a U) -> Event<'a, U> {
        match self {
            Self::Hello => hello(socket, user),
            Self::Ping => Event::Pong,
        }
    }
}

/// The answer to `hello`.
pub(crate) fn hello<'a, U>(socket: &Socket, user: &'a U) -> Event<'a, U> {
    let options = socket.connection().options();
    let interval = options.heartbeat.map(|heartbeat| heartbeat.interval);
    Event::Hello {
        user,
        max_message_bytes: options.limits.message,
        ping_interval_ms: interval.map(whole_ms),
        window_ms: whole_ms(REPEAT_WINDOW),
        version: env!("CARGO_PKG_VERSION"),
        time: Timestamp::now(),
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
