//! A server on several addresses, and on Unix sockets.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use nextrush::server::{BoundAddr, ListenAddr};
use nextrush::{App, Error, Message, Server, Socket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Theirs;

use crate::support::within;
#[cfg(feature = "tls")]
use crate::tls::certified;

fn app() -> App {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        let address = socket.address().map(|address| address.to_string());
        socket.send(address.unwrap_or("no address".to_owned()));
        socket.on_message(|socket: Socket, message: Message| {
            socket.send(message);
        });
    });
    app.get("/scheme", async |headers: http::HeaderMap| {
        let scheme = headers.get("x-forwarded-proto");
        scheme.map_or("none".to_owned(), |it| it.to_str().unwrap().to_owned())
    });
    app
}

/// A client that hears its address, says something and hears it.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: S, address: &str) {
    let (mut client, _) = within(client_async("ws://localhost/", stream))
        .await
        .unwrap();
    let welcome = within(client.next()).await.unwrap().unwrap();
    assert_eq!(welcome, Theirs::text(address));
    for said in ["hello".to_owned(), "x".repeat(60_000)] {
        client.send(Theirs::text(said.clone())).await.unwrap();
        assert_eq!(
            within(client.next()).await.unwrap().unwrap(),
            Theirs::text(said)
        );
    }
}

async fn scheme<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> String {
    let request = b"GET /scheme HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

#[tokio::test]
async fn a_server_listens_on_several_addresses_until_it_closes() {
    let server = app()
        .listen("127.0.0.1:0")
        .and("[::1]:0")
        .and("127.0.0.2:0");
    let server = server.start().await.unwrap();
    let addresses = server.addresses().to_vec();
    assert_eq!(addresses.len(), 3);
    assert_eq!(addresses[0].tcp(), Some(server.address()));
    // Whoever connects to 127.0.0.2 comes from 127.0.0.1.
    for (address, shown) in addresses.iter().zip(["127.0.0.1", "::", "127.0.0.1"]) {
        let stream = TcpStream::connect(address.tcp().unwrap()).await.unwrap();
        talk(stream, shown).await;
    }
    within(server.close()).await;
    for address in addresses {
        let gone = TcpStream::connect(address.tcp().unwrap())
            .await
            .unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused, "{address}");
    }
}

#[tokio::test]
async fn a_name_listens_on_its_addresses_with_one_port() {
    let server = app().listen("localhost:0").start().await.unwrap();
    let ports: Vec<_> = server
        .addresses()
        .iter()
        .filter_map(BoundAddr::tcp)
        .collect();
    assert!(!ports.is_empty());
    for address in ports {
        assert!(address.ip().is_loopback() && address.port() == server.address().port());
        drop(TcpStream::connect(address).await.unwrap());
    }
    let unknown = app().listen("no-such-host.invalid:0").start().await;
    let error = unknown.unwrap_err();
    assert_eq!(error.to_string(), "cannot listen on no-such-host.invalid:0");
}

#[tokio::test]
async fn an_address_that_fails_fails_the_start_and_takes_the_others_back() {
    let hold = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = hold.local_addr().unwrap();
    let started = app().listen("127.0.0.1:0").and(taken).start().await;
    assert!(matches!(
        started.unwrap_err(),
        Error::Bind { addr: ListenAddr::Exactly(addr), .. } if addr == taken
    ));
    let wrong = app().listen("127.0.0.1:0").and("80443").start().await;
    assert!(matches!(wrong.unwrap_err(), Error::Address(_)));
}

#[cfg(unix)]
async fn serve_unix(path: &Path) -> Result<Server, Error> {
    let address = format!("unix:{}", path.display());
    app().listen(&*address).start().await
}

#[cfg(unix)]
#[tokio::test]
async fn sockets_over_a_unix_socket_are_sockets_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nextrush.sock");
    let address = format!("unix:{}", path.display());
    let server = app().listen(&*address).and("127.0.0.1:0");
    // Beyond this limit nobody could come from one address.
    let server = server.connections_per_address(1).start().await.unwrap();
    assert_eq!(server.addresses()[0], BoundAddr::Unix(path.clone()));
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(UnixStream::connect(&path).await.unwrap());
    }
    talk(UnixStream::connect(&path).await.unwrap(), "no address").await;
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    talk(tcp, "127.0.0.1").await;
    drop(idle);
    within(server.close()).await;
    assert!(!path.exists(), "the file goes with the server");
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_without_a_process_is_replaced_and_one_with_a_process_is_not() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nextrush.sock");
    // Left by a process that was killed: the file stays.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = serve_unix(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    talk(UnixStream::connect(&path).await.unwrap(), "no address").await;

    let second = serve_unix(&path).await.unwrap_err();
    assert!(
        matches!(&second, Error::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse),
        "{second:?}"
    );
    talk(UnixStream::connect(&path).await.unwrap(), "no address").await;

    // One that has taken its place is not removed with it.
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    within(server.close()).await;
    assert!(path.exists());

    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let refused = serve_unix(&file).await.unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(source, "there is a file that is no socket");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[cfg(all(unix, feature = "tls"))]
#[tokio::test]
async fn tls_is_for_ports_and_not_for_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nextrush.sock");
    let address = format!("unix:{}", path.display());
    let certified = certified();
    let server = app()
        .listen("127.0.0.1:0")
        .and(&*address)
        .and("127.0.0.2:0");
    let server = server.tls(certified.config.clone()).start().await.unwrap();
    for address in server.addresses().iter().filter_map(BoundAddr::tcp) {
        let connect = async || {
            let stream = TcpStream::connect(address).await.unwrap();
            certified.connect(stream, "http/1.1").await.unwrap()
        };
        let stream = connect().await;
        Box::pin(talk(stream, "127.0.0.1")).await;
        assert_eq!(scheme(connect().await).await, "https");
    }
    talk(UnixStream::connect(&path).await.unwrap(), "no address").await;
    assert_eq!(
        scheme(UnixStream::connect(&path).await.unwrap()).await,
        "none"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_takes_sockets_that_listen_already_and_leaves_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nextrush.sock");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kept = tcp.try_clone().unwrap();
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    // Before anybody serves: it waits in the queue.
    let early = TcpStream::connect(address).await.unwrap();
    let listen = app()
        .listen("127.0.0.1:1")
        .sockets([tcp.into(), unix.into()]);
    let server = listen.start().await.unwrap();
    let expected = [BoundAddr::Tcp(address), BoundAddr::Unix(path.clone())];
    assert_eq!(server.addresses(), expected);
    talk(early, "127.0.0.1").await;
    talk(UnixStream::connect(&path).await.unwrap(), "no address").await;
    within(server.close()).await;
    assert!(path.exists());

    // The next one goes on with the same socket, and whoever came meanwhile is served.
    let meanwhile = TcpStream::connect(address).await.unwrap();
    let server = app()
        .listen(0)
        .sockets([kept.into()])
        .start()
        .await
        .unwrap();
    talk(meanwhile, "127.0.0.1").await;
    within(server.close()).await;
}

/// An application that answers with a text.
fn answering(text: &'static str) -> App {
    let mut app = App::new();
    app.get("/", async move || text);
    app
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Clients that have connected and asked, as far as the kernel knows. Nothing else has run meanwhile.
fn early(address: SocketAddr) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        io::Write::write_all(&mut stream, REQUEST).unwrap();
        stream.set_nonblocking(true).unwrap();
        TcpStream::from_std(stream).unwrap()
    };
    (0..32).map(connect).collect()
}

/// The end of the answer; empty if there is none.
async fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // A reset is no answer either.
    let _ = within(stream.read_to_string(&mut answer)).await;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn clients_in_the_queue_of_a_closing_server_are_answered() {
    let server = answering("here").listen("127.0.0.1:0");
    let server = server.start().await.unwrap();
    let clients = early(server.address());
    within(server.close()).await;
    for client in clients {
        assert_eq!(answer(client).await, "here");
    }
}

#[tokio::test]
async fn clients_in_the_queue_of_a_socket_of_somebody_else_wait_for_the_next_server() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let serving = |text, socket: std::net::TcpListener| {
        answering(text)
            .listen("127.0.0.1:0")
            .sockets([socket.into()])
    };
    let first = serving("first", socket.try_clone().unwrap());
    let first = first.start().await.unwrap();
    let clients = early(first.address());
    within(first.close()).await;
    let second = serving("second", socket).start().await.unwrap();
    for client in clients {
        assert_eq!(answer(client).await, "second");
    }
    within(second.close()).await;
}

#[tokio::test]
async fn a_client_that_has_connected_before_a_server_closes_is_answered() {
    let server = answering("here").listen("127.0.0.1:0");
    let server = server.start().await.unwrap();
    let address = server.address();
    let mut slow = TcpStream::connect(address).await.unwrap();
    // Accepted after the other one.
    let mut next = TcpStream::connect(address).await.unwrap();
    next.write_all(REQUEST).await.unwrap();
    assert_eq!(answer(next).await, "here");
    let closing = tokio::spawn(server.close());
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    within(refused).await;
    slow.write_all(REQUEST).await.unwrap();
    assert_eq!(answer(slow).await, "here");
    within(closing).await.unwrap();
}
