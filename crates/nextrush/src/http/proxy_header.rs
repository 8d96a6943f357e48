//! The PROXY protocol: the header before all else in which a proxy tells who its client is.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first bytes of a header of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2 and the command of a proxy that speaks for itself. What follows is to be ignored, the family of
/// addresses too (§2.2 of the specification), which the parser would refuse where it does not fit.
const LOCAL: u8 = 0x20;
/// The longest header of version 1, with its end of line.
const LINE: usize = 107;
/// The longest header of version 2, its first 16 bytes included. The addresses take 216 of it, and what
/// balancers add some hundred.
const LONGEST: usize = 4096;

/// Reads a header and not a byte more, so that the stream is as if the client had connected itself.
/// Returns the client's address; `None` if the proxy speaks for itself, or for a client without an
/// address.
///
/// # Errors
///
/// Fails when the stream does not begin with a header.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<SocketAddr>> {
    // The shortest of version 1 has 15 bytes.
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(16, 0);
        stream.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if header.len() + rest > LONGEST {
            return Err(malformed());
        }
        header.resize(16 + rest, 0);
        stream.read_exact(&mut header[16..]).await?;
        if header[12] == LOCAL {
            return Ok(None);
        }
    } else if header.starts_with(b"PROXY ") {
        // Byte by byte, as nothing tells its length: at most 95 more.
        while !header.ends_with(b"\r\n") {
            if header.len() == LINE {
                return Err(malformed());
            }
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(malformed());
    }
    let (parsed, length) =
        ProxyHeader::parse(&header, ParseConfig::default()).map_err(|_| malformed())?;
    if length != header.len() {
        return Err(malformed());
    }
    Ok(parsed.proxied_address().map(|address| address.source))
}

fn malformed() -> io::Error {
    let message = "the connection does not begin with a header of the PROXY protocol";
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    async fn read_all(sent: &[u8]) -> io::Result<(Option<SocketAddr>, Vec<u8>)> {
        let mut stream = sent;
        let client = read(&mut stream).await?;
        Ok((client, stream.to_vec()))
    }

    /// A header of version 2 with a command, a family and what follows.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    const OF_V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

    #[tokio::test]
    async fn the_client_is_told_and_nothing_behind_the_header_is_read() {
        let mut of_v6 = [0; 36];
        of_v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        of_v6[15] = 1;
        of_v6[33] = 7;
        let with_more = [&OF_V4[..], &[0x04, 0, 2, 0, 0]].concat();
        for (header, client) in [
            (
                b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n".to_vec(),
                Some("192.0.2.1:4660"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 7 80\r\n".to_vec(),
                Some("[2001:db8::1]:7"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n".to_vec(), None),
            (v2(1, 0x11, &OF_V4), Some("192.0.2.1:4660")),
            (v2(1, 0x11, &with_more), Some("192.0.2.1:4660")),
            (v2(1, 0x21, &of_v6), Some("[2001:db8::1]:7")),
            // A proxy that asks for itself.
            (v2(0, 0, &[]), None),
            (v2(0, 0x11, &OF_V4), None),
            (v2(0, 0x11, &[]), None),
            (v2(0, 0x77, &[1]), None),
        ] {
            for behind in [&b"GET / HTTP/1.1\r\n"[..], b"", b"\r\n"] {
                let sent = [&header, behind].concat();
                let (told, left) = read_all(&sent).await.unwrap();
                let expected = client.map(|client| client.parse().unwrap());
                assert_eq!(told, expected, "{header:?}");
                assert_eq!(left, behind, "{header:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
        for sent in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n more",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 70000 80\r\n",
            b"PROXY NONSENSE\r\n",
            long.as_bytes(),
            b"PROXY TCP4 192.0",
            b"PROXY",
            b"",
            &v2(1, 0x11, &OF_V4[..11]),
            &v2(1, 0x11, &[0; 4096]),
            &v2(1, 0x11, &OF_V4)[..20],
            &v2(7, 0x11, &OF_V4),
        ] {
            let read = read_all(sent).await;
            assert!(read.is_err(), "{read:?}: {}", String::from_utf8_lossy(sent));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_refused_whatever_follows(
            begin in prop_oneof![
                Just(b"PROXY ".to_vec()),
                Just(b"PROXY TCP4 ".to_vec()),
                Just(v2(1, 0x11, &OF_V4)),
                Just(SIGNATURE.to_vec()),
            ],
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let sent = [begin, rest].concat();
            let read = |sent: &[u8]| read_all(sent).now_or_never().expect("all is there");
            if let Ok((client, left)) = read(&sent) {
                prop_assert!(sent.ends_with(&left));
                let more = [&sent[..], b"more"].concat();
                let (same, behind) = read(&more).unwrap();
                prop_assert_eq!(client, same);
                prop_assert_eq!(behind, [&left[..], b"more"].concat());
            }
        }
    }
}
