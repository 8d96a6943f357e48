//! A connection of a load test.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use nextrush_protocol::{
    CloseCode, CloseFrame, Decoder, Event, Limits, Opcode, ProtocolError, Role, encode_masked,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time;

use super::error::BenchError;
use super::stamp::{Clock, Stamp};
use super::tally::{Heard, Tally};
use crate::client::{self, Target};

/// The placeholder of the numbers in a message.
pub(super) const PAYLOAD: &str = "{payload}";
/// The time that the endpoint may take for its part of the close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
const READ_BUFFER: usize = 16 * 1024;
const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// A connection whose opening handshake is done.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TokioIo<Upgraded>,
}

/// The part of a connection in a test.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) number: u32,
    /// The time of its first message.
    pub(super) start: Instant,
    pub(super) interval: Duration,
    /// The time at which it stops sending.
    pub(super) end: Instant,
    pub(super) size: usize,
    pub(super) message: String,
}

/// The end of a connection before that of the test.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("closed by the endpoint with {code}{reason}")]
    Closed { code: CloseCode, reason: String },
    #[error("cut without a close frame")]
    Cut,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the endpoint broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
}

impl Connection {
    pub(super) async fn open(target: &Target, headers: HeaderMap) -> Result<Self, BenchError> {
        let stream = client::open(target, headers).await?;
        Ok(Self { stream })
    }

    /// Sends and listens until it is told to finish, then closes.
    pub(super) async fn run(
        self,
        plan: Plan,
        clock: Clock,
        tally: Arc<Mutex<Tally>>,
        mut finish: watch::Receiver<()>,
    ) {
        let (reader, writer) = tokio::io::split(self.stream);
        let (answers, to_answer) = mpsc::unbounded_channel();
        let mut heard = Heard::default();
        let (close, closed) = oneshot::channel();
        let writing = write(writer, &plan, clock, &tally, to_answer, closed);
        let mut is_lost = false;
        let listening = async {
            let listening = listen(reader, clock, &tally, &mut heard, answers);
            tokio::pin!(listening);
            tokio::select! {
                lost = &mut listening => {
                    is_lost = true;
                    tally.lock().lost(lost.to_string());
                    drop(close);
                }
                // An abandoned test ends it too.
                _ = finish.changed() => {
                    drop(close);
                    // The other side's close frame ends it, or any other end of the connection.
                    let _ = time::timeout(CLOSE_TIMEOUT, listening).await;
                }
            }
        };
        let (written, ()) = tokio::join!(writing, listening);
        if let Err(error) = written
            && !is_lost
        {
            tally.lock().lost(error.to_string());
        }
        tally.lock().close(heard);
    }
}

/// Sends the messages of the plan at their times, answers pings, and ends with a close frame.
async fn write(
    mut writer: WriteHalf<TokioIo<Upgraded>>,
    plan: &Plan,
    clock: Clock,
    tally: &Mutex<Tally>,
    mut to_answer: mpsc::UnboundedReceiver<Bytes>,
    mut closed: oneshot::Receiver<Infallible>,
) -> std::io::Result<()> {
    let mut out = Vec::new();
    let mut due = plan.start;
    let mut sequence = 0;
    loop {
        out.clear();
        tokio::select! {
            () = time::sleep_until(due.into()), if due < plan.end => {
                let stamp = Stamp {
                    sender: plan.number,
                    sequence,
                    due: clock.at(due),
                };
                let message = plan.message.replace(PAYLOAD, &clock.write(stamp, plan.size));
                // Counted before anybody can receive it.
                tally.lock().sent(plan.number);
                encode_masked(Opcode::Text, message.as_bytes(), rand::random(), &mut out);
                sequence += 1;
                due += plan.interval;
            }
            Some(ping) = to_answer.recv() => {
                encode_masked(Opcode::Pong, &ping, rand::random(), &mut out);
            }
            // Nothing is ever sent: it ends when the other half drops its end.
            _ = &mut closed => {
                let code = CloseCode::NORMAL.as_u16().to_be_bytes();
                encode_masked(Opcode::Close, &code, rand::random(), &mut out);
                return writer.write_all(&out).await;
            }
        }
        writer.write_all(&out).await?;
    }
}

/// Counts messages until the connection ends.
async fn listen(
    mut reader: ReadHalf<TokioIo<Upgraded>>,
    clock: Clock,
    tally: &Mutex<Tally>,
    heard: &mut Heard,
    answers: mpsc::UnboundedSender<Bytes>,
) -> Lost {
    let mut decoder = Decoder::new(Role::Client, Limits::message(MESSAGE_LIMIT));
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    loop {
        buffer.clear();
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return Lost::Cut,
            Ok(_) => {}
            Err(error) => return error.into(),
        }
        let now = clock.at(Instant::now());
        let mut bytes = &mut buffer[..];
        loop {
            let message = match decoder.decode(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Event::Text(text))) => text.into_owned().into_bytes(),
                Ok(Some(Event::Binary(data))) => data.into_owned(),
                Ok(Some(Event::Ping(payload))) => {
                    // Nobody answers when the connection is being closed.
                    let _ = answers.send(Bytes::from(payload.into_owned()));
                    continue;
                }
                Ok(Some(Event::Pong(_))) => continue,
                Ok(Some(Event::Close(frame))) => return Lost::closed(frame),
                Err(error) => return error.into(),
            };
            if let Some(stamp) = clock.find(&message) {
                tally.lock().received(heard, stamp, now);
            }
        }
    }
}

impl Lost {
    fn closed(frame: Option<CloseFrame>) -> Self {
        let (code, reason) = match &frame {
            Some(frame) => (frame.code(), frame.reason()),
            None => (CloseCode::NO_STATUS, ""),
        };
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        Self::Closed { code, reason }
    }
}
