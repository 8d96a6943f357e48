//! The questions of the nodes of the application to each other, for the operators' view.

use std::sync::Arc;

use nextrush::Handle;
use nextrush::broker::Bytes;
use nextrush::node::{From, NodeName};
use nextrush::socket::ConnectionId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::connections::List;
use super::largest::largest;
use super::sample::Sampler;
use super::slow_readers::SlowReaders;
use crate::disconnect::close;
use crate::others::{Answers, Nodes};
use crate::parts::Parts;
use crate::refusal::Refusal;

/// The kind of the questions.
const KIND: &str = "nr.inspect";

/// A question to a node. Its answer is what the node has of it, in JSON.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum Question {
    /// The samples of the last minutes.
    Samples,
    /// The newest sample, if there is one yet.
    Newest,
    /// The connections that match.
    Connections(List),
    /// The rooms with the most members, of a chat, or of the first.
    Rooms { chat: Option<String> },
    /// The channels with the most subscribers, of some live updates, or of the first.
    Channels { live: Option<String> },
    /// The counts of slow readers.
    SlowReaders,
    /// The number of connections with this id, which are closed.
    Disconnect { connection: ConnectionIdText },
}

/// The id of a connection of the node that is asked.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ConnectionIdText(String);

impl std::convert::From<ConnectionId> for ConnectionIdText {
    fn from(id: ConnectionId) -> Self {
        Self(id.to_string())
    }
}

/// Lets this node answer, for as long as it takes samples.
pub(super) fn answer(sampler: &Arc<Sampler>) {
    let weak = Arc::downgrade(sampler);
    sampler
        .parts
        .app
        .answer(KIND, move |_: Handle, _: From, question: Bytes| {
            let sampler = weak.upgrade();
            async move {
                let question = serde_json::from_slice(&question).ok()?;
                sampler?.tell(&question)
            }
        });
}

impl Sampler {
    /// The answer of this node.
    fn tell(&self, question: &Question) -> Option<Bytes> {
        let Parts { app, live, chats } = &self.parts;
        let answer = match question {
            Question::Samples => serde_json::to_vec(&self.samples()),
            Question::Newest => serde_json::to_vec(&self.newest()),
            Question::Connections(list) => serde_json::to_vec(&list.of(app).ok()?),
            Question::Rooms { chat } => {
                let chat = self.parts.chat(chat.as_deref()).ok()?;
                serde_json::to_vec(&largest(chat.local_rooms()))
            }
            Question::Channels { live } => {
                let live = self.parts.live(live.as_deref()).ok()?;
                serde_json::to_vec(&largest(live.local_channels()))
            }
            Question::SlowReaders => serde_json::to_vec(&SlowReaders::of(chats, live)),
            Question::Disconnect { connection } => {
                let sockets = app.local_socket(connection.0.parse().ok()?);
                serde_json::to_vec(&close(sockets.as_slice()))
            }
        };
        answer.ok().map(Bytes::from)
    }

    /// Asks one node, or all of them.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        nodes: &Nodes,
        question: &Question,
    ) -> Result<Answers<T>, Refusal> {
        let here = || self.tell(question);
        Answers::ask(&self.parts.app, KIND, nodes, question, here).await
    }

    /// Asks one node, which has to answer.
    pub(super) async fn ask_one<T: DeserializeOwned>(
        &self,
        node: NodeName,
        question: &Question,
    ) -> Result<T, Refusal> {
        let mut answers = self.ask(&Nodes::One(node.clone()), question).await?.answers;
        answers
            .pop()
            .map(|(_, answer)| answer)
            .ok_or_else(|| Refusal::unavailable(format!("the node {node} does not answer")))
    }
}
