//! A socket in a room of a chat.

use std::sync::Arc;

use nextrush_broker::{BrokerError, CommandKey, Fingerprint, HistoryQuery, Published};
use nextrush_engine::Work;

use super::dialect::Chat;
use super::messages::{Command, Event, Hello, Post, Saying, Text, messages, present};
use super::users::Users;
use crate::message::request::{Answer, CommandId, Request, refused};
use crate::message::{ErrorCode, ErrorMessage, Message, Timestamp, User, UserId};
use crate::socket::Socket;
use crate::socket::claims::{Claim, Claims};
use crate::socket::handler::Call;
use crate::socket::hello::hello;
use crate::socket::rate_limit::Exceeded;
use crate::topic::{Profile, PublishError, Since, SubscribeError, Terms, Topic, newest_within};

/// The reason why a socket cannot join.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unjoined {
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// The reason why older messages cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// The reason why something is not said.
enum Unsaid {
    Refused(ErrorMessage),
    Failed(PublishError),
}

impl From<BrokerError> for Unsaid {
    fn from(error: BrokerError) -> Self {
        Self::Failed(error.into())
    }
}

/// A socket in a room.
pub(super) struct Member {
    pub(super) topic: Topic<Chat>,
    pub(super) user: User,
    /// The user as others see it.
    pub(super) profile: Profile,
}

impl Call<Message> for Member {
    fn call(self: Arc<Self>, socket: Socket, message: Message) -> Work {
        // What is said most needs no task where the broker need not be waited for.
        if let Some(saying) = Saying::read(&message)
            && self.say_now(&socket, &saying)
        {
            return None;
        }
        let request = Request::receive(&socket, &message, &self.profile)?;
        Some(Box::pin(async move { self.handle(&socket, request).await }))
    }

    fn claims(&self) -> Claims<'_, Message> {
        Claims::One(Self::claim())
    }
}

impl Member {
    /// The messages that the member of a room sends.
    pub(super) fn claim() -> Claim {
        Claim::of::<Command>("ChatServer::connect").and_questions()
    }

    pub(super) async fn join(
        &self,
        socket: &Socket,
        since: Option<&Since>,
    ) -> Result<(), Unjoined> {
        let chat = self.topic.topics().dialect();
        // All that is kept, as the last messages are sent where recovery fails.
        let query = HistoryQuery::Latest(since.map_or(chat.sent, |_| chat.kept));
        let mut wish = self.topic.wish(socket).await?;
        let mut history = self
            .topic
            .history(query)
            .await
            .map_err(SubscribeError::from)?;
        if since.is_none() && history.publications.iter().any(|kept| kept.is_deleted) {
            // Older messages take the place of deleted ones.
            let all = self.topic.history(HistoryQuery::Latest(chat.kept));
            history = all.await.map_err(SubscribeError::from)?;
        }
        let present = present(&history.publications);
        let missed = since.map(|since| since.missed(&history));
        let publications = match missed {
            Some(Ok(missed)) => missed,
            Some(Err(_)) | None => newest_within(&present, chat.sent, Since::MAX_BYTES),
        };
        chat.allow_history(&self.user.id, publications)?;
        wish.seat(&self.user.id, self.profile.clone()).await?;
        let mut entry = wish.admit(&history)?;
        socket.app().came_back(missed.as_ref());
        entry.note_since(since, missed.map(|missed| missed.map(drop)));
        entry.note_given(publications);
        entry.send(Event::RoomHistory {
            messages: messages(history.position.epoch, publications),
            users: Users::listed(&entry.topic(), chat.listed),
            position: history.position,
            recovered: missed.map(|missed| missed.map(drop)).into(),
        });
        if let (Some(since), Some(Ok(_))) = (since, missed) {
            // What it has seen may have been deleted since.
            let seen = history.publications.iter();
            let seen = seen.filter(|kept| kept.is_deleted && kept.offset <= since.offset);
            seen.for_each(|kept| {
                entry.send(Event::Deleted {
                    offset: kept.offset,
                });
            });
        }
        entry.go_live(&[]);
        Ok(())
    }

    async fn handle(&self, socket: &Socket, request: Request<Command>) {
        let id = request.id.as_ref();
        let answer = |event: Event<'_>| {
            if id.is_some() {
                socket.send(Answer::new(event, id));
            }
        };
        let refuse = |error: ErrorMessage| socket.send(refused(error, id));
        let topics = self.topic.topics();
        let key = match self.key(id) {
            Ok(key) => key,
            Err(error) => return refuse(error),
        };
        match request.command {
            Command::Chat { text } => {
                if let Err(error) = self.allow_to_say(&text, key.as_ref()) {
                    return refuse(error);
                }
                let said = match Text::new(&text).and_then(|text| self.post(&text, key)) {
                    Ok((data, terms)) => self.topic.publish_data(data, terms).await,
                    Err(error) => Err(error.into()),
                };
                self.tell_said(socket, said, id);
            }
            Command::Private { text, .. } if self.is_too_long(&text) => refuse(self.too_long()),
            Command::Typing { is_typing } => {
                self.announce_typing(socket, is_typing);
                answer(Event::Ack { said: None });
            }
            Command::Private {
                target_user_id,
                text,
            } => {
                let target_user_id = match UserId::try_from(target_user_id) {
                    Ok(id) => id,
                    Err(error) => {
                        let refusal = "Invalid message format";
                        let refusal = ErrorMessage::new(error.code(), refusal);
                        return refuse(refusal.details(error.to_string()));
                    }
                };
                let sockets = topics.user(&target_user_id).local_len();
                let allowed = topics
                    .dialect()
                    .allow_private(&self.user.id, &text, sockets);
                if let Err(exceeded) = allowed {
                    return refuse(exceeded.to_message());
                }
                let whisper = self.whisper(&target_user_id, &text, key.clone());
                let body = serde_json::json!([target_user_id, text]).to_string();
                if self.is_other(key.as_ref(), "private", &body) {
                    return refuse(id_reused());
                }
                match topics.once(key, body.as_bytes(), whisper).await {
                    Ok(outcome) => socket.send(whispered(outcome, &target_user_id, &text, id)),
                    Err(BrokerError::Reused) => refuse(id_reused()),
                    Err(error) => refuse(self.not_accepted(&error)),
                }
            }
            Command::History(older) => match self.look_back(older, id).await {
                Ok(answer) => socket.send(answer),
                Err(Unread::Exceeded(exceeded)) => refuse(exceeded.to_message()),
                Err(Unread::Broker(error)) => refuse(self.unavailable(&error)),
            },
            Command::Members(after) => {
                if let Err(exceeded) = self.send_members(socket, after, id) {
                    refuse(exceeded.to_message());
                }
            }
            Command::Hello(Hello { keeps_users }) => {
                if keeps_users {
                    // Within the room's lock, so that it is not noted behind its leave.
                    self.topic.locked(|_| {
                        if self.topic.is_subscribed(socket) {
                            topics.dialect().keepers.lock().insert(socket.id());
                        }
                    });
                }
                socket.send(Answer::new(hello(socket, &self.profile), id));
            }
        }
    }

    /// Says something at once; `false` where the broker has to be waited for.
    fn say_now(&self, socket: &Socket, saying: &Saying<'_>) -> bool {
        let id = saying.id.as_ref();
        let text = saying.text.as_str();
        let published = self.topic.publish_now(|| {
            let key = self.key(id).map_err(Unsaid::Refused)?;
            self.allow_to_say(text, key.as_ref())
                .map_err(Unsaid::Refused)?;
            self.post(&saying.text, key)
                .map_err(|error| Unsaid::Failed(error.into()))
        });
        match published {
            None => return false,
            Some(Ok(published)) => self.tell_said(socket, Ok(published), id),
            Some(Err(Unsaid::Failed(error))) => self.tell_said(socket, Err(error), id),
            Some(Err(Unsaid::Refused(error))) => socket.send(refused(error, id)),
        }
        true
    }

    /// The key under which a command with an id is remembered.
    fn key(&self, id: Option<&CommandId>) -> Result<Option<CommandKey>, ErrorMessage> {
        let topics = self.topic.topics();
        id.map(|id| topics.command_key(&self.user.id, id))
            .transpose()
            .map_err(|_| {
                ErrorMessage::new(ErrorCode::InvalidFormat, "Invalid message format")
                    .details("id and user are too long")
            })
    }

    fn allow_to_say(&self, text: &str, key: Option<&CommandKey>) -> Result<(), ErrorMessage> {
        if self.is_too_long(text) {
            return Err(self.too_long());
        }
        match self.is_other(key, "chat", text) {
            true => Err(id_reused()),
            false => Ok(()),
        }
    }

    fn is_too_long(&self, text: &str) -> bool {
        text.len() > self.topic.topics().dialect().text_bytes
    }

    fn too_long(&self) -> ErrorMessage {
        let limit = self.topic.topics().dialect().text_bytes;
        ErrorMessage::new(ErrorCode::TooLarge, "Message too long")
            .details(format!("at most {limit} bytes of text"))
    }

    /// The publication of what the member says; with a key it happens only once.
    fn post(
        &self,
        text: &Text<'_>,
        key: Option<CommandKey>,
    ) -> Result<(Vec<u8>, Terms), serde_json::Error> {
        let data = Post::new(text, &self.profile).to_data()?;
        let terms = match key {
            Some(key) => Terms::once(key, Fingerprint::of(text.as_str().as_bytes())),
            None => Terms::default(),
        };
        Ok((data, terms))
    }

    /// Answers a client that has said something.
    fn tell_said(
        &self,
        socket: &Socket,
        said: Result<Published, PublishError>,
        id: Option<&CommandId>,
    ) {
        match said {
            Ok(published) if id.is_some() => {
                let said = Some(published.position.into());
                socket.send(Answer::new(Event::Ack { said }, id));
            }
            Ok(_) => {}
            Err(PublishError::Broker(BrokerError::Reused)) => {
                socket.send(refused(id_reused(), id));
            }
            Err(error) => socket.send(refused(self.not_stored(&error), id)),
        }
    }

    /// Returns whether the client has given this id to another command, in whichever room: of
    /// another kind, or to this one.
    fn is_other(&self, key: Option<&CommandKey>, kind: &str, body: &str) -> bool {
        let Some(key) = key else { return false };
        let room = match kind {
            "chat" => self.topic.name(),
            // The same wherever it is said.
            _ => "",
        };
        let command = serde_json::json!([kind, room, body]).to_string();
        let topics = self.topic.topics();
        matches!(
            topics.note_id(key, command.as_bytes()),
            Err(BrokerError::Reused)
        )
    }

    fn not_stored(&self, error: &PublishError) -> ErrorMessage {
        let room = self.topic.name();
        if self.topic.topics().dialect().not_stored.is_due() {
            tracing::error!(%error, room, "a chat message could not be stored");
        }
        let refusal = ErrorMessage::new(ErrorCode::NotStored, "Message could not be stored");
        match error {
            PublishError::Broker(error @ BrokerError::InDoubt(_)) => ErrorMessage::in_doubt(error),
            PublishError::Broker(error) => refusal.advised(error),
            _ => refusal,
        }
    }

    fn not_accepted(&self, error: &BrokerError) -> ErrorMessage {
        let room = self.topic.name();
        if self.topic.topics().dialect().not_accepted.is_due() {
            tracing::error!(%error, room, "a private message could not be accepted");
        }
        ErrorMessage::of_broker("Message could not be accepted", error)
    }

    fn unavailable(&self, error: &BrokerError) -> ErrorMessage {
        let room = self.topic.name();
        if self.topic.topics().dialect().not_read.is_due() {
            tracing::error!(%error, room, "a history could not be read");
        }
        ErrorMessage::of_broker("Room unavailable", error)
    }

    fn announce_typing(&self, socket: &Socket, is_typing: bool) {
        let typing = Event::Typing {
            user: &self.profile,
            is_typing,
        };
        self.topic.announce_except(typing, socket);
    }

    /// Sends a private message to the sockets of a user on all nodes; the outcome.
    async fn whisper(
        &self,
        to: &UserId,
        text: &str,
        key: Option<CommandKey>,
    ) -> Result<String, BrokerError> {
        let message = Event::PrivateMessage {
            text,
            from: &self.profile,
            timestamp: Timestamp::now(),
        };
        let target = self.topic.topics().user(to);
        let reached = target.deliver_once(message, key.as_ref()).await;
        match (reached.sockets, reached.unanswered.as_slice()) {
            (1.., _) => Ok(SENT.to_owned()),
            (0, []) if reached.others_unknown => {
                let unknown = "the user may be on another node, and those are not known";
                Err(BrokerError::Unavailable(unknown.into()))
            }
            (0, []) => Ok(OFFLINE.to_owned()),
            (0, [node, ..]) => {
                let silent = format!("the user may be on node {node}, which does not answer");
                Err(BrokerError::Unavailable(silent.into()))
            }
        }
    }
}

/// The outcomes of private messages, which are what is remembered of them: a store keeps an
/// answer longer than the answer counts, and has no business with the text.
const SENT: &str = "sent";
const OFFLINE: &str = "offline";

/// The answer to a private message. A repeat has the text of the first, or is refused.
fn whispered(outcome: String, to: &UserId, text: &str, id: Option<&CommandId>) -> String {
    match &*outcome {
        SENT => Answer::new(Event::PrivateMessageSent { to, text }, id).to_json(),
        OFFLINE => {
            let error = ErrorMessage::new(ErrorCode::UserOffline, "User not found or offline");
            Answer::new(error, id).to_json()
        }
        // Earlier programs remembered the answer itself.
        _ => outcome,
    }
}

fn id_reused() -> ErrorMessage {
    ErrorMessage::new(ErrorCode::IdReused, "Id used for another message")
}
