//! Acts that reach the sockets of all nodes, and who did not answer.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use nextrush_broker::{Answered, Asked, BrokerError, CommandKey, NodeName};
use nextrush_engine::Room;
use nextrush_protocol::{CloseCode, Frame};
use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::done::Done;
use super::handle::Handle;
use crate::message::Outgoing;
use crate::node::line::Line;
use crate::node::wire::{read_cast, write_cast};
use crate::seldom::Seldom;

/// The kind of the questions about the members of rooms.
const ACT: &str = "nr.act";
/// The kind of the questions about every socket. One of its own: a node that does not know it
/// counts as silent.
const ACT_ON_ALL: &str = "nr.act-all";
/// The last line of the log of nodes that cannot be asked.
static UNASKED: Seldom = Seldom::new();

/// The outcome of an act over nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reached {
    /// The number of sockets, on all nodes that have answered.
    pub sockets: usize,
    /// The nodes that have not answered within 2 s, by name: nobody knows whether they did it.
    pub unanswered: Vec<NodeName>,
    /// `true` if the other nodes could not be known, as while the shared broker is away. Then
    /// `unanswered` has those that lived when they were known last, and there may be others.
    pub others_unknown: bool,
}

impl Reached {
    /// The outcome on a single node.
    pub(crate) const fn here(sockets: usize) -> Self {
        Self {
            sockets,
            unanswered: Vec::new(),
            others_unknown: false,
        }
    }
}

/// An act, as another node asks for it.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Act {
    /// Count the members.
    Count,
    /// Make the members of the rooms members of this one too.
    Join { room: String },
    /// Take the members out of this room.
    Leave { room: String },
    /// Close the sockets of the members.
    Close { code: u16, reason: String },
    /// Send the members the message of the question.
    Send,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Question {
    act: Act,
    /// The command that wants it: a node that has reached somebody for it does not do so again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    once: Option<String>,
}

impl From<Act> for Question {
    fn from(act: Act) -> Self {
        Self { act, once: None }
    }
}

#[derive(Deserialize, Serialize)]
struct Answer {
    sockets: usize,
}

/// The answer of a node that has reached so many sockets.
pub(crate) fn answer_of(sockets: usize) -> Bytes {
    let answer = serde_json::to_vec(&Answer { sockets });
    answer.expect("a number can be written as JSON").into()
}

/// The number in an [answer](answer_of).
pub(super) fn sockets_of(answer: &[u8]) -> Option<usize> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    Some(answer.sockets)
}

/// The outcome over all nodes: that on this one, and what the others have answered.
pub(crate) fn add_up(line: &Line, here: usize, asked: Result<Answered, BrokerError>) -> Reached {
    let mut reached = Reached::here(here);
    match asked {
        Ok(answered) => {
            reached.unanswered = answered.silent;
            for (node, answer) in answered.answers {
                match serde_json::from_slice::<Answer>(&answer) {
                    Ok(answer) => reached.sockets += answer.sockets,
                    Err(_) => reached.unanswered.push(node),
                }
            }
            reached.unanswered.retain(|node| node != line.bus().node());
            reached.unanswered.sort();
        }
        Err(error) => {
            if UNASKED.is_due() {
                tracing::warn!(%error, "the other nodes cannot be asked");
            }
            reached.unanswered = line.known_others();
            reached.others_unknown = true;
        }
    }
    reached
}

/// The bytes of a question: the act behind its length, then the rooms and the message.
fn write(question: &Question, rooms: &[Room], frame: &Frame) -> Bytes {
    let question = serde_json::to_vec(question).expect("an act is plain");
    let cast = write_cast(rooms.iter().map(Room::name), frame);
    let mut bytes = BytesMut::with_capacity(4 + question.len() + cast.len());
    bytes.put_u32(u32::try_from(question.len()).expect("an act is short"));
    bytes.put_slice(&question);
    bytes.put_slice(&cast);
    bytes.freeze()
}

/// Reads a question, the names of its rooms, and the message.
fn read(mut bytes: Bytes) -> Option<(Question, Vec<Box<str>>, Frame)> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    if bytes.len() < length {
        return None;
    }
    let question: Question = serde_json::from_slice(&bytes.split_to(length)).ok()?;
    let cast = read_cast(bytes)?;
    Some((question, cast.rooms, cast.frame))
}

impl Handle {
    /// Does what other nodes ask for.
    pub(super) fn answer_acts(&self) {
        for kind in [ACT, ACT_ON_ALL] {
            let app = self.downgrade();
            self.line().answer(kind, move |from, question| {
                let app = app.upgrade();
                async move {
                    let (app, (question, rooms, frame)) = (app?, read(question)?);
                    let audience = || match kind {
                        ACT_ON_ALL => app.all().local(),
                        _ => app.audience_of(&rooms),
                    };
                    let act = || audience().act(&question.act, &frame);
                    let sockets = match &question.once {
                        // What the asking node has to do itself it has done.
                        _ if from.is_this => 0,
                        Some(once) => app.part(Arc::<Done>::default).once(once, act),
                        None => act(),
                    };
                    Some(answer_of(sockets))
                }
            });
        }
    }

    /// The members of rooms that another node has named.
    pub(super) fn audience_of(&self, rooms: &[Box<str>]) -> Audience {
        let found = rooms
            .iter()
            .filter_map(|name| self.engine().find_room(name));
        Audience::new(self.clone(), found.collect()).local()
    }
}

impl Audience {
    /// Does something to the members on this node; the number of their sockets.
    fn act(&self, act: &Act, frame: &Frame) -> usize {
        match act {
            Act::Count => self.local_len(),
            Act::Join { room } => self.local_join(room),
            Act::Leave { room } => self.local_leave(room),
            Act::Close { code, reason } => self.local_close(*code, reason),
            Act::Send => self.local_send(frame),
        }
    }

    /// Does something to the members on all nodes.
    async fn act_everywhere(&self, question: impl Into<Question>, frame: Frame) -> Reached {
        let question = question.into();
        let sockets = self.act(&question.act, &frame);
        if !self.is_over_nodes() {
            return Reached::here(sockets);
        }
        let line = self.handle().line();
        let question = write(&question, self.rooms(), &frame);
        let kind = if self.is_everybody() { ACT_ON_ALL } else { ACT };
        let asked = line.ask(kind, &Asked::All, &question).await;
        add_up(line, sockets, asked)
    }

    /// Counts the members on all nodes, each once. Waits for 2 s at most.
    pub async fn len(&self) -> Reached {
        self.act_everywhere(Act::Count, Frame::text("")).await
    }

    /// Sends a message as [`send`](Self::send) does, and waits until all nodes have queued it, for
    /// 2 s at most; the number of sockets. Whether a client has received it is not known.
    pub async fn deliver(&self, message: impl Into<Outgoing>) -> Reached {
        let frame = message.into().into_frame();
        self.act_everywhere(Act::Send, frame).await
    }

    /// Sends a message as [`deliver`](Self::deliver) does, for a command that may come again: a
    /// node that did not answer in time may have sent it, and does not do so again within 2
    /// minutes.
    pub(crate) async fn deliver_once(
        &self,
        message: impl Into<Outgoing>,
        command: Option<&CommandKey>,
    ) -> Reached {
        let question = Question {
            act: Act::Send,
            once: command.map(|command| command.as_str().to_owned()),
        };
        self.act_everywhere(question, message.into().into_frame())
            .await
    }

    /// Makes every member, on all nodes, a member of `room` too. Leaves out members that cannot
    /// join; see [`Socket::join`](crate::Socket::join). Waits for 2 s at most.
    pub async fn join(&self, room: impl AsRef<str>) -> Reached {
        let room = room.as_ref().to_owned();
        self.act_everywhere(Act::Join { room }, Frame::text(""))
            .await
    }

    /// Takes every member, on all nodes, out of `room`. Waits for 2 s at most.
    pub async fn leave(&self, room: impl AsRef<str>) -> Reached {
        let room = room.as_ref().to_owned();
        self.act_everywhere(Act::Leave { room }, Frame::text(""))
            .await
    }

    /// Closes every member's socket, on all nodes; see [`Socket::close`](crate::Socket::close).
    /// Waits for 2 s at most until all nodes have begun to.
    pub async fn close(&self, code: impl Into<CloseCode>, reason: &str) -> Reached {
        let close = Act::Close {
            code: code.into().as_u16(),
            reason: reason.to_owned(),
        };
        self.act_everywhere(close, Frame::text("")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Questions of version 1, as a program of the first release asked them. Lines are added and
    /// never changed, as in `node/version-1.txt`.
    #[test]
    fn recorded_questions_of_version_1_are_read() {
        for (recorded, act, text) in [
            (&b"\0\0\0\x0f{\"act\":\"count\"}\x02\0\x01\0\x03red"[..], Act::Count, ""),
            (&b"\0\0\0\x1f{\"act\":{\"join\":{\"room\":\"all\"}}}\x02\0\x01\0\x03red"[..], Act::Join { room: "all".into() }, ""),
            (&b"\0\0\0 {\"act\":{\"leave\":{\"room\":\"all\"}}}\x02\0\x01\0\x03red"[..], Act::Leave { room: "all".into() }, ""),
            (&b"\0\0\0.{\"act\":{\"close\":{\"code\":4000,\"reason\":\"end\"}}}\x02\0\x01\0\x03red"[..], Act::Close { code: 4000, reason: "end".into() }, ""),
            (&b"\0\0\0\x0e{\"act\":\"send\"}\x02\0\x01\0\x03redhello"[..], Act::Send, "hello"),
        ] {
            let question = read(Bytes::from_static(recorded)).unwrap();
            let expected = (Question::from(act), vec!["red".into()], Frame::text(text));
            assert_eq!(question, expected);
        }
        let answer = serde_json::from_slice::<Answer>(b"{\"sockets\":3}").unwrap();
        assert_eq!(answer.sockets, 3);
    }

    #[test]
    fn questions_that_nobody_asks_are_not_read() {
        for bytes in [
            &b""[..],
            b"\0\0\0\x0f{\"act\":\"count\"}",
            b"\0\0\0\xff{}",
            b"\0\0\0\x0e{\"act\":\"fly\"}\x02\0\0",
        ] {
            assert!(read(Bytes::copy_from_slice(bytes)).is_none(), "{bytes:?}");
        }
    }
}
