//! `nextrush tail`: the updates of a channel, line by line.

mod follow;
mod socket;

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use clap::Args;
use http::{HeaderMap, StatusCode, header};
use nextrush_protocol::{CloseCode, ProtocolError, Retry};
use tokio::time;

use self::follow::{Follow, Incoming, Line};
use self::socket::{Ended, Socket};
use crate::client::{ClientError, ServerUrl};
use crate::commands::position::Position;
use crate::secret::{Secret, bearer};

/// The longest wait before the first attempt to come back, doubled with each that fails. The
/// client waits for a random part of it.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait of all.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Prints the updates of a channel until it is stopped.
///
/// Prints a line for each update: its data. After a lost connection it comes back and goes on
/// from its position, without a gap as far as the channel's history reaches; it reports
/// missing updates on standard error. Fails if the server refuses, or cannot be reached at the
/// start.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Tail {
    /// The channel.
    pub channel: String,

    /// The server, as http://host:port, with the path below which a proxy has it.
    #[arg(long, env = "NEXTRUSH_URL", default_value = "http://localhost:3000")]
    pub url: ServerUrl,

    /// A user's token.
    #[arg(
        long,
        env = "NEXTRUSH_TOKEN",
        hide_env_values = true,
        required_unless_present = "api_key"
    )]
    pub token: Option<Secret>,

    /// The key of the server's HTTP API, where there is no token.
    #[arg(long, env = "NEXTRUSH_API_KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,

    /// Starts after this position, if the channel's history reaches back so far.
    #[arg(long, value_name = "EPOCH:OFFSET")]
    pub since: Option<Position>,

    /// Prints whole updates as JSON, with position and time, and gaps among them.
    #[arg(long)]
    pub json: bool,
}

/// The end of following a channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// The server cannot be reached or refuses.
    #[error("cannot follow the channel")]
    Client(#[from] ClientError),
    /// The server does not let this client subscribe.
    #[error("{message}{}{}", if details.is_some() { ": " } else { "" }, details.as_deref().unwrap_or_default())]
    Refused {
        /// The server's message.
        message: String,
        /// The exact cause.
        details: Option<String>,
        /// The code of the error, for programs.
        code: String,
    },
    /// The server closed the connection, and does not want this client back.
    #[error("closed by the server with {code}: {reason}")]
    Closed {
        /// The close code.
        code: CloseCode,
        /// The server's message.
        reason: String,
    },
    /// The server does not speak the protocol.
    #[error("the server broke the protocol")]
    Protocol(#[source] ProtocolError),
    /// A token or key that no header can hold.
    #[error("a token or key has visible characters only")]
    Key,
    /// Standard output failed.
    #[error("standard output failed")]
    Output(#[source] io::Error),
}

/// The reason to stop: nobody reads the output, or an error.
enum Stop {
    Unread,
    Failed(TailError),
}

impl<E: Into<TailError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Tail {
    /// Follows the channel until nobody reads `output` any more. Reports gaps and lost
    /// connections to `notes`.
    ///
    /// # Errors
    ///
    /// See [`TailError`].
    pub async fn run(&self, output: impl Write, notes: impl Write) -> Result<(), TailError> {
        match self.follow(output, notes).await {
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) | Err(Stop::Unread) => Ok(()),
        }
    }

    async fn follow(&self, mut output: impl Write, mut notes: impl Write) -> Result<(), Stop> {
        let (path, secret) = match (&self.token, &self.api_key) {
            (Some(token), _) => ("/live", token),
            (None, Some(key)) => ("/api/v1/live", key),
            (None, None) => return Err(TailError::Key.into()),
        };
        let target = self.url.at(path);
        let bearer = bearer(secret).ok_or(TailError::Key)?;
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        let mut follow = Follow::new(&self.channel, self.since.clone());
        let mut socket = Socket::open(&target, headers.clone()).await?;
        let mut failures = 0;
        loop {
            let ended = self
                .read(&mut socket, &mut follow, &mut output, &mut notes)
                .await?;
            let mut retry = ended.retry()?;
            // It fails if nobody reads it.
            let _ = writeln!(notes, "nextrush: {ended}; coming back");
            if follow.take_is_subscribed() {
                failures = 0;
            }
            socket = loop {
                time::sleep(follow.take_wait().unwrap_or_else(|| wait(retry, failures))).await;
                failures += 1;
                match Socket::open(&target, headers.clone()).await {
                    Ok(socket) => break socket,
                    Err(error) => match retry_after(&error) {
                        Retry::Never => return Err(error.into()),
                        again => retry = again,
                    },
                }
            };
        }
    }

    /// Prints updates until the connection ends.
    async fn read(
        &self,
        socket: &mut Socket,
        follow: &mut Follow,
        output: &mut impl Write,
        notes: &mut impl Write,
    ) -> Result<Ended, Stop> {
        if let Err(ended) = socket.send(&follow.subscribe()).await {
            return Ok(ended);
        }
        loop {
            let text = match socket.next().await {
                Ok(text) => text,
                Err(ended) => return Ok(ended),
            };
            // Anything but a message of this protocol is ignored.
            let Ok(message) = serde_json::from_str::<Incoming<'_>>(&text) else {
                continue;
            };
            match follow.take(message)? {
                Some(lines) => {
                    for line in lines {
                        self.print(&line, output, notes)?;
                    }
                }
                None => return Ok(Ended::Unavailable),
            }
        }
    }

    fn print(
        &self,
        line: &Line<'_>,
        output: &mut impl Write,
        notes: &mut impl Write,
    ) -> Result<(), Stop> {
        let printed = match line {
            _ if self.json => writeln!(output, "{}", harmless(&line.to_json())),
            Line::Update { data, .. } => writeln!(output, "{}", harmless(data.get())),
            Line::Gap { .. } => {
                // It fails if nobody reads it.
                let _ = writeln!(notes, "nextrush: {line}");
                Ok(())
            }
        };
        match printed.and_then(|()| output.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Stop::Unread),
            Err(error) => Err(TailError::Output(error).into()),
        }
    }
}

/// The same JSON without characters that act on a terminal: JSON has to escape the control
/// characters of ASCII only, and neither those of C1, such as CSI, nor those that turn text around.
fn harmless(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_active) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if is_active(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped.into()
}

/// Returns whether a character acts on a terminal. White space between the values of JSON does not.
fn is_active(character: char) -> bool {
    let is_space = matches!(character, ' ' | '\t' | '\n' | '\r');
    let is_turning = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    (character.is_control() && !is_space) || is_turning
}

/// The time to try again after a failed attempt to come back.
fn retry_after(error: &ClientError) -> Retry {
    match error {
        // Too many clients came back at once.
        ClientError::Refused { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
            Retry::Later
        }
        ClientError::Refused { status, .. } if status.is_client_error() => Retry::Never,
        _ => Retry::Now,
    }
}

/// The time until the next attempt.
fn wait(retry: Retry, failures: u32) -> Duration {
    let failures = match retry {
        Retry::Later => failures + 3,
        Retry::Now | Retry::Never => failures,
    };
    let longest = FIRST_WAIT
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_WAIT);
    longest.mul_f64(rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_act_on_a_terminal_are_escaped_in_the_same_json() {
        let json = "{\t\"a\":\"\u{9b}31m\u{7f}\u{202e}é\"}";
        let escaped = harmless(json);
        assert_eq!(escaped, "{\t\"a\":\"\\u009b31m\\u007f\\u202eé\"}");
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&escaped), parse(json));
        assert!(matches!(harmless("{\"a\":\"é\"}"), Cow::Borrowed(_)));
    }

    #[test]
    fn who_is_refused_does_not_come_back_and_who_is_put_off_does() {
        let refused = |status| ClientError::Refused {
            status,
            body: String::new(),
        };
        let table = [
            (StatusCode::UNAUTHORIZED, Retry::Never),
            (StatusCode::NOT_FOUND, Retry::Never),
            (StatusCode::TOO_MANY_REQUESTS, Retry::Later),
            (StatusCode::BAD_GATEWAY, Retry::Now),
            (StatusCode::SERVICE_UNAVAILABLE, Retry::Now),
        ];
        for (status, expected) in table {
            assert_eq!(retry_after(&refused(status)), expected, "{status}");
        }
        let timeout = ClientError::Timeout {
            authority: "a.example".to_owned(),
        };
        assert_eq!(retry_after(&timeout), Retry::Now);
    }

    #[test]
    fn who_comes_back_waits_at_most_twenty_seconds() {
        for failures in 0..40 {
            for retry in [Retry::Now, Retry::Later] {
                assert!(wait(retry, failures) <= LONGEST_WAIT);
            }
        }
        assert!(wait(Retry::Now, 0) <= FIRST_WAIT);
    }
}
