//! The simulated network that an application is tested on.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::header::{HOST, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, Request, StatusCode};
use nextrush_engine::sim;
use nextrush_protocol::handshake::client::Opening;
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt as _;

use super::client::{Client, Reader};
use crate::app::App;
use crate::socket::handle::Handle;
use crate::upgrade::simulated;

/// The bytes that may be on the way to a client: about as much as the kernels of both sides
/// take.
const WINDOW: usize = 256 * 1024;
/// The longest body of a refusal in bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// The resolution of tokio's timers.
pub(super) const MOMENT: Duration = Duration::from_millis(1);

/// An application on a simulated network.
///
/// A cheap handle; clones are the same network. It ends with the last one, its clients
/// included, and all connections with it, as if the process had ended.
#[derive(Clone)]
pub struct Network(Rc<Inner>);

struct Inner {
    router: Router,
    handle: Handle,
    /// `None` after the node has ended as by a crash.
    simulated: RefCell<Option<sim::Network>>,
    is_paused: Cell<bool>,
    neighbours: Neighbours,
    readers: RefCell<Vec<Weak<RefCell<Reader>>>>,
    begun: Instant,
    connected: Cell<u16>,
}

/// The answer to a handshake was no upgrade.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("refused with {status}: {body}")]
#[non_exhaustive]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// The body, which is JSON where the framework refuses.
    pub body: String,
}

impl Network {
    /// Serves an application, from the time that it is now.
    ///
    /// # Panics
    ///
    /// Panics if the application has had a connection already, or is closed.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self::beside(app, &Neighbours::default())
    }

    /// Serves an application that runs together with others.
    pub(super) fn beside(app: App, neighbours: &Neighbours) -> Self {
        let handle = app.handle().clone();
        let simulated = sim::Network::of(handle.engine());
        handle.join_nodes_later();
        let simulated = simulated.expect("an application that was not served before");
        let inner = Rc::new(Inner {
            router: app.into_router(),
            handle,
            simulated: RefCell::new(Some(simulated)),
            is_paused: Cell::new(false),
            neighbours: neighbours.clone(),
            readers: RefCell::default(),
            begun: Instant::now(),
            connected: Cell::new(0),
        });
        neighbours.0.borrow_mut().push(Rc::downgrade(&inner));
        Self(inner)
    }

    /// Lets its sockets and handlers stand still, or go on.
    pub(super) fn set_paused(&self, is_paused: bool) {
        self.0.is_paused.set(is_paused);
    }

    /// Ends it as if the process had ended, whoever still has it.
    pub(super) fn end(&self) {
        drop(self.0.simulated.take());
        self.0.read();
    }

    /// The application's live side.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }

    /// Connects a client to the WebSocket route of this path, which may have a query. The
    /// route's handler has been called when this returns.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the answer is no upgrade.
    ///
    /// # Panics
    ///
    /// Panics if it is no path, and as [`connect_with`](Self::connect_with).
    pub async fn connect(&self, path: &str) -> Result<Client, Refused> {
        let request = Request::get(path).body(());
        self.connect_with(request.expect("a path")).await
    }

    /// The same with a request of your own: with headers, or with extensions that a layer
    /// would have added. `Host`, where it is missing, is `localhost`; what the handshake
    /// needs is added. Subprotocols are offered by the header `Sec-WebSocket-Protocol`.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the answer is no upgrade.
    ///
    /// # Panics
    ///
    /// Panics if the answer is an upgrade and no handshake of RFC 6455 §4.2.2.
    pub async fn connect_with(&self, request: Request<()>) -> Result<Client, Refused> {
        let number = self.0.connected.get().wrapping_add(1);
        self.0.connected.set(number);
        let mut nonce = [0; 16];
        nonce[..2].copy_from_slice(&number.to_le_bytes());
        let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let offers = offers.filter_map(|value| value.to_str().ok());
        let offers = offers.flat_map(|value| value.split(',').map(str::trim));
        let opening = offers.fold(Opening::new(nonce), Opening::protocol);

        let (client, pipe) = sim::pipe();
        client.set_window(WINDOW);
        let mut request = request.map(|()| Body::empty());
        request.headers_mut().extend(opening.headers());
        simulated::offer(pipe, request.extensions_mut());
        let response = self.request(request).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Refused {
                status: response.status(),
                body: text_of(response).await,
            });
        }
        opening
            .verify(response.status(), response.headers())
            .expect("the server answers a handshake as RFC 6455 says");
        let reader = Rc::new(RefCell::new(Reader::new(client)));
        self.0.readers.borrow_mut().push(Rc::downgrade(&reader));
        // The endpoint's handler has begun when this returns.
        self.turn();
        Ok(Client::new(self.clone(), reader))
    }

    /// Makes a plain HTTP request. `Host`, where it is missing, is `localhost`.
    pub async fn request(&self, mut request: Request<Body>) -> Response {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().entry(HOST).or_insert(host);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, self.0.connected.get()));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = self.0.router.clone().oneshot(request);
        let Ok(response) = self.run_until(answered).await;
        response
    }

    /// Lets sockets and handlers run until `future` is done.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.0.neighbours.run_until(future).await
    }

    /// Lets everything happen that can happen now, which takes a millisecond. Complete only
    /// where tokio's clock is paused.
    pub async fn settle(&self) {
        self.advance(MOMENT).await;
    }

    /// Lets so much time pass, and everything happen in it.
    pub async fn advance(&self, duration: Duration) {
        self.run_until(sleep(duration)).await;
    }

    /// Lets sockets and handlers do what they can do now, and clients read it.
    fn turn(&self) {
        self.0.neighbours.turn();
    }
}

impl Inner {
    /// Lets sockets and handlers take a turn, and clients read; `false` if there was nothing to
    /// do.
    fn step(&self) -> bool {
        let mut has_turned = false;
        if let Some(simulated) = &mut *self.simulated.borrow_mut()
            && !self.is_paused.get()
        {
            simulated.set_elapsed(self.begun.elapsed());
            has_turned = simulated.step();
        }
        // Whoever has read has made room for more, and may have answered.
        self.read() || has_turned
    }

    fn read(&self) -> bool {
        let mut has_read = false;
        self.readers.borrow_mut().retain(|reader| {
            let Some(reader) = reader.upgrade() else {
                return false;
            };
            has_read |= reader.borrow_mut().read_if_willing();
            true
        });
        has_read
    }
}

/// The networks that run together.
#[derive(Clone, Default)]
pub(super) struct Neighbours(Rc<RefCell<Vec<Weak<Inner>>>>);

impl Neighbours {
    /// Lets all of them run until `future` is done.
    pub(super) async fn run_until<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            loop {
                self.turn();
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(output);
                }
                let mut next = None::<Instant>;
                let mut has_rest = true;
                for network in self.running() {
                    let simulated = network.simulated.borrow();
                    let Some(simulated) = &*simulated else {
                        continue;
                    };
                    has_rest &= simulated.wait(context.waker());
                    let turn = simulated.next_turn().map(|turn| network.begun + turn);
                    next = next.into_iter().chain(turn).min();
                }
                if !has_rest {
                    continue;
                }
                let Some(next) = next else {
                    return Poll::Pending;
                };
                timer.as_mut().reset(next);
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Lets them do what they can do now.
    fn turn(&self) {
        let step = |network: &Rc<Inner>| usize::from(network.step());
        // Each gets a turn before the first gets another.
        while self.running().iter().map(step).sum::<usize>() > 0 {}
    }

    /// The networks that have not ended and are not paused.
    fn running(&self) -> Vec<Rc<Inner>> {
        let mut networks = self.0.borrow_mut();
        networks.retain(|network| network.strong_count() > 0);
        networks
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|network| !network.is_paused.get())
            .collect()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("handle", &self.0.handle)
            .finish_non_exhaustive()
    }
}

async fn text_of(response: Response) -> String {
    let body = to_bytes(response.into_body(), BODY_LIMIT).await;
    String::from_utf8_lossy(&body.unwrap_or_default()).into_owned()
}
