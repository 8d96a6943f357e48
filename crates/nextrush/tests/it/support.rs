//! A client for tests, on tokio-tungstenite: nothing of it is our own protocol
//! code.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use jsonwebtoken::{EncodingKey, Header, encode};
use nextrush::{App, Server};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

/// The time without an answer after which a test fails; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub const SECRET: &str = "a secret of tests, thirty-two bytes and more";

pub async fn serve(app: App) -> Server {
    app.listen("127.0.0.1:0").start().await.unwrap()
}

pub fn url(server: &Server, path: &str) -> String {
    format!("ws://{}{path}", server.address())
}

pub fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A valid token for a user, made by the JWT library itself.
pub fn token(id: impl Into<Value>, email: &str) -> String {
    let claims = json!({ "id": id.into(), "email": email, "exp": unix_seconds() + 600 });
    sign(&claims, SECRET)
}

pub fn sign(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

/// Returns whether a value is a time as `Date.prototype.toISOString` prints it.
pub fn is_timestamp(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let shape: String = text
        .chars()
        .map(|char| if char.is_ascii_digit() { '0' } else { char })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}

/// Takes the `timestamp` out of a message after checking its form, so that the
/// rest can be compared as a whole.
pub fn without_timestamp(mut message: Value) -> Value {
    let timestamp = message.as_object_mut().unwrap().remove("timestamp");
    assert!(is_timestamp(&timestamp.unwrap()), "no timestamp");
    message
}

/// Takes the position out of a message after checking its form, and what else the guide does not
/// have.
pub fn without_position(mut message: Value) -> Value {
    let fields = message.as_object_mut().unwrap();
    if fields["type"] == "room-history" {
        for count in ["userCount", "usersVersion"] {
            let count = fields.remove(count);
            assert!(count.is_some_and(|count| count.is_u64()), "no counts");
        }
    }
    let offset = fields.remove("offset");
    assert!(offset.is_some_and(|offset| offset.is_u64()), "no offset");
    if let Some(epoch) = fields.remove("epoch") {
        assert!(
            epoch
                .as_str()
                .unwrap()
                .parse::<nextrush::broker::Epoch>()
                .is_ok()
        );
    }
    message
}

/// The message of an error that has no more to it than a code and a text.
pub fn error(code: &str, message: &str) -> Value {
    json!({ "type": "error", "message": message, "code": code })
}

pub struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub async fn connect(server: &Server, path: &str) -> Self {
        Self::request(url(server, path).into_client_request().unwrap())
            .await
            .unwrap()
    }

    /// Connects a client whose kernel buffers few bytes that the client has not read.
    pub async fn connect_narrow(server: &Server, path: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = within(socket.connect(server.address())).await.unwrap();
        let stream = MaybeTlsStream::Plain(stream);
        let (stream, _) = within(client_async(url(server, path), stream))
            .await
            .unwrap();
        Self { stream }
    }

    /// The client, or the status of the refusal.
    pub async fn request(request: Request) -> Result<Self, http::Response<Option<Vec<u8>>>> {
        match within(connect_async(request)).await {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(response)) => Err(*response),
            Err(error) => panic!("cannot connect: {error}"),
        }
    }

    pub async fn refused(server: &Server, path: &str) -> StatusCode {
        let request = url(server, path).into_client_request().unwrap();
        match Self::request(request).await {
            Ok(_) => panic!("the upgrade was not refused"),
            Err(response) => response.status(),
        }
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        let message = Message::Text(text.into().into());
        self.stream.send(message).await.unwrap();
    }

    pub async fn send_json(&mut self, value: Value) {
        self.send(value.to_string()).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The next frame, whatever it is; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        within(self.stream.next())
            .await
            .map(|message| message.unwrap())
    }

    /// The next text message; pings and pongs are passed over.
    pub async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Message::Text(text)) => return text.to_string(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a text message, got {other:?}"),
            }
        }
    }

    /// The next text message as JSON. One whose `type` is known must be as its schema
    /// says.
    pub async fn json(&mut self) -> Value {
        let message = serde_json::from_str(&self.text().await).unwrap();
        crate::schema::check_sent(&message);
        message
    }

    /// Reads on until the close frame; its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    pub async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        while self.next().await.is_some() {}
    }

    /// Ends the transport without a close frame.
    pub fn cut(self) {
        drop(self);
    }
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("nothing happened for a long time")
}
