//! Requests of the server to many clients, over all nodes.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{BoxFuture, join};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Stream, StreamExt};
use nextrush_broker::{Answered, Asked, BrokerError, NodeName};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use super::asked::{RequestError, Response, bytes_of, value_of};
use super::untaken::{Place, Untaken};
use crate::message::UserId;
use crate::node::line::{DEADLINE, Line};
use crate::socket::acts::{add_up, answer_of, sockets_of};
use crate::socket::audience::Audience;
use crate::socket::handle::{Handle, WeakHandle};
use crate::socket::{ConnectionId, Socket};

/// The kind of the questions by which a node lets others ask their sockets.
const REQUEST: &str = "nr.request";
/// The kind of the questions that bring responses to the node that wants them.
const RESPONSES: &str = "nr.responses";
/// The bytes of responses after which a node passes on what it has.
const BATCH_BYTES: usize = 64 * 1024;
/// The time for which the first response of a batch waits for others.
const BATCH_TIME: Duration = Duration::from_millis(20);

/// A response to a request to an [`Audience`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AudienceAnswer<T> {
    /// The node of the socket.
    pub node: NodeName,
    /// The socket, unique among those of its node.
    pub socket: ConnectionId,
    /// The socket's [user](Socket::user).
    pub user: Option<UserId>,
    /// The response: [`RequestError::Refused`] or [`RequestError::Invalid`] where it is none that
    /// was wanted.
    pub result: Result<T, RequestError>,
}

/// The sockets that have not responded to a request to an [`Audience`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Silent {
    /// The number of sockets that were asked and have not responded in time, or have closed; or
    /// whose response was dropped.
    pub sockets: usize,
    /// The number of those whose response came and was dropped, as too much
    /// [waited](Answers::waiting_bytes) already.
    pub dropped: usize,
    /// The nodes of which nobody knows whether all of their sockets have responded, by name.
    pub unanswered: Vec<NodeName>,
    /// `true` if the other nodes could not be known, as while the shared broker is away.
    pub others_unknown: bool,
}

/// The responses to a request to an [`Audience`], in the order in which they come.
///
/// A [`Stream`] that ends when all have responded, and at the timeout. Dropped before that, it
/// drops what comes later. Of responses that are not taken 16 MiB [wait](Self::waiting_bytes).
#[must_use = "responses are taken one by one"]
pub struct Answers<T> {
    received: UnboundedReceiver<Received>,
    /// Asks, until all is done.
    asking: Option<BoxFuture<'static, Silent>>,
    silent: Silent,
    untaken: Arc<Untaken>,
    read: fn(Received) -> AudienceAnswer<T>,
}

impl<T> Answers<T> {
    /// Sets the bytes of responses that may wait to be taken. Default: 16 MiB, each response counting
    /// 64 bytes more than it says. What comes beyond that is dropped, and counts as
    /// [silent](Silent::dropped). Counted on this node, and on each other one with the default for what
    /// waits to be passed on from there.
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle) -> Result<(), nextrush::BoxError> {
    /// use std::time::Duration;
    ///
    /// let photos = app.room("team").request::<String>("photo", "", Duration::from_secs(10))?;
    /// let mut photos = photos.waiting_bytes(64 * 1024 * 1024);
    /// # photos.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn waiting_bytes(self, bytes: usize) -> Self {
        self.untaken.set_limit(bytes);
        self
    }

    /// The next response; `None` when no more comes. Cancel safe.
    pub async fn next(&mut self) -> Option<AudienceAnswer<T>> {
        StreamExt::next(self).await
    }

    /// The sockets that have not responded; complete when the last response was taken.
    #[must_use]
    pub fn silent(&self) -> &Silent {
        &self.silent
    }
}

impl<T> Stream for Answers<T> {
    type Item = AudienceAnswer<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(asking) = &mut self.asking
            && let Poll::Ready(silent) = asking.poll_unpin(context)
        {
            self.silent = silent;
            self.asking = None;
        }
        // Ends when `asking` has ended, which owns the senders. Pending may also mean that this
        // task has to let others run.
        let received = ready!(self.received.poll_recv(context));
        Poll::Ready(received.map(self.read))
    }
}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("silent", &self.silent)
            .finish_non_exhaustive()
    }
}

struct Received {
    node: NodeName,
    socket: ConnectionId,
    user: Option<UserId>,
    response: Response,
    /// Given up when the response is taken.
    _place: Option<Place>,
}

impl Received {
    fn read<T: DeserializeOwned>(self) -> AudienceAnswer<T> {
        AudienceAnswer {
            node: self.node,
            socket: self.socket,
            user: self.user,
            result: value_of(self.response),
        }
    }
}

/// A request, as it goes to other nodes.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    /// `None` for every socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<Box<str>>>,
    name: String,
    data: Box<RawValue>,
    timeout_ms: u64,
    /// The number of the request on the node that asks.
    number: u64,
}

/// Responses, as they go back to the node that asks.
#[derive(Deserialize, Serialize)]
struct Batch {
    number: u64,
    responses: Vec<Passed>,
    /// Behind the last response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

/// The numbers of sockets that have responded, and that have not.
#[derive(Deserialize, Serialize)]
struct End {
    responded: usize,
    silent: usize,
    /// The number of the silent that have responded, for whose response there was no room.
    #[serde(default)]
    dropped: usize,
}

#[derive(Deserialize, Serialize)]
struct Passed {
    socket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<PassedError>,
}

#[derive(Deserialize, Serialize)]
struct PassedError {
    code: String,
    message: String,
}

/// The requests of this node that wait for responses from others, by number.
#[derive(Default)]
struct Waiting(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    open: HashMap<u64, Asker>,
}

/// The one who waits for responses from other nodes.
#[derive(Clone)]
struct Asker {
    sender: UnboundedSender<Arrived>,
    untaken: Arc<Untaken>,
}

/// Responses from another node, those for which there was room.
struct Arrived {
    node: NodeName,
    responses: Vec<Received>,
    /// The number of all.
    responded: usize,
    end: Option<End>,
}

/// A number that waits, until this is dropped.
struct Number {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.waiting.0.lock().open.remove(&self.number);
    }
}

impl Audience {
    /// Asks every member something, on all nodes, as [`Socket::request`] asks one. The responses
    /// come as a stream, which waits for `timeout` at most, and for other nodes 2 s more. They are
    /// asked when the stream is first polled, and so the time begins then. At its end it says
    /// [who was silent](Answers::silent).
    ///
    /// ```
    /// # async fn example(app: &nextrush::Handle) -> Result<(), nextrush::BoxError> {
    /// use std::time::Duration;
    ///
    /// let mut answers = app.room("team").request::<u8>("vote", "Pizza?", Duration::from_secs(10))?;
    /// while let Some(answer) = answers.next().await {
    ///     println!("{:?}: {:?}", answer.user, answer.result);
    /// }
    /// println!("{} did not vote", answers.silent().sockets);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails, and asks nobody, when `data` cannot be written as JSON.
    pub fn request<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<Answers<T>, serde_json::Error> {
        let data = to_raw_value(data)?;
        let (sender, received) = unbounded_channel();
        let untaken = Untaken::new();
        let here = self.request_here(name, &data, timeout, &untaken, {
            let node = self.handle().node().clone();
            let sender = sender.clone();
            move |socket, response, place| {
                let received = Received {
                    node: node.clone(),
                    socket: socket.id(),
                    user: socket.user().map(|user| user.id),
                    response,
                    _place: place,
                };
                // Nobody receives any more where the stream was dropped, and this with it.
                let _ = sender.send(received);
            }
        });
        let here_dropped = Arc::clone(&untaken);
        let asking = if self.is_over_nodes() {
            let there = self.request_there(name, data, timeout, &untaken, sender);
            async move {
                let (here, mut silent) = join(here, there).await;
                silent.sockets += here;
                silent.dropped += here_dropped.dropped();
                silent
            }
            .boxed()
        } else {
            here.map(move |sockets| Silent {
                sockets,
                dropped: here_dropped.dropped(),
                ..Silent::default()
            })
            .boxed()
        };
        Ok(Answers {
            received,
            asking: Some(asking),
            silent: Silent::default(),
            untaken,
            read: Received::read,
        })
    }

    /// Asks the members on this node now; resolves with the number of those who are silent.
    fn request_here(
        &self,
        name: &str,
        data: &RawValue,
        timeout: Duration,
        untaken: &Arc<Untaken>,
        receive: impl Fn(&Socket, Response, Option<Place>) + Send + 'static,
    ) -> BoxFuture<'static, usize> {
        let responses = self.local_members().into_iter().map(|socket| {
            let response = socket.ask(name, data, timeout, Some(untaken));
            response.map(move |response| (socket, response))
        });
        let mut responses: FuturesUnordered<_> = responses.collect();
        async move {
            let mut silent = 0;
            while let Some((socket, (response, place))) = responses.next().await {
                match response {
                    Err(RequestError::Timeout | RequestError::Closed) => silent += 1,
                    response => receive(&socket, response, place),
                }
            }
            silent
        }
        .boxed()
    }

    /// Lets other nodes ask their members; resolves with who is silent there.
    fn request_there(
        &self,
        name: &str,
        data: Box<RawValue>,
        timeout: Duration,
        untaken: &Arc<Untaken>,
        sender: UnboundedSender<Received>,
    ) -> BoxFuture<'static, Silent> {
        let app = self.handle().clone();
        let (number, batches) = app.part(Arc::<Waiting>::default).begin(untaken);
        let names = || self.rooms().iter().map(|room| room.name().into()).collect();
        let question = Question {
            rooms: (!self.is_everybody()).then(names),
            name: name.to_owned(),
            data,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            number: number.number,
        };
        let question = serde_json::to_vec(&question).expect("a question has string keys only");
        async move {
            let line = app.line();
            let asked = line.ask(REQUEST, &Asked::All, &question).await;
            let (silent, pending) = begin_silent(line, asked);
            let within = timeout.saturating_add(DEADLINE);
            let silent = collect(silent, pending, batches, within, &sender).await;
            drop(number);
            silent
        }
        .boxed()
    }
}

/// The nodes that do not answer, and the numbers of sockets that the others have asked.
fn begin_silent(
    line: &Line,
    asked: Result<Answered, BrokerError>,
) -> (Silent, HashMap<NodeName, Progress>) {
    let mut pending = HashMap::new();
    if let Ok(answered) = &asked {
        for (node, answer) in &answered.answers {
            if let Some(1..) = sockets_of(answer) {
                pending.insert(node.clone(), Progress::default());
            }
        }
    }
    let reached = add_up(line, 0, asked);
    let silent = Silent {
        sockets: 0,
        dropped: 0,
        unanswered: reached.unanswered,
        others_unknown: reached.others_unknown,
    };
    (silent, pending)
}

/// The responses from a node so far.
#[derive(Default)]
struct Progress {
    responded: usize,
    end: Option<End>,
}

impl Progress {
    /// The end, if all responses have come.
    fn complete(&self) -> Option<&End> {
        let end = self.end.as_ref()?;
        (end.responded == self.responded).then_some(end)
    }
}

/// Passes on the responses from other nodes, until all have come.
async fn collect(
    mut silent: Silent,
    mut pending: HashMap<NodeName, Progress>,
    mut batches: UnboundedReceiver<Arrived>,
    within: Duration,
    sender: &UnboundedSender<Received>,
) -> Silent {
    let begun = Instant::now();
    while !pending.is_empty() {
        let left = within.saturating_sub(begun.elapsed());
        let Ok(Some(arrived)) = tokio::time::timeout(left, batches.recv()).await else {
            break;
        };
        let node = arrived.node;
        let Some(progress) = pending.get_mut(&node) else {
            continue;
        };
        progress.responded += arrived.responded;
        progress.end = arrived.end.or(progress.end.take());
        silent.sockets += arrived.responded - arrived.responses.len();
        for received in arrived.responses {
            // Fails only where the stream was dropped, and this with it.
            let _ = sender.send(received);
        }
        if let Some(end) = progress.complete() {
            silent.sockets += end.silent;
            silent.dropped += end.dropped;
            pending.remove(&node);
        }
    }
    silent.unanswered.extend(pending.into_keys());
    silent.unanswered.sort();
    silent
}

impl Waiting {
    fn begin(self: Arc<Self>, untaken: &Arc<Untaken>) -> (Number, UnboundedReceiver<Arrived>) {
        let (sender, receiver) = unbounded_channel();
        let number = {
            let mut state = self.0.lock();
            state.last += 1;
            let number = state.last;
            let untaken = Arc::clone(untaken);
            state.open.insert(number, Asker { sender, untaken });
            number
        };
        let waiting = self;
        (Number { waiting, number }, receiver)
    }
}

impl Passed {
    fn new(socket: &Socket, response: Response) -> Self {
        let (data, error) = match response {
            Ok(data) => (Some(data), None),
            Err(RequestError::Refused { code, message }) => {
                (None, Some(PassedError { code, message }))
            }
            // No client says anything else.
            Err(error) => (
                None,
                Some(PassedError {
                    code: String::new(),
                    message: error.to_string(),
                }),
            ),
        };
        Self {
            socket: socket.id().to_string(),
            user: socket.user().map(|user| user.id),
            data,
            error,
        }
    }

    /// The response; `None` if there is no room for it, or it cannot be read.
    fn into_received(self, node: &NodeName, untaken: &Arc<Untaken>) -> Option<Received> {
        let response = match self.error {
            Some(PassedError { code, message }) => Err(RequestError::Refused { code, message }),
            None => Ok(self.data.unwrap_or_else(|| RawValue::NULL.to_owned())),
        };
        let socket = self.socket.parse().ok()?;
        Some(Received {
            node: node.clone(),
            socket,
            user: self.user,
            _place: Some(untaken.admit(bytes_of(&response))?),
            response,
        })
    }

    fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.get().len());
        let error = self.error.as_ref();
        let error = error.map_or(0, |error| error.code.len() + error.message.len());
        64 + data + error
    }
}

impl Handle {
    /// Asks this node's sockets what other nodes want to know, and takes what those say.
    pub(in crate::socket) fn answer_requests(&self) {
        let app = self.downgrade();
        self.line().answer(REQUEST, move |from, question| {
            let app = app.upgrade();
            async move {
                // What the asking node has to do itself it does.
                if from.is_this {
                    return Some(answer_of(0));
                }
                let question: Question = serde_json::from_slice(&question).ok()?;
                Some(answer_of(app?.request_for(from.node, question)))
            }
        });
        let app = self.downgrade();
        self.line().answer(RESPONSES, move |from, batch| {
            let app = app.upgrade();
            async move {
                let batch: Batch = serde_json::from_slice(&batch).ok()?;
                app?.take_batch(from.node, batch);
                Some(answer_of(0))
            }
        });
    }

    /// Asks the members on this node for another one; the number of them.
    fn request_for(&self, node: NodeName, question: Question) -> usize {
        let Question {
            rooms,
            name,
            data,
            timeout_ms,
            number,
        } = question;
        let audience = match &rooms {
            Some(rooms) => self.audience_of(rooms),
            None => self.all().local(),
        };
        let sockets = audience.local_len();
        if sockets == 0 {
            return 0;
        }
        let (sender, received) = unbounded_channel();
        let timeout = Duration::from_millis(timeout_ms);
        let untaken = Untaken::new();
        let receive = move |socket: &Socket, response, place| {
            // Fails only where the application has ended.
            let _ = sender.send((Passed::new(socket, response), place));
        };
        let silent = audience.request_here(&name, &data, timeout, &untaken, receive);
        let silent = silent
            .map(move |silent| (silent, untaken.dropped()))
            .boxed();
        tokio::spawn(pass_on(self.downgrade(), node, number, received, silent));
        sockets
    }

    fn take_batch(&self, node: NodeName, batch: Batch) {
        let waiting = self.part(Arc::<Waiting>::default);
        let asker = waiting.0.lock().open.get(&batch.number).cloned();
        let responded = batch.responses.len();
        let is_taken = asker.is_some_and(|Asker { sender, untaken }| {
            let responses = batch.responses.into_iter();
            let responses = responses.filter_map(|passed| passed.into_received(&node, &untaken));
            let arrived = Arrived {
                responses: responses.collect(),
                responded,
                end: batch.end,
                node: node.clone(),
            };
            sender.send(arrived).is_ok()
        });
        if !is_taken {
            (0..responded).for_each(|_| self.late_answers().count_late_response());
        }
    }
}

/// Passes responses on to the node that wants them, many at a time.
async fn pass_on(
    app: WeakHandle,
    node: NodeName,
    number: u64,
    mut received: UnboundedReceiver<(Passed, Option<Place>)>,
    silent: BoxFuture<'static, (usize, usize)>,
) {
    let passing = async {
        let mut responded = 0;
        while let Some((first, place)) = received.recv().await {
            let mut bytes = first.bytes();
            let (mut responses, mut places) = (vec![first], vec![place]);
            let until = Instant::now() + BATCH_TIME;
            while bytes < BATCH_BYTES
                && let Ok(Some((next, place))) = timeout_at(until, received.recv()).await
            {
                bytes += next.bytes();
                responses.push(next);
                places.push(place);
            }
            responded += responses.len();
            let batch = Batch {
                number,
                responses,
                end: None,
            };
            pass(&app, &node, &batch).await;
            drop(places);
        }
        responded
    };
    let ((silent, dropped), responded) = join(silent, passing).await;
    let batch = Batch {
        number,
        responses: Vec::new(),
        end: Some(End {
            responded,
            silent,
            dropped,
        }),
    };
    pass(&app, &node, &batch).await;
}

async fn pass(app: &WeakHandle, node: &NodeName, batch: &Batch) {
    let Some(app) = app.upgrade() else { return };
    let batch = serde_json::to_vec(batch).expect("responses have string keys only");
    let nodes = Asked::Nodes(vec![node.clone()]);
    if let Err(error) = app.line().ask(RESPONSES, &nodes, &batch).await {
        // The node sees that something is missing.
        tracing::debug!(%error, %node, "responses cannot be passed on");
    }
}
