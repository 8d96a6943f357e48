//! Requests of clients that the application answers, each executed once.

mod answered;
mod asked;
mod audience;
mod counts;
mod handler;
mod untaken;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use nextrush_broker::{Attempt, BrokerError, Fingerprint};
use nextrush_engine::Work;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use self::answered::{Answered, Reused};
pub use self::asked::RequestError;
pub(super) use self::asked::{Asked, may_overtake};
pub use self::audience::{Answers, AudienceAnswer, Silent};
pub use self::counts::RequestCounts;
pub use self::handler::{IntoRefusal, Refusal, Replies, Reply, RequestHandler};
use super::Socket;
use super::claims::{Claim, Claims};
use super::handler::Call;
use crate::message::request::{CommandId, REPEAT_WINDOW, Request, refused};
use crate::message::{ErrorCode, ErrorMessage, Message, User, command};
use crate::once::{Executed, Outcome, Repeats};
use crate::seldom::Seldom;
use crate::tally::{OTHER, RequestOutcome};

/// The time that a handler has by default.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// The time beyond a handler's deadline in which its answer reaches the broker.
const MARGIN: Duration = Duration::from_secs(5);
/// The bytes that an answer is expected to have.
const EXPECTED_BYTES: usize = 1024;

/// The time after which a request may be executed that a full store has refused.
const WHEN_FULL_MS: u64 = 10_000;

/// The function behind [`Socket::on_request`].
pub(super) struct Requests<T> {
    replies: Replies<T>,
    deadline: Duration,
    /// The answers to a socket without a user.
    answered: Mutex<Option<Box<Answered>>>,
}

/// The answer to a request, as it is remembered.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Reply(Box<RawValue>),
    Error(ErrorMessage),
}

impl Kept {
    /// `false` for a refusal that tells the client to come again: then the request is executed.
    fn is_remembered(&self) -> bool {
        match self {
            Self::Reply(_) => true,
            Self::Error(error) => error.retry_after().is_none(),
        }
    }
}

/// The answer to a request, as it is sent.
#[derive(Serialize)]
#[serde(tag = "type", rename = "reply")]
struct Replied<'a> {
    id: &'a CommandId,
    data: &'a RawValue,
}

/// The requests of users that are being executed on this node.
#[derive(Debug, Default)]
struct Running(Repeats);

impl<T: DeserializeOwned + 'static> Requests<T> {
    pub(super) fn new(replies: Replies<T>, deadline: Duration) -> Self {
        Self {
            replies,
            deadline,
            answered: Mutex::default(),
        }
    }
}

impl<T: DeserializeOwned + 'static> Call<Message> for Requests<T> {
    fn call(self: Arc<Self>, socket: Socket, message: Message) -> Work {
        let user = socket.user();
        let Request { command, id } = Request::receive(&socket, &message, &user)?;
        let kind = kind_of::<T>(&message);
        Some(Box::pin(async move {
            let Some(id) = id else {
                // Nobody waits for an answer.
                if let Kept::Error(error) = self.execute(&socket, kind, command).await {
                    socket.send(error);
                }
                return;
            };
            let execute = self.execute(&socket, kind, command);
            let answer = match &user {
                Some(user) => self.once(&socket, user, &id, &message, execute).await,
                None => self.once_here(&id, &message, execute).await,
            };
            reply(&socket, &id, answer);
        }))
    }

    fn claims(&self) -> Claims<'_, Message> {
        Claims::One(Claim::of_method::<T>("on_request").and_questions())
    }
}

impl<T: DeserializeOwned + 'static> Requests<T> {
    /// Executes a request unless it is a repeat, on whatever node.
    async fn once(
        &self,
        socket: &Socket,
        user: &User,
        id: &CommandId,
        message: &Message,
        execute: impl Future<Output = Kept>,
    ) -> Kept {
        // The end of the endpoint's JSON can be told, so no two share a key.
        let scope = format!("request/{}", serde_json::json!(socket.endpoint()));
        let Ok(key) = id.key(&scope, &user.id) else {
            let error = ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format");
            return Kept::Error(error.details("endpoint, user and id are too long"));
        };
        let attempt = Attempt::new(key)
            .fingerprint(fingerprint(message))
            .lease(self.deadline.saturating_add(MARGIN))
            .window(REPEAT_WINDOW)
            .answer_bytes(EXPECTED_BYTES)
            .at_most_once();
        let app = socket.app();
        let running = app.part(Arc::<Running>::default);
        let patience = self.deadline;
        let execute = async {
            let kept = execute.await;
            Ok(match kept.is_remembered() {
                true => write(&kept).into(),
                false => Executed::not_yet(write(&kept)),
            })
        };
        match running
            .0
            .execute(&**app.broker(), attempt, patience, execute)
            .await
        {
            Ok(Outcome::Answer(answer)) => read(&answer),
            Ok(Outcome::InDoubt) => Kept::Error(in_doubt()),
            Err(BrokerError::Reused) => Kept::Error(id_reused()),
            Err(error) => {
                static UNCLAIMED: Seldom = Seldom::new();
                if UNCLAIMED.is_due() {
                    tracing::error!(%error, endpoint = socket.endpoint(), "a request cannot be executed once");
                }
                let refusal = ErrorMessage::new(ErrorCode::Unavailable, "Request not executed");
                Kept::Error(match error {
                    // Mostly of answers to this user, of which the first are forgotten soon.
                    BrokerError::Full(_) => refusal.retry_after_ms(WHEN_FULL_MS),
                    _ => refusal.advised(&error),
                })
            }
        }
    }

    /// Executes a request unless this socket has sent it before.
    async fn once_here(
        &self,
        id: &CommandId,
        message: &Message,
        execute: impl Future<Output = Kept>,
    ) -> Kept {
        let body = fingerprint(message);
        let recalled = {
            let mut answered = self.answered.lock();
            answered.get_or_insert_default().recall(id, body)
        };
        match recalled {
            Ok(Some(answer)) => return read(answer.as_bytes()),
            Ok(None) => {}
            Err(Reused) => return Kept::Error(id_reused()),
        }
        let kept = execute.await;
        if !kept.is_remembered() {
            return kept;
        }
        let answer = write(&kept).into();
        let mut answered = self.answered.lock();
        answered
            .get_or_insert_default()
            .remember(id.clone(), body, answer);
        kept
    }

    /// Calls the function. Its panic and its delay end this request and nothing else.
    async fn execute(&self, socket: &Socket, kind: &'static str, command: T) -> Kept {
        let began = Instant::now();
        let (answer, outcome) = self.outcome_of(socket, command).await;
        socket
            .app()
            .tally()
            .requested(kind, outcome, began.elapsed());
        answer
    }

    async fn outcome_of(&self, socket: &Socket, command: T) -> (Kept, RequestOutcome) {
        let answer = self.replies.answer(socket.clone(), command);
        let answer = timeout(self.deadline, AssertUnwindSafe(answer).catch_unwind());
        let endpoint = socket.endpoint();
        let user = || socket.user().map(|user| user.id);
        let internal = || Kept::Error(ErrorMessage::new(ErrorCode::Internal, "Internal error"));
        match answer.await {
            Ok(Ok(Ok(reply))) => (Kept::Reply(reply), RequestOutcome::Answered),
            Ok(Ok(Err(Refusal::Told(error)))) => (Kept::Error(error), RequestOutcome::Refused),
            Ok(Ok(Err(Refusal::Internal(error)))) => {
                tracing::error!(error, endpoint, user = ?user(), "a request failed");
                (internal(), RequestOutcome::Failed)
            }
            Ok(Err(panic)) => {
                let message = panic_message(&*panic);
                tracing::error!(message, endpoint, user = ?user(), "a handler of requests panicked");
                (internal(), RequestOutcome::Failed)
            }
            Err(_) => {
                let deadline = self.deadline;
                tracing::error!(?deadline, endpoint, user = ?user(), "a handler of requests took too long and was dropped");
                (Kept::Error(in_doubt()), RequestOutcome::TimedOut)
            }
        }
    }
}

/// The type of a request, of those that the application knows.
fn kind_of<T: DeserializeOwned>(message: &Message) -> &'static str {
    let known = command::variants_of::<T>().unwrap_or_default();
    let kind = command::text_of(message).and_then(command::type_of);
    let kind = kind.ok().flatten();
    let is_kind = |known: &&&str| kind.as_deref() == Some(**known);
    known.iter().find(is_kind).copied().unwrap_or(OTHER)
}

/// Sends the answer to a request, if its socket is still there.
fn reply(socket: &Socket, id: &CommandId, answer: Kept) {
    if socket.state() != super::ConnectionState::Open {
        return socket.app().late_answers().count_late_reply();
    }
    match answer {
        Kept::Reply(data) => {
            socket
                .send_json(&Replied { id, data: &data })
                .expect("a reply has string keys only");
        }
        Kept::Error(error) => socket.send(refused(error, Some(id))),
    }
}

/// The fingerprint of what a request says, in whatever order its fields come.
fn fingerprint(message: &Message) -> Fingerprint {
    match message.json::<serde_json::Map<String, serde_json::Value>>() {
        Ok(fields) => Fingerprint::of(serde_json::Value::Object(fields).to_string().as_bytes()),
        Err(_) => Fingerprint::of(message.as_bytes()),
    }
}

fn write(kept: &Kept) -> String {
    serde_json::to_string(kept).expect("an answer has string keys only")
}

fn read(kept: &[u8]) -> Kept {
    serde_json::from_slice(kept).unwrap_or_else(|error| {
        tracing::error!(%error, "the remembered answer to a request cannot be read");
        Kept::Error(in_doubt())
    })
}

fn in_doubt() -> ErrorMessage {
    ErrorMessage::new(ErrorCode::InDoubt, "The outcome is unknown")
}

fn id_reused() -> ErrorMessage {
    ErrorMessage::new(ErrorCode::IdReused, "Id used for another message")
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
