//! A WebSocket client on a blocking `TcpStream` that echoes all messages, for the Autobahn
//! suite to judge the client's role.
//!
//! `cargo run --release -p nextrush-protocol --example echo_client -- 127.0.0.1:9001` runs
//! all cases of the suite's fuzzing server at that address, several at a time, and lets it
//! write its report. `tools/autobahn` does this and reads the report.

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::{
    CloseFrame, Decoder, DeflateConfig, DeflateContext, Event, FrameHead, Inflater, Limits, Opcode,
    Role, encode_masked,
};

/// The number of cases at a time, as most of them wait more than they work.
const AT_A_TIME: usize = 8;
/// The longest message of the suite (case 9.1.6).
const LONGEST_MESSAGE: usize = 16 * 1024 * 1024;
const LONGEST_HEAD: usize = 16 * 1024;
/// The time after which a silent server is given up.
const PATIENCE: Duration = Duration::from_secs(60);

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let address = env::args().nth(1).ok_or("usage: echo_client ADDRESS")?;
    // The server has the choice, and asks for something else in each of its cases.
    let deflate = DeflateConfig::default()
        .server_no_context_takeover(false)
        .client_no_context_takeover(false);
    let connect = |path: &str| Client::connect(&address, path, deflate);

    let mut count = String::new();
    connect("/getCaseCount")?.run(|event| {
        if let Event::Text(text) = event {
            count = text.to_string();
        }
        false
    })?;
    let count = count.parse()?;

    let next = AtomicUsize::new(1);
    let go_through = || loop {
        let case = next.fetch_add(1, Ordering::Relaxed);
        if case > count {
            break;
        }
        let client = connect(&format!("/runCase?case={case}&agent=nextrush"));
        // The suite judges the case: some end with a broken connection.
        if let Err(error) = client.and_then(|client| Ok(client.run(|_| true)?)) {
            eprintln!("case {case} of {count}: {error}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(go_through);
        }
    });
    connect("/updateReports?agent=nextrush")?.run(|_| false)?;
    Ok(())
}

/// An open connection.
struct Client {
    stream: TcpStream,
    decoder: Decoder,
    inflater: Inflater,
    deflate: Option<DeflateContext>,
    /// The received bytes that are not decoded yet.
    received: Vec<u8>,
    /// The bytes to be written.
    outgoing: Vec<u8>,
}

impl Client {
    fn connect(address: &str, path: &str, config: DeflateConfig) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;

        let opening = Opening::new(rand::random()).deflate(config);
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        for (name, value) in &opening.headers() {
            request.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        request.extend(b"\r\n");
        stream.write_all(&request)?;

        let (status, headers, received) = read_answer(&mut stream)?;
        let agreed = opening.verify(status, &headers)?;
        let mut decoder = Decoder::new(Role::Client, Limits::message(LONGEST_MESSAGE));
        if let Some(params) = agreed.deflate {
            decoder = decoder.with_deflate(params);
        }
        let deflate = agreed.deflate;
        Ok(Self {
            stream,
            decoder,
            inflater: Inflater::new(),
            deflate: deflate.map(|params| DeflateContext::new(Role::Client, params, &config)),
            received,
            outgoing: Vec::new(),
        })
    }

    /// Runs until the server ends the connection, and echoes the events that `each` selects.
    fn run(mut self, mut each: impl FnMut(&Event<'_>) -> bool) -> io::Result<()> {
        let mut received = std::mem::take(&mut self.received);
        let mut length = received.len();
        received.resize(64 * 1024, 0);
        loop {
            let mut input = &mut received[..length];
            loop {
                match self.decoder.decode_with(&mut input, &mut self.inflater) {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        let says_back = each(&event);
                        self.answer(&event, says_back);
                    }
                    Err(error) => {
                        self.close(Some(&CloseFrame::new(
                            error.close_code(),
                            error.to_string(),
                        )));
                    }
                }
            }
            self.stream.write_all(&self.outgoing)?;
            self.outgoing.clear();

            // The server ends the connection (RFC 6455 §7.1.1). After both closes it does not
            // matter how.
            length = match self.stream.read(&mut received) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(_) if self.decoder.is_finished() => return Ok(()),
                Err(error) => return Err(error),
            };
        }
    }

    fn answer(&mut self, event: &Event<'_>, says_back: bool) {
        match event {
            Event::Text(text) if says_back => self.send(Opcode::Text, text.as_bytes()),
            Event::Binary(data) if says_back => self.send(Opcode::Binary, data),
            Event::Text(_) | Event::Binary(_) | Event::Pong(_) => {}
            Event::Ping(payload) => self.write(Opcode::Pong, payload),
            Event::Close(close) => self.close(close.as_ref()),
        }
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let deflated = self.deflate.as_mut().and_then(|it| it.deflate(payload));
        match deflated {
            Some(deflated) => self.write(FrameHead::from(opcode).compressed(true), &deflated),
            None => self.write(opcode, payload),
        }
    }

    fn close(&mut self, close: Option<&CloseFrame>) {
        let payload = close.map_or_else(Vec::new, |close| {
            let code = close.code().as_u16().to_be_bytes();
            [&code, close.reason().as_bytes()].concat()
        });
        self.write(Opcode::Close, &payload);
    }

    fn write(&mut self, head: impl Into<FrameHead>, payload: &[u8]) {
        encode_masked(head, payload, rand::random(), &mut self.outgoing);
    }
}

/// The head of the answer, and the bytes behind it.
fn read_answer(stream: &mut TcpStream) -> Result<(StatusCode, HeaderMap, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let length = stream.read(&mut piece)?;
        if length == 0 || bytes.len() > LONGEST_HEAD {
            return Err("no answer to the request".into());
        }
        bytes.extend_from_slice(&piece[..length]);

        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        if let httparse::Status::Complete(end) = answer.parse(&bytes)? {
            let status = StatusCode::from_u16(answer.code.unwrap_or_default())?;
            let mut map = HeaderMap::new();
            for header in answer.headers {
                let name = HeaderName::from_bytes(header.name.as_bytes())?;
                map.append(name, HeaderValue::from_bytes(header.value)?);
            }
            return Ok((status, map, bytes.split_off(end)));
        }
    }
}
