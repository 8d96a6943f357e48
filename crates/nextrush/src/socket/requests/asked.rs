//! Requests of the server to one client.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nextrush_engine::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::untaken::{Place, Untaken};
use crate::message::{Message, command};
use crate::socket::{ConnectionState, Socket};

/// The reason why a client has not answered a request of the server as it should.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No response came in time. The client may have done what it was asked for.
    #[error("the client did not respond in time")]
    Timeout,
    /// The socket closed before the response came, or was closed already.
    #[error("the socket closed before the client responded")]
    Closed,
    /// The client refused.
    #[error("the client refused: {message} ({code})")]
    Refused {
        /// The code that its function gave, `no-handler` where it has none for this name; may be
        /// empty.
        code: String,
        /// The text for people; may be empty.
        message: String,
    },
    /// The response is not what was expected.
    #[error("the client's response is invalid: {0}")]
    Invalid(String),
    /// The data of the request cannot be written as JSON; nothing was sent.
    #[error("the request cannot be written: {0}")]
    Data(String),
}

/// The requests to a client that it has not answered.
#[derive(Default)]
pub(in crate::socket) struct Asked {
    last: u64,
    open: HashMap<u64, Waiting>,
}

/// Somebody who waits for a response.
pub(in crate::socket) struct Waiting {
    sender: oneshot::Sender<(Response, Option<Place>)>,
    /// The responses among which this one waits to be taken, where that may take a while.
    among: Option<Arc<Untaken>>,
}

impl Waiting {
    /// Hands over a response; `false` if it comes too late.
    fn hand_over(self, response: Response) -> bool {
        let received = match &self.among {
            None => (response, None),
            Some(untaken) => match untaken.admit(bytes_of(&response)) {
                Some(place) => (response, Some(place)),
                // As if it had not come.
                None => (Err(RequestError::Timeout), None),
            },
        };
        self.sender.send(received).is_ok()
    }
}

/// The response of a client: its data, or what it refused with.
pub(super) type Response = Result<Box<RawValue>, RequestError>;

/// About the bytes that a response takes.
pub(super) fn bytes_of(response: &Response) -> usize {
    const AROUND: usize = 64;
    let said = match response {
        Ok(data) => data.get().len(),
        Err(RequestError::Refused { code, message }) => code.len() + message.len(),
        Err(_) => 0,
    };
    AROUND + said
}

impl Asked {
    fn begin(
        &mut self,
        among: Option<Arc<Untaken>>,
    ) -> (u64, oneshot::Receiver<(Response, Option<Place>)>) {
        let (sender, receiver) = oneshot::channel();
        self.last += 1;
        self.open.insert(self.last, Waiting { sender, among });
        (self.last, receiver)
    }

    /// Returns whether a response is waited for.
    pub(in crate::socket) fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes out whoever waits for the response with this id.
    pub(in crate::socket) fn take(&mut self, id: u64) -> Option<Waiting> {
        self.open.remove(&id)
    }
}

/// A request, as it is sent.
#[derive(Serialize)]
#[serde(tag = "type", rename = "request")]
struct Request<'a> {
    id: &'a str,
    name: &'a str,
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    data: Option<Box<RawValue>>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Returns whether a message is a response, without taking it.
pub(in crate::socket) fn may_overtake(message: &Incoming<'_>) -> bool {
    match message {
        Incoming::Text(text) => is_response(text),
        Incoming::Binary(data) => std::str::from_utf8(data).is_ok_and(is_response),
    }
}

/// Returns whether a message responds to a request.
fn is_response(text: &str) -> bool {
    text.contains("\"response\"")
        && command::type_of(text).is_ok_and(|kind| kind.as_deref() == Some("response"))
}

/// Reads a response and the number of its request; `None` if it is none that could belong to one.
fn read(message: &Message) -> Option<(u64, Response)> {
    let fields: Fields<'_> = serde_json::from_str(message.to_utf8().ok()?).ok()?;
    let id = fields.id.parse().ok()?;
    let response = match fields.error {
        Some(Failure { code, message }) => Err(RequestError::Refused { code, message }),
        None => Ok(fields.data.unwrap_or_else(|| RawValue::NULL.to_owned())),
    };
    Some((id, response))
}

/// The value of a response.
pub(super) fn value_of<T: DeserializeOwned>(response: Response) -> Result<T, RequestError> {
    let data = response?;
    serde_json::from_str(data.get()).map_err(|error| RequestError::Invalid(error.to_string()))
}

impl Socket {
    /// Asks the client something, and waits for its response: the message
    /// `{"type":"request","id","name","data"}`, which the client answers with
    /// `{"type":"response","id","data"}`, or with an `"error"` that has a `message` and may have a
    /// `code`. The JavaScript client does that with `client.handle(name, async (data) => answer)`.
    ///
    /// Volatile, as [`send`](Self::send): a socket that closes has no response, and the client is not
    /// asked again when it comes back. A response that comes after `timeout`, or twice, is dropped
    /// and [counted](crate::metrics::RequestCounts). From the first request on, this takes the
    /// socket's messages of type `response`.
    ///
    /// A handler of the same socket's messages may wait for it too: the response overtakes up to 64
    /// messages, or 64 KiB, that wait for that handler.
    ///
    /// ```
    /// # async fn example(socket: nextrush::Socket) -> Result<(), nextrush::BoxError> {
    /// use std::time::Duration;
    ///
    /// let agrees: bool = socket.request("confirm", "Delete all?", Duration::from_secs(10)).await?;
    /// # drop(agrees);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestError`], as when the client refuses, or does not respond within `timeout`.
    pub async fn request<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<T, RequestError> {
        let data = to_raw_value(data).map_err(|error| RequestError::Data(error.to_string()))?;
        let (response, _) = self.ask(name, &data, timeout, None).await;
        value_of(response)
    }

    /// Sends a request now; resolves with the response, and its place among those that wait.
    pub(super) fn ask(
        &self,
        name: &str,
        data: &RawValue,
        within: Duration,
        among: Option<&Arc<Untaken>>,
    ) -> impl Future<Output = (Response, Option<Place>)> + Send + use<> {
        let begun = match self.state() {
            ConnectionState::Open => {
                self.listeners(|all| all.ask().map(|asked| asked.begin(among.cloned())))
            }
            _ => None,
        };
        let waiting = begun.map(|(id, receiver)| {
            let open = Open {
                socket: self.clone(),
                id,
            };
            let id = &*id.to_string();
            let sent = self.send_json(&Request { id, name, data });
            sent.expect("a request has string keys only");
            // For a handler that waits for the response.
            self.connection().read_on();
            (open, receiver)
        });
        async move {
            let Some((_open, receiver)) = waiting else {
                return (Err(RequestError::Closed), None);
            };
            match timeout(within, receiver).await {
                Ok(Ok(received)) => received,
                Ok(Err(_)) => (Err(RequestError::Closed), None),
                Err(_) => (Err(RequestError::Timeout), None),
            }
        }
    }

    /// Takes a message that responds to a request, if this socket was ever asked one.
    pub(in crate::socket) fn take_response(&self, message: &Message) -> bool {
        if !message.to_utf8().is_ok_and(is_response) {
            return false;
        }
        let waiting = read(message).and_then(|(id, response)| {
            let waiting = self.listeners(|all| all.asked_mut()?.take(id))?;
            Some((waiting, response))
        });
        if !waiting.is_some_and(|(waiting, response)| waiting.hand_over(response)) {
            self.app().late_answers().count_late_response();
        }
        true
    }
}

/// A request that waits for its response.
struct Open {
    socket: Socket,
    id: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        let waiting = self.socket.listeners(|all| all.asked_mut()?.take(self.id));
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message::Text(text.to_owned())
    }

    #[test]
    fn a_response_is_told_by_its_type() {
        for text in [
            r#"{"type":"response","id":"1"}"#,
            r#"{"data":{},"type":"response"}"#,
        ] {
            assert!(is_response(text), "{text}");
        }
        for text in [
            r#"{"type":"say","text":"response"}"#,
            r#"["response"]"#,
            "\"response\"",
            "{}",
        ] {
            assert!(!is_response(text), "{text}");
        }
    }

    #[test]
    fn a_response_is_read_with_its_data_or_its_error() {
        let read = |text: &str| {
            let (id, response) = read(&message(text))?;
            Some((id, value_of::<serde_json::Value>(response)))
        };
        let refused = |code: &str, message: &str| {
            Err(RequestError::Refused {
                code: code.to_owned(),
                message: message.to_owned(),
            })
        };
        for (text, expected) in [
            (
                r#"{"type":"response","id":"1","data":[1]}"#,
                (1, Ok(serde_json::json!([1]))),
            ),
            (
                r#"{"type":"response","id":"2"}"#,
                (2, Ok(serde_json::Value::Null)),
            ),
            (
                r#"{"type":"response","id":"3","error":{"code":"no-handler","message":"No"}}"#,
                (3, refused("no-handler", "No")),
            ),
            (
                r#"{"type":"response","id":"4","data":1,"error":{}}"#,
                (4, refused("", "")),
            ),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            r#"{"type":"response"}"#,
            r#"{"type":"response","id":1}"#,
            r#"{"type":"response","id":"x"}"#,
            r#"{"type":"response","id":"1","error":"no"}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
