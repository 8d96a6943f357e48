//! The messages of a client, and their answers.

use std::sync::Arc;

use nextrush_engine::Work;

use super::client::Client;
use super::entering::Wanted;
use super::history::Older;
use super::messages::{Command, Event, refusal};
use crate::message::request::{Answer, Request, refused};
use crate::message::{ErrorMessage, Message};
use crate::socket::Socket;
use crate::socket::claims::{Claim, Claims};
use crate::socket::handler::Call;
use crate::socket::join::JoinError;
use crate::topic::{SubscribeError, UNSUBSCRIBED};
use crate::trace::What;

impl Call<Message> for Client {
    fn call(self: Arc<Self>, socket: Socket, message: Message) -> Work {
        Some(Box::pin(async move { self.handle(&socket, message).await }))
    }

    fn claims(&self) -> Claims<'_, Message> {
        Claims::One(Claim::of::<Command>("LiveUpdates::connect").and_questions())
    }
}

impl Client {
    /// Notes in the record that the client is not let into a channel.
    fn note_refused(&self, socket: &Socket, channel: &str, refusal: &ErrorMessage) {
        if let Ok(topic) = self.live.topic(channel) {
            let code = refusal.code().to_owned().into();
            socket
                .app()
                .record()
                .note(socket.id(), topic.stored_name(), What::Refused { code });
        }
    }

    async fn handle(self: &Arc<Self>, socket: &Socket, message: Message) {
        let seen_as = self.user.as_ref().map(|(_, person)| &person.profile);
        let Some(request) = Request::receive(socket, &message, &seen_as) else {
            return;
        };
        let _lane = self.lane.lock().await;
        let id = request.id.as_ref();
        let live = &self.live;
        match request.command {
            Command::Subscribe {
                channel,
                since,
                device,
            } => {
                let wanted = Wanted {
                    channel: &channel,
                    since,
                    device,
                    id,
                };
                match self.subscribe(socket, wanted).await {
                    Ok(()) | Err(SubscribeError::Join(JoinError::Closed)) => {}
                    Err(error) => {
                        let refusal = refusal(&channel, error);
                        self.note_refused(socket, &channel, &refusal);
                        socket.send(refused(refusal, id));
                    }
                }
            }
            Command::Unsubscribe { channel } => {
                // The answer tells it.
                if let Err(error) = live
                    .unsubscribe_telling(&channel, socket, UNSUBSCRIBED, None)
                    .await
                {
                    tracing::warn!(%error, channel, "the broker could not be told that a channel is unused");
                }
                let channel = &*channel;
                let unsubscribed = Event::Unsubscribed {
                    channel,
                    reason: None,
                };
                socket.send(Answer::new(unsubscribed, id));
            }
            Command::Publish => live.answer_publish(socket, self.user(), &message, id).await,
            Command::ChannelHistory {
                channel,
                before,
                limit,
            } => {
                let older = Older {
                    channel: &channel,
                    before,
                    limit,
                };
                match self.look_back(socket, older, id).await {
                    Ok(page) => socket.send(page),
                    Err(refusal) => socket.send(refused(refusal, id)),
                }
            }
            Command::Presence { channel, after } => {
                let maker = self.maker(socket);
                if let Err(refusal) = live.answer_presence(socket, &maker, &channel, after, id) {
                    socket.send(refused(refusal, id));
                }
            }
            Command::PresenceUpdate { channel } => {
                match live
                    .update_presence(socket, &self.maker(socket), &channel, &message)
                    .await
                {
                    Ok(()) if id.is_some() => {
                        let ack = Event::Ack {
                            published: None,
                            outdated: false,
                        };
                        socket.send(Answer::new(ack, id));
                    }
                    Ok(()) => {}
                    Err(refusal) => socket.send(refused(refusal, id)),
                }
            }
        }
    }
}
