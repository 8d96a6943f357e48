//! A connection that listens to a channel.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use nextrush_protocol::{
    CloseCode, CloseFrame, Decoder, Event, Limits, Opcode, ProtocolError, Retry, Role,
    encode_masked,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;

use super::TailError;
use crate::client::{self, ClientError, Target};

/// The silence after which a server counts as gone: it pings a silent client after 25 s.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest message in bytes, far longer than an update.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;
const READ_BUFFER: usize = 16 * 1024;

pub(super) struct Socket {
    stream: TokioIo<Upgraded>,
    decoder: Decoder,
    buffer: BytesMut,
}

/// The end of a connection.
#[derive(Debug)]
pub(super) enum Ended {
    Closed {
        code: CloseCode,
        reason: String,
    },
    Cut,
    Silent,
    Io(io::Error),
    Protocol(ProtocolError),
    /// The connection is open, but the server cannot read the channel for now.
    Unavailable,
}

impl Socket {
    pub(super) async fn open(target: &Target, headers: HeaderMap) -> Result<Self, ClientError> {
        Ok(Self {
            stream: client::open(target, headers).await?,
            decoder: Decoder::new(Role::Client, Limits::message(MESSAGE_LIMIT)),
            buffer: BytesMut::with_capacity(READ_BUFFER),
        })
    }

    pub(super) async fn send(&mut self, text: &str) -> Result<(), Ended> {
        self.write(Opcode::Text, text.as_bytes()).await
    }

    /// Reads the next text message, and answers pings.
    pub(super) async fn next(&mut self) -> Result<String, Ended> {
        loop {
            let mut input = &mut self.buffer[..];
            let before = input.len();
            let event = self.decoder.decode(&mut input).map_err(Ended::Protocol)?;
            let event = event.map(Event::into_owned);
            let consumed = before - input.len();
            self.buffer.advance(consumed);
            match event {
                Some(Event::Text(text)) => return Ok(text.into_owned()),
                Some(Event::Ping(payload)) => self.write(Opcode::Pong, &payload).await?,
                Some(Event::Close(frame)) => return Err(self.closed(frame).await),
                Some(Event::Binary(_) | Event::Pong(_)) => {}
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<(), Ended> {
        let read = time::timeout(SILENCE, self.stream.read_buf(&mut self.buffer)).await;
        match read {
            Ok(Ok(0)) => Err(Ended::Cut),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Ended::Io(error)),
            Err(_) => Err(Ended::Silent),
        }
    }

    async fn write(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Ended> {
        let mut frame = Vec::new();
        encode_masked(opcode, payload, rand::random(), &mut frame);
        self.stream.write_all(&frame).await.map_err(Ended::Io)
    }

    /// Answers the close frame with its code (RFC 6455 §5.5.1).
    async fn closed(&mut self, frame: Option<CloseFrame>) -> Ended {
        let code = frame.as_ref().map(CloseFrame::code);
        let payload = code.map(|code| code.as_u16().to_be_bytes());
        let payload = payload.as_ref().map_or(&[][..], |payload| payload);
        // The server may be gone; the connection ends in any case.
        let _ = self.write(Opcode::Close, payload).await;
        Ended::Closed {
            code: code.unwrap_or(CloseCode::NO_STATUS),
            reason: frame.map_or_else(String::new, |frame| frame.reason().to_owned()),
        }
    }
}

impl Ended {
    /// The time to come back, or the error if the server does not want this client back.
    pub(super) fn retry(&self) -> Result<Retry, TailError> {
        match self {
            Self::Closed { code, reason } => match code.retry() {
                Retry::Never => Err(TailError::Closed {
                    code: *code,
                    reason: reason.clone(),
                }),
                retry => Ok(retry),
            },
            Self::Protocol(violation) => Err(TailError::Protocol(*violation)),
            Self::Cut | Self::Silent | Self::Io(_) => Ok(Retry::Now),
            Self::Unavailable => Ok(Retry::Later),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code, reason } if reason.is_empty() => {
                write!(f, "the server closed with {code}")
            }
            Self::Closed { code, reason } => write!(f, "the server closed with {code}: {reason}"),
            Self::Cut => f.write_str("the connection was cut"),
            Self::Silent => f.write_str("the server fell silent"),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
            Self::Unavailable => f.write_str("the channel is not available"),
            Self::Protocol(violation) => write!(f, "the server broke the protocol: {violation}"),
        }
    }
}
