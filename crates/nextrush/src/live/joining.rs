//! Channels that the server subscribes clients to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::LiveUpdates;
use super::client::Client;
use super::messages::refusal;
use crate::message::UserId;
use crate::socket::join::JoinError;
use crate::socket::{ConnectionState, Socket};
use crate::topic::SubscribeError;

/// The longest pause before a user is subscribed again to the channel of its own.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl LiveUpdates {
    /// Subscribes a socket to a channel as its client could, and tells the client:
    /// `{"type":"subscribed","channel",…,"joined":true}`, with the
    /// [initial state](crate::live::ChannelPolicy::on_subscribe) if the channel has any; `false` if
    /// it was subscribed already. The channel's rule is not asked. A client that comes back on a new
    /// socket subscribes with its position, and gets what it missed.
    ///
    /// Works in the order of the socket's messages: a rule or hook must not wait for it.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe), and where the channel's hook refuses.
    pub async fn join(&self, channel: &str, socket: &Socket) -> Result<bool, SubscribeError> {
        let client = Client::of_any(self, socket);
        let (sender, joined) = oneshot::channel();
        let channel = channel.to_owned();
        socket.run(move |socket| {
            Some(Box::pin(async move {
                // Whoever waited may have given up.
                let _ = sender.send(client.join(&socket, &channel).await);
            }))
        });
        joined.await.unwrap_or(Err(JoinError::Closed.into()))
    }

    /// The channel that every socket of a user is subscribed to when it
    /// [connects](Self::connect); `None` without a
    /// [pattern](crate::live::LiveBuilder::user_channel) for them.
    #[must_use]
    pub fn user_channel(&self, user: &UserId) -> Option<String> {
        let pattern = self.live().user_channel.as_ref()?;
        Some(pattern.with(&user.to_string()))
    }

    /// Subscribes a socket that has just connected to the channel of its user.
    pub(super) fn join_own(client: &Arc<Client>, socket: &Socket) {
        let user = client.user().map(|user| &user.id);
        let Some(channel) = user.and_then(|user| client.live.user_channel(user)) else {
            return;
        };
        let client = Arc::clone(client);
        socket.run(move |socket| {
            Some(Box::pin(async move {
                let mut pause = Duration::ZERO;
                loop {
                    let error = match client.join(&socket, &channel).await {
                        Ok(_) | Err(SubscribeError::Join(JoinError::Closed)) => return,
                        Err(error) => error,
                    };
                    let reason = error.to_string();
                    // Nobody else would: its client does not know of the channel.
                    let Some(after) = refusal(&channel, error).retry_after() else {
                        let socket = socket.id();
                        tracing::error!(%socket, channel, error = reason, "a user is not in the channel of its own");
                        return;
                    };
                    pause = after.max(pause * 2).min(LONGEST_PAUSE);
                    sleep(pause).await;
                    if socket.state() != ConnectionState::Open {
                        return;
                    }
                }
            }))
        });
    }
}
