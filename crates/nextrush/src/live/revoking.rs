//! Taking access to channels away, on all nodes.

use std::sync::Arc;

use futures_util::future::join_all;
use nextrush_broker::Asked;
use serde::{Deserialize, Serialize};

use super::LiveUpdates;
use super::client::Client;
use super::dialect::Live;
use super::hook::RETRY_MS;
use super::messages::Event;
use super::policies::Refusal;
use crate::message::{ErrorCode, ErrorMessage, UserId};
use crate::socket::Socket;
use crate::socket::acts::{Reached, add_up, answer_of};
use crate::topic::Topic;

/// The question that one node asks the others.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Kick { user: UserId, channel: String },
    RecheckUser { user: UserId },
    RecheckChannel { channel: String },
}

/// The word to a client that was taken out of a channel.
fn kicked() -> ErrorMessage {
    ErrorMessage::new(ErrorCode::Kicked, "Removed from the channel")
}

impl LiveUpdates {
    /// Unsubscribes the sockets of a user from a channel, on all nodes; the number of them. Waits
    /// for 2 s at most for other nodes.
    ///
    /// Each client is told: `{"type":"unsubscribed","channel","code":"kicked","message"}`. One that is
    /// about to subscribe is refused with the same code. It may subscribe again, and then the rule is
    /// asked: take its right away first, where the rule looks, and then kick it. The sockets are
    /// those that were [identified](Socket::identify) as the user's.
    pub async fn kick(&self, user: &UserId, channel: &str) -> Reached {
        self.act_everywhere(Act::Kick {
            user: user.clone(),
            channel: channel.to_owned(),
        })
        .await
    }

    /// Asks the [rule](crate::live::ChannelPolicy::may_subscribe) again for each channel that
    /// the sockets of a user have subscribed to, on all nodes; the number of the sockets. Resolves
    /// when all nodes have begun to, after 2 s at most.
    ///
    /// A client that is refused is unsubscribed and told why, with the rule's own code or
    /// `subscribe-refused`. Where the rule does not answer in time, or panics, it is unsubscribed too,
    /// told `unavailable` or `internal` with `retryAfterMs`, and may come back as after a lost
    /// connection. Subscriptions that the server [made](Self::subscribe) are not asked about.
    ///
    /// Rules are asked again by themselves when a client comes back, and when it gives a
    /// [new token](crate::Jwt::refresh).
    pub async fn recheck(&self, user: &UserId) -> Reached {
        self.act_everywhere(Act::RecheckUser { user: user.clone() })
            .await
    }

    /// Asks the rule again for all who have subscribed to a channel, as
    /// [`recheck`](Self::recheck) does for a user.
    pub async fn recheck_channel(&self, channel: &str) -> Reached {
        self.act_everywhere(Act::RecheckChannel {
            channel: channel.to_owned(),
        })
        .await
    }

    /// Does what other nodes ask for.
    pub(super) fn answer_nodes(&self) {
        let live = self.0.downgrade();
        self.0
            .app()
            .line()
            .answer(&self.kind(), move |from, question| {
                let live = live.upgrade().map(Self);
                async move {
                    let act = serde_json::from_slice(&question).ok()?;
                    let sockets = match from.is_this {
                        // It has done it before it asked.
                        true => 0,
                        false => live?.act(&act).await,
                    };
                    Some(answer_of(sockets))
                }
            });
    }

    fn kind(&self) -> String {
        format!("nr.live.{}", self.0.name())
    }

    async fn act_everywhere(&self, act: Act) -> Reached {
        let line = self.0.app().line();
        if !line.is_shared() {
            return Reached::here(self.act(&act).await);
        }
        let question = serde_json::to_vec(&act).expect("an act is plain");
        let kind = self.kind();
        let asked = line.ask(&kind, &Asked::All, &question);
        let (here, asked) = tokio::join!(self.act(&act), asked);
        add_up(line, here, asked)
    }

    /// Does something to the sockets of this node; the number of them.
    async fn act(&self, act: &Act) -> usize {
        match act {
            Act::Kick { user, channel } => self.kick_here(user, channel).await,
            Act::RecheckUser { user } => self
                .0
                .app()
                .user(user)
                .local_members()
                .iter()
                .filter(|socket| self.recheck_socket(socket))
                .count(),
            Act::RecheckChannel { channel } => self.recheck_channel_here(channel),
        }
    }

    async fn kick_here(&self, user: &UserId, channel: &str) -> usize {
        let Ok(topic) = self.topic(channel) else {
            return 0;
        };
        let kicked = kicked();
        let sockets = self.0.app().user(user).local_members();
        for socket in &sockets {
            self.live().attempts.revoke(socket.id(), channel, &kicked);
        }
        let take_out = |socket| self.take_out(&topic, socket, Some(&kicked));
        join_all(sockets.iter().map(take_out))
            .await
            .into_iter()
            .filter(|is_out| *is_out)
            .count()
    }

    fn recheck_socket(&self, socket: &Socket) -> bool {
        let is_asking = self.live().attempts.recheck(socket.id());
        let client = Client::of(socket, self);
        client.is_some_and(|client| client.recheck_all(socket)) || is_asking
    }

    fn recheck_channel_here(&self, channel: &str) -> usize {
        let Ok(topic) = self.topic(channel) else {
            return 0;
        };
        let asking = self.live().attempts.recheck_channel(channel);
        let subscribers = topic.local_sockets();
        let rechecked = subscribers.iter().filter(|socket| {
            let client = Client::of(socket, self).filter(|client| client.has_asked_for(channel));
            if let Some(client) = &client {
                client.recheck_later(socket, vec![channel.into()]);
            }
            client.is_some() && !asking.contains(&socket.id())
        });
        rechecked.count() + asking.len()
    }

    /// Takes a socket out of a channel, and tells it `reason` if there is one; `false` if it was not
    /// subscribed.
    pub(super) async fn take_out(
        &self,
        topic: &Topic<Live>,
        socket: &Socket,
        reason: Option<&ErrorMessage>,
    ) -> bool {
        let channel = topic.name();
        if let Some(client) = Client::of(socket, self) {
            client.forget(channel);
        }
        let told = reason.map(|reason| {
            let reason = Some(reason.fields());
            Event::Unsubscribed { channel, reason }.into()
        });
        // One without a word is refused, which the answer tells.
        let code = reason.map_or(ErrorCode::SubscribeRefused.as_str(), ErrorMessage::code);
        let code = code.to_owned();
        let taken_out = topic.unsubscribe_telling(socket, code, told).await;
        self.live().presence.tidy(topic.stored_name());
        taken_out.unwrap_or_else(|error| {
            tracing::warn!(%error, channel, "the broker could not be told that a channel is unused");
            true
        })
    }

    /// Unsubscribes a socket for the application, and tells its client.
    pub(super) fn kicked(channel: &str) -> crate::message::Outgoing {
        let kicked = kicked();
        let reason = Some(kicked.fields());
        Event::Unsubscribed { channel, reason }.into()
    }
}

impl Client {
    /// Asks the rules again of all channels that the client has subscribed to; `false` if there
    /// is none.
    pub(super) fn recheck_all(self: &Arc<Self>, socket: &Socket) -> bool {
        let channels: Vec<_> = self.channels.lock().asked.iter().cloned().collect();
        let has_any = !channels.is_empty();
        if has_any {
            self.recheck_later(socket, channels);
        }
        has_any
    }

    /// Asks the rules of these channels again, on the socket's thread and in the order of its
    /// messages. One that is about to be asked is not asked twice.
    pub(super) fn recheck_later(self: &Arc<Self>, socket: &Socket, mut channels: Vec<Box<str>>) {
        let mut known = self.channels.lock();
        channels.retain(|channel| known.outdated.insert(channel.clone()));
        drop(known);
        if channels.is_empty() {
            return;
        }
        let client = Arc::clone(self);
        socket.run(move |socket| {
            Some(Box::pin(async move {
                for channel in channels {
                    // The socket's messages go on in between.
                    let _lane = client.lane.lock().await;
                    client.recheck(&socket, &channel).await;
                }
            }))
        });
    }

    async fn recheck(&self, socket: &Socket, channel: &str) {
        // Whoever wants it from now on may know more than the rule.
        self.channels.lock().outdated.remove(channel);
        let Ok(topic) = self.live.topic(channel) else {
            return;
        };
        if !self.has_asked_for(channel) || !topic.is_subscribed(socket) {
            return;
        }
        if let Err(refusal) = self.may_subscribe(socket, channel).await {
            if self.channels.lock().outdated.contains(channel) {
                // It is asked again, and may have been too early.
                return;
            }
            let reason = match refusal {
                // Its right is not gone: it comes back as after a lost connection.
                Refusal::Unanswered(unanswered) => unanswered.to_message().retry_after_ms(RETRY_MS),
                Refusal::Refused(reason) => reason.unwrap_or_else(|| {
                    ErrorMessage::new(ErrorCode::SubscribeRefused, "Subscription refused")
                }),
            };
            self.live.take_out(&topic, socket, Some(&reason)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Questions of version 1. Lines are added and never changed.
    #[test]
    fn recorded_questions_of_version_1_are_read() {
        let user = || UserId::from("ada");
        let channel = || "team".to_owned();
        for (recorded, act) in [
            (
                r#"{"kick":{"user":"ada","channel":"team"}}"#,
                Act::Kick {
                    user: user(),
                    channel: channel(),
                },
            ),
            (
                r#"{"recheck-user":{"user":"ada"}}"#,
                Act::RecheckUser { user: user() },
            ),
            (
                r#"{"recheck-channel":{"channel":"team"}}"#,
                Act::RecheckChannel { channel: channel() },
            ),
        ] {
            assert_eq!(serde_json::from_str::<Act>(recorded).unwrap(), act);
            assert_eq!(serde_json::to_string(&act).unwrap(), recorded);
        }
    }
}
