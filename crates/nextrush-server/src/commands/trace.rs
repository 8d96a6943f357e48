//! `nextrush trace`: what became of a publication, for each socket.

use std::io::{ErrorKind, Write};

use clap::Args;
use http::{HeaderMap, header};
use nextrush::trace::{Published, SocketTrace};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::position::Position;
use crate::client::{ClientError, ServerUrl, get, in_time};
use crate::secret::{Secret, bearer};

/// The bytes of an answer that are read: those of the most sockets of many nodes.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Says why a user did not get a publication, or who did.
///
/// Prints a line for each socket, those that did not get it first: the user, the node and the id of
/// the socket, and what became of the publication there. Needs a server with an API key. Publications
/// have positions in what `nextrush publish` prints and `nextrush tail --json` shows.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Trace {
    /// The channel, or with --room the room of a chat.
    pub channel: String,

    /// The position of the publication.
    #[arg(value_name = "EPOCH:OFFSET")]
    pub position: Position,

    /// The id of the user whose sockets are asked for; everybody's without it.
    #[arg(long)]
    pub user: Option<String>,

    /// Asks about a message in a chat room in place of a channel.
    #[arg(long)]
    pub room: bool,

    /// The most sockets that each node tells of, up to 500.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,

    /// Prints the server's answer as JSON.
    #[arg(long)]
    pub json: bool,

    /// The server, as http://host:port.
    #[arg(long, env = "NEXTRUSH_URL", default_value = "http://localhost:3000")]
    pub url: ServerUrl,

    /// The key of the server's HTTP API.
    #[arg(long, env = "NEXTRUSH_API_KEY", hide_env_values = true)]
    pub api_key: Secret,
}

/// A failed question.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The server cannot be reached or refuses.
    #[error("cannot trace")]
    Client(#[from] ClientError),
    /// The answer is not one of this API.
    #[error("the server's answer cannot be read")]
    Answer(#[from] serde_json::Error),
    /// A key that no header can hold.
    #[error("a key has visible characters only")]
    Key,
    /// Standard output failed.
    #[error("standard output failed")]
    Io(#[from] std::io::Error),
}

impl Trace {
    /// Asks the server, and writes the answer to `output`.
    ///
    /// # Errors
    ///
    /// See [`TraceError`].
    pub async fn run(&self, mut output: impl Write) -> Result<(), TraceError> {
        let target = self.url.at(&self.path());
        let asked = get(&target, self.headers()?, ANSWER_BYTES);
        let answer = in_time(&target, asked).await?;
        let written = if self.json {
            output.write_all(&answer).and_then(|()| writeln!(output))
        } else {
            let trace: nextrush::trace::Trace = serde_json::from_slice(&answer)?;
            self.print(&trace, &mut output)
        };
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn path(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let kind = if self.room { "room" } else { "channel" };
        let mut path = format!(
            "/api/v1/trace?{kind}={}&position={}&limit={}",
            encoded(&self.channel),
            encoded(&self.position.to_string()),
            self.limit
        );
        if let Some(user) = &self.user {
            path.push_str("&user=");
            path.push_str(&encoded(user));
        }
        path
    }

    fn headers(&self) -> Result<HeaderMap, TraceError> {
        let key = bearer(&self.api_key).ok_or(TraceError::Key)?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, key)]))
    }

    fn print(
        &self,
        trace: &nextrush::trace::Trace,
        output: &mut impl Write,
    ) -> std::io::Result<()> {
        let published = match trace.published {
            Published::Kept => "published",
            Published::Deleted => "published, and deleted since",
            Published::Forgotten => "not in the history, or not any more",
            Published::NotYet => "not published yet",
            _ => "of another epoch than the present one",
        };
        write!(output, "{}: {published}", trace.position)?;
        match trace.published_at {
            Some(at) => writeln!(output, " at {at}")?,
            None => writeln!(output)?,
        }
        for socket in &trace.sockets {
            print_socket(socket, output)?;
        }
        let told: usize = trace.counts.values().sum();
        if told > trace.sockets.len() {
            writeln!(output, "and {} more", told - trace.sockets.len())?;
        }
        if trace.is_of_nobody()
            && let Some(user) = &self.user
        {
            writeln!(
                output,
                "{user}: never connected, as far as the records reach back"
            )?;
        }
        for node in &trace.nodes {
            match &node.record_since {
                Some(since) => writeln!(
                    output,
                    "the record of {} reaches back to {since}",
                    node.node
                )?,
                None => writeln!(output, "{} keeps no record", node.node)?,
            }
        }
        for node in &trace.unanswered {
            writeln!(output, "{node} did not answer")?;
        }
        if trace.others_unknown {
            writeln!(output, "the other nodes are not known at the moment")?;
        }
        Ok(())
    }
}

fn print_socket(socket: &SocketTrace, output: &mut impl Write) -> std::io::Result<()> {
    match &socket.user {
        Some(user) => write!(output, "{user}")?,
        None => write!(output, "-")?,
    }
    write!(
        output,
        " {} {}: {}",
        socket.node, socket.socket, socket.text
    )?;
    if let Some(closed) = &socket.closed {
        write!(output, "; closed at {} with {}", closed.at, closed.code)?;
        if !closed.reason.is_empty() {
            write!(output, " ({})", closed.reason)?;
        }
    }
    writeln!(output)
}
