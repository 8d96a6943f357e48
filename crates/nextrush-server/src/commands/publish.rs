//! `nextrush publish`: publishing from the command line.

use std::io::{BufRead, Write};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde_json::value::RawValue;

use super::position::Position;
use crate::client::{Call, ClientError, ServerUrl};
use crate::secret::{Secret, bearer};

/// The data that stands for the lines of standard input.
const STANDARD_INPUT: &str = "-";

/// Publishes to a channel of live updates.
///
/// Prints the position of each publication, as `epoch:offset`. Needs a server with an API key.
/// Fails at the first publication that is refused.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Publish {
    /// The channel.
    pub channel: String,

    /// The data as JSON, or `-`: each line of standard input is a publication.
    pub data: String,

    /// The server, as http://host:port, with the path below which a proxy has it.
    #[arg(long, env = "NEXTRUSH_URL", default_value = "http://localhost:3000")]
    pub url: ServerUrl,

    /// The key of the server's HTTP API.
    #[arg(long, env = "NEXTRUSH_API_KEY", hide_env_values = true)]
    pub api_key: Secret,

    /// A key by which a repeat within two minutes is recognised and not published again.
    ///
    /// Of several lines each has its own key: this one, followed by the number of the line.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// A failed publication.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The data is no JSON.
    #[error("{}the data is no JSON; a text stands in quotes, as '\"text\"'", on(*line))]
    Data {
        /// The line of standard input, counted from 1.
        line: Option<u64>,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The server cannot be reached or refuses.
    #[error("{}cannot publish", on(*line))]
    Client {
        /// The line of standard input, counted from 1.
        line: Option<u64>,
        /// The client's error.
        source: ClientError,
    },
    /// The answer is not one of this API.
    #[error("the server's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// A key that no header can hold.
    #[error("a key has visible characters only")]
    Key,
    /// Standard input or output failed.
    #[error("standard input or output failed")]
    Io(#[from] std::io::Error),
}

fn on(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

#[derive(Serialize)]
struct Body<'a> {
    channel: &'a str,
    data: &'a RawValue,
}

impl Publish {
    /// Publishes, and writes the positions to `output`. Publishing goes on if `output` is
    /// closed.
    ///
    /// # Errors
    ///
    /// See [`PublishError`]. The lines before the failed one are published.
    pub async fn run(
        &self,
        input: impl BufRead,
        mut output: impl Write,
    ) -> Result<(), PublishError> {
        let mut call = Call::new();
        // Every publication has a key, so that one whose answer was lost can be repeated.
        let key = match &self.idempotency_key {
            Some(key) => key.clone(),
            None => format!("cli-{:032x}", rand::random::<u128>()),
        };
        if self.data != STANDARD_INPUT {
            return self
                .publish(&mut call, &self.data, &key, None, &mut output)
                .await;
        }
        for (number, line) in (1..).zip(input.lines()) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let key = format!("{key}-{number}");
            self.publish(&mut call, &line, &key, Some(number), &mut output)
                .await?;
        }
        Ok(())
    }

    async fn publish(
        &self,
        call: &mut Call,
        data: &str,
        key: &str,
        line: Option<u64>,
        output: &mut impl Write,
    ) -> Result<(), PublishError> {
        let data = serde_json::from_str(data);
        let body = Body {
            channel: &self.channel,
            data: data.map_err(|source| PublishError::Data { line, source })?,
        };
        let body =
            serde_json::to_vec(&body).map_err(|source| PublishError::Data { line, source })?;
        let target = self.url.at("/api/v1/publish");
        let headers = self.headers(key)?;
        let answer = call.post(&target, headers, Bytes::from(body)).await;
        let answer = answer.map_err(|source| PublishError::Client { line, source })?;
        let position: Position = serde_json::from_slice(&answer).map_err(PublishError::Answer)?;
        match writeln!(output, "{position}").and_then(|()| output.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn headers(&self, key: &str) -> Result<HeaderMap, PublishError> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| PublishError::Key);
        Ok(HeaderMap::from_iter([
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            ),
            (
                header::AUTHORIZATION,
                bearer(&self.api_key).ok_or(PublishError::Key)?,
            ),
            (
                header::HeaderName::from_static("idempotency-key"),
                value(key)?,
            ),
        ]))
    }
}
