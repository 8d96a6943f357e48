//! The functions that share a socket's messages, each of which claims some by their `type`.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use nextrush_engine::Work;
use serde::de::DeserializeOwned;

use super::Socket;
use super::handler::{Call, Callback};
use super::hello;
use crate::message::command::{self, CommandError};
use crate::message::{Message, request};

/// The messages that a function takes, and its name for people.
#[derive(Clone)]
pub(crate) struct Claim {
    by: String,
    types: Types,
    answers_questions: bool,
}

#[derive(Clone, Copy)]
enum Types {
    /// All messages that no other function takes.
    Rest,
    These(&'static [&'static str]),
}

impl Claim {
    /// The claim of [`Socket::on_message`].
    pub(super) fn rest() -> Self {
        Self {
            by: "on_message".to_owned(),
            types: Types::Rest,
            answers_questions: false,
        }
    }

    /// The claim to the variants of `T`, or to the rest if `T` is no enum tagged by `type`.
    pub(crate) fn of<T: DeserializeOwned>(by: impl Into<String>) -> Self {
        Self {
            by: by.into(),
            types: command::variants_of::<T>().map_or(Types::Rest, Types::These),
            answers_questions: false,
        }
    }

    /// The same of a method of [`Socket`] that is generic over `T`.
    pub(super) fn of_method<T: DeserializeOwned>(method: &str) -> Self {
        Self::of::<T>(format!("{method}::<{}>", type_name::<T>()))
    }

    /// The same of a function that also answers the questions [`hello`] and `ping` where nobody
    /// claims them.
    pub(crate) fn and_questions(self) -> Self {
        Self {
            answers_questions: true,
            ..self
        }
    }

    fn has(&self, kind: &str) -> bool {
        matches!(self.types, Types::These(types) if types.contains(&kind))
    }

    fn is_rest(&self) -> bool {
        matches!(self.types, Types::Rest)
    }

    #[track_caller]
    fn assert_beside(&self, before: &Self) {
        let Self { by, .. } = self;
        match (self.types, before.types) {
            (Types::Rest, Types::Rest) => panic!(
                "`{before}` takes all messages of this socket that nothing else takes, and so \
                 does `{by}`",
            ),
            (Types::These(types), Types::These(taken)) => {
                if let Some(both) = types.iter().find(|kind| taken.contains(kind)) {
                    panic!(
                        "`{before}` takes the messages of this socket of type {both:?}, and so \
                         does `{by}`",
                    );
                }
            }
            (Types::Rest, Types::These(_)) | (Types::These(_), Types::Rest) => {}
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by)
    }
}

/// The claims of a registered function.
pub(crate) enum Claims<'a, E> {
    One(Claim),
    Shared(&'a Sharing<E>),
}

/// Functions that share a socket's messages.
pub(crate) struct Sharing<E>(Vec<(Claim, Callback<E>)>);

impl Sharing<Message> {
    fn of(callback: &Callback<Message>) -> Self {
        match callback.claims() {
            Claims::One(claim) => Self(vec![(claim, callback.clone())]),
            Claims::Shared(sharing) => Self(sharing.0.clone()),
        }
    }

    fn find(&self, takes: impl Fn(&Claim) -> bool) -> Option<&Callback<Message>> {
        let mut claims = self.0.iter();
        claims.find_map(|(claim, callback)| takes(claim).then_some(callback))
    }

    /// Returns the function that has claimed a message of this type. Whoever takes the rest gets no
    /// questions that wait for an answer: clients hold a connection for lost that gives none.
    fn claiming(&self, kind: &str, message: &Message) -> Option<&Callback<Message>> {
        self.find(|claim| claim.has(kind)).or_else(|| {
            let is_asked = hello::is_question(kind) && request::has_id(message);
            is_asked.then(|| self.answering(kind))?
        })
    }

    /// Returns the function that answers a question about the connection.
    fn answering(&self, kind: &str) -> Option<&Callback<Message>> {
        hello::is_question(kind).then(|| self.find(|claim| claim.answers_questions))?
    }
}

impl Call<Message> for Sharing<Message> {
    fn claims(&self) -> Claims<'_, Message> {
        Claims::Shared(self)
    }

    fn call(self: Arc<Self>, socket: Socket, message: Message) -> Work {
        let kind = command::text_of(&message).and_then(command::type_of);
        let known = kind.as_ref().ok().and_then(Option::as_deref);
        let found = known
            .and_then(|kind| self.claiming(kind, &message))
            .or_else(|| self.find(Claim::is_rest))
            .or_else(|| self.answering(known?));
        if let Some(callback) = found {
            return callback.call(socket, message);
        }
        let error = kind.err().unwrap_or(CommandError::UnknownType);
        socket.send(request::refusal(&message, error.refuse()));
        None
    }
}

/// The function that has claimed a message by its type, where something else takes the rest.
pub(super) fn claiming(
    registered: &Callback<Message>,
    message: &Message,
) -> Option<Callback<Message>> {
    let kind = command::text_of(message).and_then(command::type_of);
    let kind = kind.ok().flatten()?;
    Sharing::of(registered).claiming(&kind, message).cloned()
}

/// Panics if a function claims what another one takes that is registered.
#[track_caller]
pub(super) fn assert_free(registered: &Callback<Message>, claim: &Claim) {
    for (before, _) in &Sharing::of(registered).0 {
        claim.assert_beside(before);
    }
}

/// The function that hands a socket's messages to the registered ones and to a further one.
///
/// # Panics
///
/// Panics if one of them takes what the further one takes.
#[track_caller]
pub(super) fn share(
    registered: &Callback<Message>,
    further: &Callback<Message>,
) -> Callback<Message> {
    let mut sharing = Sharing::of(registered);
    for (claim, callback) in Sharing::of(further).0 {
        for (before, _) in &sharing.0 {
            claim.assert_beside(before);
        }
        sharing.0.push((claim, callback));
    }
    Callback::new(sharing)
}
