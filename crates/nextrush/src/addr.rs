//! Addresses to listen on, and their texts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest path of a Unix socket in bytes, on every system (`sun_path`).
const UNIX_PATH: usize = 103;

/// An address to listen on.
///
/// As a text: `3000` or `:3000` (a port on every interface), `127.0.0.1:3000`, `[::1]:3000`,
/// `localhost:3000` (all addresses of a name), `unix:/run/nextrush.sock`. Port 0 picks a free one.
///
/// ```
/// use nextrush::server::ListenAddr;
///
/// let address: ListenAddr = ":3000".parse()?;
/// assert_eq!(address, ListenAddr::Port(3000));
/// assert!("localhost".parse::<ListenAddr>().is_err());
/// # Ok::<(), nextrush::server::InvalidAddr>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ListenAddr {
    /// This port on every interface, for IPv6 and IPv4. 0 picks a free one.
    Port(u16),
    /// Exactly this address.
    Exactly(SocketAddr),
    /// All addresses that the name has when the server starts, with this port. Those that this
    /// machine does not have, such as `::1` without IPv6, are left out as long as one remains.
    Name(String, u16),
    /// A Unix socket at this path. A socket that is left there by a process that is gone is
    /// replaced; anything else is an error. The socket's mode is 0666, so that any
    /// user of the machine may connect as to a port on `localhost`; the permissions of its
    /// directory narrow that. The server removes it when it has closed. TLS is not spoken there, as
    /// it is for a proxy on the same machine, and its clients are not counted by address.
    Unix(PathBuf),
}

/// A text that is no [`ListenAddr`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddr {
    /// Nothing that could be an address.
    #[error(
        "{0:?} is no address to listen on: expected a port such as 3000, an address such as \
         127.0.0.1:3000 or localhost:3000, or unix:/run/nextrush.sock"
    )]
    Shape(String),
    /// A port that is none.
    #[error("{0:?} is no port: ports are whole numbers from 0 to 65535")]
    Port(String),
    /// An address without a port.
    #[error("{0:?} has no port: append one, as in {0}:3000")]
    NoPort(String),
    /// An IPv6 address with a port that stands outside of brackets.
    #[error("the IPv6 address of {0:?} stands in brackets, as in [::1]:3000")]
    Brackets(String),
    /// A Unix socket whose path is empty or too long.
    #[error(
        "{0:?} is no path of a Unix socket: it has 1 to 103 bytes, as in unix:/run/nextrush.sock"
    )]
    UnixPath(String),
}

impl FromStr for ListenAddr {
    type Err = InvalidAddr;

    fn from_str(text: &str) -> Result<Self, InvalidAddr> {
        let shape = || InvalidAddr::Shape(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = (1..=UNIX_PATH).contains(&path.len()) && !path.contains('\0');
            return match is_path {
                true => Ok(Self::Unix(path.into())),
                false => Err(InvalidAddr::UnixPath(path.to_owned())),
            };
        }
        if let Ok(addr) = text.parse() {
            return Ok(Self::Exactly(addr));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return port(text).map(Self::Port);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Err(match ip {
                IpAddr::V4(_) => InvalidAddr::NoPort(text.to_owned()),
                IpAddr::V6(_) => InvalidAddr::NoPort(format!("[{text}]")),
            });
        }
        let Some((host, after)) = text.rsplit_once(':') else {
            return Err(match is_host(text) {
                true => InvalidAddr::NoPort(text.to_owned()),
                false => shape(),
            });
        };
        if host.parse::<Ipv6Addr>().is_ok() {
            return Err(InvalidAddr::Brackets(text.to_owned()));
        }
        let in_brackets = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let is_ipv6 = in_brackets.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
        if !host.is_empty() && !is_ipv6 && !is_host(host) {
            return Err(shape());
        }
        match (host, port(after)?) {
            ("" | "*", port) => Ok(Self::Port(port)),
            (host, _) if is_numeric(host) => Err(shape()),
            (host, port) => Ok(Self::Name(host.to_owned(), port)),
        }
    }
}

fn port(text: &str) -> Result<u16, InvalidAddr> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| is_plain)
        .ok_or_else(|| InvalidAddr::Port(text.to_owned()))
}

/// Returns whether a text can be the name of a host (RFC 1123 §2.1), with `_` as many have it.
fn is_host(text: &str) -> bool {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || ".-_".contains(char);
    text == "*" || (!text.is_empty() && text.chars().all(is_plain))
}

/// Returns whether a host is a mistyped IPv4 address and no name.
fn is_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

impl ListenAddr {
    /// True if nobody outside of this machine can connect: a loopback address, `localhost`, or a Unix
    /// socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Port(_) => false,
            Self::Exactly(addr) => addr.ip().to_canonical().is_loopback(),
            Self::Name(name, _) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, ":{port}"),
            Self::Exactly(addr) => addr.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address that a server listens on, with the port it was given.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BoundAddr {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl BoundAddr {
    /// The address of a TCP port.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// The path of a Unix socket.
    #[must_use]
    pub fn unix(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for BoundAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ListenAddr, InvalidAddr> {
        text.parse()
    }

    #[test]
    fn addresses_are_ports_names_numbers_and_paths() {
        let exactly = |text: &str| ListenAddr::Exactly(text.parse().unwrap());
        let name = |name: &str, port| ListenAddr::Name(name.to_owned(), port);
        for (text, expected, is_local) in [
            ("3000", ListenAddr::Port(3000), false),
            (":3000", ListenAddr::Port(3000), false),
            ("*:3000", ListenAddr::Port(3000), false),
            ("0", ListenAddr::Port(0), false),
            ("65535", ListenAddr::Port(65535), false),
            ("127.0.0.1:3000", exactly("127.0.0.1:3000"), true),
            ("[::1]:3000", exactly("[::1]:3000"), true),
            (
                "[::ffff:127.0.0.1]:1",
                exactly("[::ffff:127.0.0.1]:1"),
                true,
            ),
            ("0.0.0.0:80", exactly("0.0.0.0:80"), false),
            ("[::]:80", exactly("[::]:80"), false),
            ("localhost:3000", name("localhost", 3000), true),
            ("LocalHost.:3000", name("LocalHost.", 3000), true),
            ("localhost.example:80", name("localhost.example", 80), false),
            ("chat_1.internal:0", name("chat_1.internal", 0), false),
            (
                "unix:/run/x.sock",
                ListenAddr::Unix("/run/x.sock".into()),
                true,
            ),
            ("unix:x", ListenAddr::Unix("x".into()), true),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read, expected, "{text}");
            assert_eq!(read.is_local(), is_local, "{text}");
            // The text of an address is read as the same address.
            assert_eq!(read.to_string().parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wrong() {
        for (text, expected) in [
            (
                "80443",
                r#""80443" is no port: ports are whole numbers from 0 to 65535"#,
            ),
            (":80443", r#""80443" is no port"#),
            ("127.0.0.1:80443", r#""80443" is no port"#),
            ("localhost:http", r#""http" is no port"#),
            ("localhost:", r#""" is no port"#),
            ("localhost:+1", r#""+1" is no port"#),
            (":", r#""" is no port"#),
            (
                "localhost",
                r#""localhost" has no port: append one, as in localhost:3000"#,
            ),
            ("127.0.0.1", r#"as in 127.0.0.1:3000"#),
            ("::1", r#"as in [::1]:3000"#),
            (
                "1:2:3:4:5:6:7:8:3000",
                "stands in brackets, as in [::1]:3000",
            ),
            ("[::1]:80443", r#""80443" is no port"#),
            ("", r#""" is no address to listen on"#),
            ("http://localhost:3000", "is no address to listen on"),
            ("127.0.0.256:3000", "is no address to listen on"),
            ("127.1:3000", "is no address to listen on"),
            ("/run/nextrush.sock", "or unix:/run/nextrush.sock"),
            ("unix:", "is no path of a Unix socket"),
            ("unix:a\0b", "is no path of a Unix socket"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = format!("unix:/{}", "x".repeat(103));
        assert!(matches!(read(&long), Err(InvalidAddr::UnixPath(_))));
        assert!(read(&long[..long.len() - 1]).is_ok());
    }
}
