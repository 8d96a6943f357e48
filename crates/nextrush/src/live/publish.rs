//! Publishing by clients, where the channel's policy lets them.

use nextrush_broker::{BrokerError, CommandKey, Fingerprint, Published};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::LiveUpdates;
use super::accepted::Decision;
use super::hook::Unanswered;
use super::messages::Event;
use super::payload::{Encoding, bytes_of, stored};
use super::policies::PublishAttempt;
use super::policy::PublishHook;
use crate::message::request::{Answer, CommandId, refused};
use crate::message::{CommandError, ErrorCode, ErrorMessage, Message, User};
use crate::once::Executed;
use crate::seldom::Seldom;
use crate::socket::Socket;
use crate::topic::{PublishError, Terms};

impl LiveUpdates {
    /// Publishes the data of `message`, if the socket may; once, where the client has a user
    /// and gives an id.
    pub(super) async fn answer_publish(
        &self,
        socket: &Socket,
        user: Option<&User>,
        message: &Message,
        id: Option<&CommandId>,
    ) {
        match self.publish_for(socket, user, message, id).await {
            Ok(published) if id.is_some() => {
                let ack = Event::Ack {
                    published: Some(published.position),
                    outdated: published.is_outdated,
                };
                socket.send(Answer::new(ack, id));
            }
            Ok(_) => {}
            Err(refusal) => socket.send(refused(refusal, id)),
        }
    }

    async fn publish_for(
        &self,
        socket: &Socket,
        user: Option<&User>,
        message: &Message,
        id: Option<&CommandId>,
    ) -> Result<Published, ErrorMessage> {
        let policies = &self.live().policies;
        if !policies.have_publishing_clients() {
            return Err(CommandError::UnknownType.to_message());
        }
        let invalid = || ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format");
        // From the text: what is only passed on is not read into values and written anew.
        let text = message.to_utf8().map_err(|_| invalid())?;
        let Fields {
            channel,
            data,
            encoding,
        } = serde_json::from_str(text).map_err(|error| invalid().details(error.to_string()))?;
        let content =
            stored(data, encoding).map_err(|error| invalid().details(error.to_string()))?;
        let bytes = encoding.map(|_| bytes_of(&content));
        let channel = &*channel;
        let mut topic = self
            .0
            .topic(channel)
            .map_err(|error| refusal(channel, &error.into()))?;
        if let Some(user) = user {
            topic = topic.by(&user.id);
        }
        let attempt = PublishAttempt {
            socket,
            user,
            name: channel,
            data,
            bytes: bytes.as_ref(),
            id,
        };
        policies.ask_to_publish(attempt).await.map_err(|refusal| {
            refusal.unwrap_or_else(|| {
                ErrorMessage::new(ErrorCode::PublishRefused, "Publishing refused")
            })
        })?;
        let key = match (user, id) {
            (Some(user), Some(id)) => Some(
                self.0
                    .command_key(&user.id, id)
                    .map_err(|_| invalid().details("id and user are too long"))?,
            ),
            (None, _) | (_, None) => None,
        };
        let command = match &key {
            Some(key) => {
                let command = match encoding {
                    None => serde_json::json!([channel, data]),
                    Some(encoding) => serde_json::json!([channel, data, encoding]),
                };
                let command = command.to_string();
                self.0
                    .note_id(key, command.as_bytes())
                    .map_err(|reused| refusal(channel, &reused.into()))?;
                command
            }
            None => String::new(),
        };
        let Some(hook) = policies.publish_hook(channel) else {
            let terms = match key {
                Some(key) => Terms::once(key, Fingerprint::of(&content)),
                None => Terms::default(),
            };
            return topic
                .publish_data(content, terms)
                .await
                .map_err(|error| refusal(channel, &error));
        };
        let decision = match &key {
            Some(key) => self.decide_once(hook, attempt, key, &command).await?,
            None => policies
                .ask_hook(hook, attempt)
                .await
                .map_err(Unanswered::to_message)?,
        };
        let (content, version) = match &decision {
            Decision::Refused(refusal) => return Err(refusal.clone()),
            Decision::Accepted {
                data: Some(data),
                encoding,
                version,
            } => {
                let content = stored(data, *encoding).map_err(|error| {
                    tracing::error!(channel, %error, "a decision cannot be read");
                    Unanswered::Panicked.to_message()
                })?;
                (content, *version)
            }
            Decision::Accepted { version, .. } => (content, *version),
        };
        let mut terms = match key {
            Some(key) => Terms::once(key, Fingerprint::of(command.as_bytes())),
            None => Terms::default(),
        };
        if let Some(version) = version {
            terms = terms.version(version, self.version_key(channel, &content));
        }
        topic
            .publish_data(content, terms)
            .await
            .map_err(|error| not_published(channel, &error))
    }

    /// The decision of a hook about a message with an id, for which it is asked once.
    async fn decide_once(
        &self,
        hook: &PublishHook,
        attempt: PublishAttempt<'_>,
        key: &CommandKey,
        command: &str,
    ) -> Result<Decision, ErrorMessage> {
        let policies = &self.live().policies;
        let mut unanswered = None;
        let decide = async {
            let decision = match policies.ask_hook(hook, attempt).await {
                Ok(decision) => decision,
                // The same message would make it panic again.
                Err(panicked @ (Unanswered::Panicked | Unanswered::Failed)) => {
                    Decision::Refused(panicked.to_message())
                }
                Err(late @ Unanswered::Late) => {
                    unanswered = Some(late);
                    return Err(BrokerError::Unavailable("a hook did not answer".into()));
                }
            };
            let written = serde_json::to_string(&decision);
            let written = written.expect("a decision has string keys only");
            Ok(match decision {
                // The client comes again then.
                Decision::Refused(refusal) if refusal.retry_after().is_some() => {
                    Executed::not_yet(written)
                }
                Decision::Refused(_) | Decision::Accepted { .. } => written.into(),
            })
        };
        let longest = policies.answer_time();
        let key = key.clone();
        let decided = self
            .0
            .once_within(longest, key, command.as_bytes(), decide)
            .await;
        if let Some(late) = unanswered {
            // Until then the command is taken to be running.
            return Err(late.to_message().retry_after_ms(RUNNING_MS));
        }
        let decided = decided.map_err(|error| refusal(attempt.name, &error.into()))?;
        serde_json::from_str(&decided).map_err(|error| {
            tracing::error!(channel = attempt.name, %error, "a decision cannot be read");
            Unanswered::Panicked.to_message()
        })
    }
}

/// The time in milliseconds after which a command may be executed again that gave no answer.
const RUNNING_MS: u64 = 10_000;

/// The answer to a client whose publication was accepted, and then not published.
fn not_published(channel: &str, error: &PublishError) -> ErrorMessage {
    match error {
        PublishError::Broker(broker)
            if !matches!(broker, BrokerError::Reused | BrokerError::InDoubt(_)) =>
        {
            if NOT_PUBLISHED.is_due() {
                tracing::error!(%error, channel, "an accepted publication is not published");
            }
            ErrorMessage::new(ErrorCode::NotPublished, "Accepted, and not published yet")
                .details(error.to_string())
                .advised(broker)
        }
        _ => refusal(channel, error),
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    channel: String,
    #[serde(borrow)]
    data: &'a RawValue,
    encoding: Option<Encoding>,
}

static NOT_PUBLISHED: Seldom = Seldom::new();

fn refusal(channel: &str, error: &PublishError) -> ErrorMessage {
    let (code, message) = match error {
        PublishError::InvalidName => (ErrorCode::InvalidName, "Invalid channel name"),
        PublishError::Broker(BrokerError::Reused) => {
            (ErrorCode::IdReused, "Id used for another message")
        }
        PublishError::Broker(error @ BrokerError::InDoubt(_)) => {
            return ErrorMessage::in_doubt(error).details(error.to_string());
        }
        PublishError::Data(_) | PublishError::Broker(_) => {
            if NOT_PUBLISHED.is_due() {
                tracing::error!(%error, channel, "a client's publication failed");
            }
            let message = "Channel unavailable";
            if let PublishError::Broker(failed) = error {
                return ErrorMessage::of_broker(message, failed).details(error.to_string());
            }
            (ErrorCode::Unavailable, message)
        }
    };
    ErrorMessage::new(code, message).details(error.to_string())
}
