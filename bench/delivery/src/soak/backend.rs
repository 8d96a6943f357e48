//! The backend that the server asks about requests and publications.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;

/// A call, as far as it is answered here.
#[derive(Deserialize)]
struct Call {
    r#type: String,
    #[serde(default)]
    message: Value,
}

/// Serves on a port of its own, as long as the process lives.
pub(super) fn serve() -> Result<SocketAddr, Error> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("the backend's port"))?;
    let addr = listener
        .local_addr()
        .map_err(Error::io("the backend's port"))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The server notices a connection that ends badly.
            thread::spawn(move || answer_all(stream));
        }
    });
    Ok(addr)
}

fn answer_all(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let call: Call = serde_json::from_slice(&body)?;
        let result = match &*call.r#type {
            "request" => json!({ "number": call.message["number"] }),
            _ => json!({}),
        };
        let body = json!({ "result": result }).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    }
}
