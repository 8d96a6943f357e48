//! The commands of a client, which it repeats until they are answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::application::{Application, Fate, Post, replacement};
use super::channels::{ROWS, name_of, topic_of_channel};
use super::link::Link;
use super::oracle::Oracle;
use super::subscriber::position;
use super::tally::Tally;

/// A command of a client.
#[derive(Clone, Debug)]
pub enum Command {
    /// To publish in a channel.
    Publish(usize, Post),
    Run(Run),
    /// To publish where clients may not.
    Forbidden(u32),
}

/// A request, as it is sent and as its handler reads it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Run {
    pub number: u32,
    pub how: How,
    /// The milliseconds that it takes.
    pub ms: u64,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    Reply,
    Refuse,
    Fail,
    Panic,
    /// Not done by its deadline.
    Hang,
}

/// The commands without a last answer, by their ids.
#[derive(Default)]
pub struct Outbox(BTreeMap<String, Sent>);

struct Sent {
    command: Command,
    /// True if the command was sent on this connection, and its answer has not come.
    is_awaited: bool,
    /// A process has ended, or the clock has jumped, since it was first sent.
    is_disturbed: bool,
}

impl Outbox {
    pub fn send(&mut self, link: &Link, command: Command) {
        let Some(client) = link.client() else { return };
        client.send_json(&command.message());
        let sent = Sent {
            command,
            is_awaited: true,
            is_disturbed: false,
        };
        self.0.insert(sent.command.id(), sent);
    }

    /// Sends again all that waits for no answer of this connection.
    pub fn repeat(&mut self, link: &Link) {
        let Some(client) = link.client() else { return };
        for sent in self.0.values_mut().filter(|sent| !sent.is_awaited) {
            client.send_json(&sent.command.message());
            sent.is_awaited = true;
        }
    }

    /// The connection is lost, and its answers with it.
    pub fn cut(&mut self) {
        for sent in self.0.values_mut() {
            sent.is_awaited = false;
        }
    }

    /// Notes that a process has ended, or that the clock has jumped: the outcome of what was under
    /// way may be unknown from now on.
    pub fn disturb(&mut self) {
        for sent in self.0.values_mut() {
            sent.is_disturbed = true;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of commands that hold up their socket, as their functions take too long.
    pub fn hanging(&self) -> usize {
        let commands = self.0.values().map(|sent| &sent.command);
        commands.filter(|command| command.hangs()).count()
    }

    /// Asserts that nothing waits for an answer.
    pub fn check_done(&self, user: &str) {
        let open: Vec<_> = self.0.values().map(|sent| &sent.command).collect();
        assert!(open.is_empty(), "{user} has no answer to {open:?}");
    }

    /// Takes the answer to a command: one for each time that it was sent, and the right one.
    pub fn take(
        &mut self,
        message: &Value,
        user: &str,
        application: &Application,
        oracle: &Oracle,
        tally: &mut Tally,
    ) {
        let id = message["id"].as_str().expect("an answer has an id");
        let sent = self.0.get_mut(id);
        let sent = sent.filter(|sent| sent.is_awaited);
        let Some(sent) = sent else {
            panic!("answered twice, or unasked: {message}");
        };
        sent.is_awaited = false;
        let (command, is_disturbed) = (sent.command.clone(), sent.is_disturbed);
        let code = message["code"].as_str().unwrap_or_default();
        let may_repeat = match code {
            "unavailable" | "not-published" => {
                let has_time = message["retryAfterMs"].is_u64();
                assert!(has_time, "when may it be repeated? {message}");
                true
            }
            // Publishing again is safe, executing again is not.
            "in-doubt" => {
                let is_known = is_disturbed || command.hangs();
                assert!(is_known, "in doubt without a reason: {command:?}");
                tally.in_doubt += 1;
                matches!(command, Command::Publish(..))
            }
            _ => false,
        };
        if may_repeat {
            return;
        }
        self.0.remove(id);
        let is_right = match &command {
            _ if code == "in-doubt" => true,
            Command::Publish(channel, post) => {
                tally.posted += 1;
                tally.outdated += u64::from(message["outdated"] == true);
                let expected = match post.fate {
                    Fate::Refuse => "not-now",
                    Fate::Fail => "not-stored",
                    Fate::Panic => "internal",
                    Fate::Accept | Fate::Replace | Fate::Hang => "",
                };
                let is_published = expected.is_empty();
                code == expected
                    && application.posts().times(post.number) > 0
                    && (!is_published
                        || is_there(message, *channel, post, is_disturbed, user, oracle))
            }
            Command::Run(run) => {
                tally.answered += 1;
                let (kind, number) = (&message["type"], run.number);
                let is_executed = application.runs().times(number) > 0;
                let is_right = match run.how {
                    How::Reply => kind == "reply" && message["data"] == number,
                    How::Refuse => code == "refused" && message["message"] == *number.to_string(),
                    How::Fail | How::Panic => code == "internal",
                    How::Hang => false,
                };
                is_executed && is_right
            }
            Command::Forbidden(_) => code == "publish-refused",
        };
        assert!(is_right, "the wrong answer to {command:?}: {message}");
    }
}

/// Returns whether what the client has published is where the answer says.
fn is_there(
    message: &Value,
    channel: usize,
    post: &Post,
    is_disturbed: bool,
    user: &str,
    oracle: &Oracle,
) -> bool {
    if message["type"] != "ack" {
        return false;
    }
    let is_it = |data: &Value| match (channel, post.fate) {
        // The place of a newer version, if it came late; or of its own, if it came again when it was
        // forgotten already that it is the same.
        (ROWS, _) if message["outdated"] == true => {
            data["row"] == json!(post.row) && (is_disturbed || data["number"] != post.number)
        }
        (ROWS, _) => data["row"] == json!(post.row) && data["number"] == post.number,
        (_, Fate::Replace) => *data == replacement(post, user),
        _ => *data == json!(post),
    };
    let topic = topic_of_channel(channel, user);
    is_it(&oracle.data(&topic, &position(message), is_it))
}

impl Command {
    fn id(&self) -> String {
        match self {
            Self::Publish(_, Post { number, .. })
            | Self::Run(Run { number, .. })
            | Self::Forbidden(number) => format!("c{number}"),
        }
    }

    fn hangs(&self) -> bool {
        match self {
            Self::Publish(_, post) => post.fate == Fate::Hang,
            Self::Run(run) => run.how == How::Hang,
            Self::Forbidden(_) => false,
        }
    }

    fn message(&self) -> Value {
        let id = self.id();
        match self {
            Self::Publish(channel, post) => {
                let channel = name_of(*channel, "");
                json!({ "type": "publish", "id": id, "channel": channel, "data": post })
            }
            Self::Run(Run { number, how, ms }) => {
                json!({ "type": "run", "id": id, "number": number, "how": how, "ms": ms })
            }
            Self::Forbidden(number) => {
                let data = json!({ "number": number });
                json!({ "type": "publish", "id": id, "channel": "kept-long", "data": data })
            }
        }
    }
}
