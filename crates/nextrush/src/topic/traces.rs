//! The question to all nodes for what became of a publication, and their answers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use nextrush_broker::{Asked, BrokerError, Epoch, History, HistoryQuery, TopicName};
use nextrush_engine::{Connection, ConnectionId, Room, Standing};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::message::Timestamp;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::trace::{
    Event, Facts, Found, HandedOut, OfNode, Present, Published, Question, Selected, SocketTrace,
    Trace, walk,
};

/// The kind of the questions.
const TRACE: &str = "nr.trace";
/// The most subscribers of whom each is asked how it stands; of more only those with a backlog.
const LOOKED_AT: usize = 1000;
/// The time within which shards say how their sockets stand.
const PATIENCE: Duration = Duration::from_secs(1);

/// The question of one node to the others.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Asking {
    /// The stored name of the topic.
    topic: String,
    #[serde(flatten)]
    question: Question,
    /// The epochs in which the offset is that of the publication.
    epochs: Vec<Epoch>,
    /// The time of the publication, if the history has it.
    published_at: Option<Timestamp>,
}

/// The answer of a node.
#[derive(Debug, Deserialize, Serialize)]
struct Told {
    node: OfNode,
    sockets: Vec<SocketTrace>,
    counts: BTreeMap<String, usize>,
}

/// Lets this node answer what other nodes ask.
pub(super) fn answer_traces(app: &Handle) {
    let weak = app.downgrade();
    app.line().answer(TRACE, move |from, question| {
        let app = weak.upgrade();
        async move {
            let told = match from.is_this {
                // It has told before it asked.
                true => None,
                false => {
                    let asking: Asking = serde_json::from_slice(&question).ok()?;
                    Some(app?.tell_trace(&asking).await?)
                }
            };
            serde_json::to_vec(&told).ok().map(Bytes::from)
        }
    });
}

impl Handle {
    /// Says what became of a publication of a topic for the sockets of all nodes.
    pub(crate) async fn trace(
        &self,
        topic: &TopicName,
        question: &Question,
    ) -> Result<Trace, BrokerError> {
        let offset = question.position.offset;
        let query = HistoryQuery::After {
            offset: offset.saturating_sub(1),
            limit: 1,
        };
        let history = self.broker().history(topic, query).await?;
        let (published, epochs) = state_in(&history, question);
        let kept = history.publications.first();
        let kept = kept.filter(|kept| {
            kept.offset == offset && matches!(published, Published::Kept | Published::Deleted)
        });
        let published_at = kept.map(|kept| Timestamp::from_unix_ms(kept.time_ms));
        let mut trace = Trace {
            position: question.position,
            published,
            published_at,
            sockets: Vec::new(),
            counts: BTreeMap::new(),
            nodes: Vec::new(),
            unanswered: Vec::new(),
            others_unknown: false,
        };
        if published == Published::NotYet {
            return Ok(trace);
        }
        let asking = Asking {
            topic: topic.as_str().to_owned(),
            question: question.clone(),
            epochs,
            published_at,
        };
        self.ask_nodes(&asking, &mut trace).await;
        trace.sockets.sort_by_key(|socket| socket.verdict.rank());
        Ok(trace)
    }

    async fn ask_nodes(&self, asking: &Asking, trace: &mut Trace) {
        let line = self.line();
        if !line.is_shared() {
            let told = self.tell_trace(asking).await;
            return extend(trace, told.into_iter());
        }
        let question = serde_json::to_vec(asking).expect("a question is plain");
        let asked = line.ask(TRACE, &Asked::All, &question);
        let (here, asked) = tokio::join!(self.tell_trace(asking), asked);
        let mut told = Vec::from_iter(here);
        match asked {
            Ok(answered) => {
                trace.unanswered = answered.silent;
                for (node, answer) in answered.answers {
                    match serde_json::from_slice::<Option<Told>>(&answer) {
                        Ok(answer) => told.extend(answer),
                        // A version that answers in another form is as good as silent.
                        Err(_) => trace.unanswered.push(node),
                    }
                }
                trace.unanswered.retain(|node| node != self.node());
                trace.unanswered.sort();
            }
            Err(error) => {
                tracing::debug!(%error, "the other nodes cannot be asked");
                trace.unanswered = line.known_others();
                trace.others_unknown = true;
            }
        }
        told.sort_by(|one, other| one.node.node.cmp(&other.node.node));
        extend(trace, told.into_iter());
    }

    /// The verdicts on this node's sockets; `None` for a topic that cannot be one.
    async fn tell_trace(&self, asking: &Asking) -> Option<Told> {
        let topic = TopicName::try_from(&*asking.topic).ok()?;
        let question = &asking.question;
        let record = self.record();
        let room = self.local_topics().traced(&topic, question.position.offset);
        let sockets = self.sockets_in_question(question, room.as_ref().map(|room| &room.room));
        let ids = sockets.iter().map(Socket::id).collect();
        let Selected {
            events,
            dropped,
            since_ms,
        } = record.select(&topic, &ids, |user| match &*question.users {
            [] => true,
            users => user.is_some_and(|user| users.contains(user)),
        });
        let sent = room.as_ref().and_then(|room| room.sent);
        let published_ms = asking.published_at.map(Timestamp::unix_ms);
        let facts = Facts {
            offset: question.position.offset,
            epochs: asking.epochs.clone(),
            present: room.as_ref().and_then(|room| room.epoch),
            delivered: room.as_ref().map_or(0, |room| room.delivered),
            sent_ms: sent.map(|sent| sent.at_ms).or(published_ms),
            is_complete: match (sent, published_ms) {
                _ if !record.is_on() => false,
                _ if dropped == 0 => true,
                (Some(sent), _) => dropped <= sent.noted,
                (None, Some(published_ms)) => since_ms < published_ms,
                (None, None) => false,
            },
        };
        let connected: HashMap<ConnectionId, &Socket> =
            sockets.iter().map(|socket| (socket.id(), socket)).collect();
        let standings = match &room {
            Some(room) => standings(room, &sockets).await,
            None => HashMap::new(),
        };
        let mut found = Vec::new();
        for (id, own) in by_socket(&events, connected.keys().copied()) {
            let socket = connected.get(&id);
            let is_member = room.as_ref().is_some_and(|room| room.room.contains(id));
            let present = Present {
                is_member,
                standing: standings.get(&id).copied().unwrap_or_default(),
            };
            let Found {
                verdict,
                closed,
                user,
            } = walk(&facts, own.iter().map(|index| &events[*index]), &present);
            found.push((
                id,
                SocketTrace {
                    node: self.node().clone(),
                    socket: id.to_string(),
                    user: user.or_else(|| Some(socket?.user()?.id)),
                    text: verdict.to_string(),
                    verdict,
                    closed,
                },
            ));
        }
        let mut counts = BTreeMap::new();
        for (_, socket) in &found {
            *counts.entry(socket.verdict.name().to_owned()).or_default() += 1;
        }
        found.sort_by_key(|(id, socket)| (socket.verdict.rank(), *id));
        found.truncate(question.limit.min(Question::MOST));
        Some(Told {
            node: OfNode {
                node: self.node().clone(),
                record_since: record.is_on().then(|| Timestamp::from_unix_ms(since_ms)),
                sent_at: sent.map(|sent| Timestamp::from_unix_ms(sent.at_ms)),
            },
            sockets: found.into_iter().map(|(_, socket)| socket).collect(),
            counts,
        })
    }

    /// The connected sockets that a question is about.
    fn sockets_in_question(&self, question: &Question, room: Option<&Room>) -> Vec<Socket> {
        let mut sockets: Vec<Socket> = match &*question.users {
            [] => room
                .map_or_else(Vec::new, Room::members)
                .into_iter()
                .map(Socket::new)
                .collect(),
            users => {
                let of_user = |user| self.user(user).local_members();
                users.iter().flat_map(of_user).collect()
            }
        };
        sockets.sort_unstable_by_key(Socket::id);
        sockets.dedup_by_key(|socket| socket.id());
        sockets
    }
}

/// Adds the answers of nodes.
fn extend(trace: &mut Trace, told: impl Iterator<Item = Told>) {
    for told in told {
        trace.nodes.push(told.node);
        trace.sockets.extend(told.sockets);
        for (verdict, count) in told.counts {
            *trace.counts.entry(verdict).or_default() += count;
        }
    }
}

/// The state of a publication in the history, and the epochs in which its offset is the same.
fn state_in(history: &History, question: &Question) -> (Published, Vec<Epoch>) {
    let (epoch, offset) = (question.position.epoch, question.position.offset);
    let present = history.position;
    let before = history.continues.filter(|end| offset <= end.offset);
    let mut epochs = vec![epoch];
    if epoch == present.epoch {
        epochs.extend(before.map(|end| end.epoch));
    } else if before.is_some_and(|end| end.epoch == epoch) {
        epochs.push(present.epoch);
    } else {
        return (Published::OtherEpoch, epochs);
    }
    if offset > present.offset || offset == 0 {
        return (Published::NotYet, epochs);
    }
    let kept = history.publications.first();
    let published = match kept.filter(|kept| kept.offset == offset) {
        Some(kept) if kept.is_deleted => Published::Deleted,
        Some(_) => Published::Kept,
        None => Published::Forgotten,
    };
    (published, epochs)
}

/// The places of the events of each socket, with those that concern all of them.
fn by_socket(
    events: &[Event],
    connected: impl Iterator<Item = ConnectionId>,
) -> BTreeMap<ConnectionId, Vec<usize>> {
    let mut all: BTreeMap<ConnectionId, Vec<usize>> =
        connected.map(|id| (id, Vec::new())).collect();
    let mut shared = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event.socket {
            Some(socket) => all.entry(socket).or_default().push(index),
            None => shared.push(index),
        }
    }
    if !shared.is_empty() {
        for own in all.values_mut() {
            own.extend(&shared);
            own.sort_unstable();
        }
    }
    all
}

/// The state of a topic for a trace.
pub(super) struct Traced {
    pub(super) room: Room,
    pub(super) epoch: Option<Epoch>,
    pub(super) delivered: u64,
    pub(super) sent: Option<HandedOut>,
}

/// The standings of the subscribers among the sockets.
async fn standings(room: &Traced, sockets: &[Socket]) -> HashMap<ConnectionId, Standing> {
    let members = sockets.iter().map(Socket::connection);
    let members = members.filter(|member| room.room.contains(member.id()));
    let members: Vec<&Connection> = members.collect();
    let all = members.len() <= LOOKED_AT;
    let asked = members
        .into_iter()
        .filter(|member| all || member.buffered() > 0);
    let looks = asked.map(|member| {
        let (tell, told) = oneshot::channel();
        room.room.look(member, move |standing| {
            // Nobody waits for it any more, if this fails.
            let _ = tell.send(standing);
        });
        let id = member.id();
        async move { Some((id, told.await.ok()?)) }
    });
    timeout(PATIENCE, join_all(looks))
        .await
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use nextrush_broker::Position;

    use super::*;

    /// Questions of version 1. Lines are added and never changed.
    #[test]
    fn recorded_questions_of_version_1_are_read() {
        let epoch = "018bcfe5-6800-7abc-8def-0123456789ab";
        let recorded = format!(
            r#"{{"topic":"live/live/a","position":{{"epoch":"{epoch}","offset":7}},"users":["ada"],"limit":100,"epochs":["{epoch}"],"publishedAt":"2026-01-31T09:05:07.123Z"}}"#
        );
        let epoch: Epoch = epoch.parse().unwrap();
        let asking = Asking {
            topic: "live/live/a".to_owned(),
            question: Question::new(Position::new(epoch, 7)).user(&"ada".into()),
            epochs: vec![epoch],
            published_at: Some(Timestamp::from_unix_ms(1_769_850_307_123)),
        };
        assert_eq!(serde_json::from_str::<Asking>(&recorded).unwrap(), asking);
        assert_eq!(serde_json::to_string(&asking).unwrap(), recorded);
    }
}
