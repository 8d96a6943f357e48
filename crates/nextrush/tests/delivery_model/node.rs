//! The processes that serve the application, and the stores behind them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use axum::extract::{Path, Query};
use axum::{Extension, Json};
use http::StatusCode;
use nextrush::broker::{
    Broker, EmbeddedBroker, EmbeddedOptions, ManualClock, MemoryBroker, MemoryLimits, OpenError,
};
use nextrush::limits::EngineConfig;
use nextrush::live::{ChannelPolicies, ChannelPolicy, PublishContext, SubscribeContext};
use nextrush::testing::{Cluster, Network};
use nextrush::{
    App, AppBuilder, Authenticated, ChatServer, Jwt, LiveUpdates, RoomName, Since, Socket, User,
};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::application::{Application, DEADLINE};
use super::channels::{CHANNELS, Channel, Kind, OWN};
use super::hesitant::{Hesitant, Process};
use super::jwt;
use super::oracle::{IDLE, Oracle};
use super::outbox::Run;

/// The names of nodes; the first is that of a node that is alone.
pub const NODES: [&str; 2] = ["a", "b"];

/// A process with the application.
pub struct Node {
    pub name: &'static str,
    pub network: Network,
    pub live: LiveUpdates,
    pub chat: ChatServer,
    pub process: Arc<Process>,
}

/// The parts that nodes are made of.
#[derive(Clone)]
pub struct Parts {
    pub application: Application,
    pub oracle: Oracle,
    pub shards: NonZeroUsize,
    pub has_threads: bool,
}

/// An application that is not on a network yet.
struct Made {
    live: LiveUpdates,
    chat: ChatServer,
    process: Arc<Process>,
}

/// Several nodes on one store.
pub struct Nodes {
    pub cluster: Cluster,
    made: Rc<RefCell<BTreeMap<&'static str, Made>>>,
}

impl Nodes {
    pub fn new(seed: u64, parts: Parts) -> Self {
        let made = Rc::<RefCell<BTreeMap<_, _>>>::default();
        let into = Rc::clone(&made);
        let cluster = Cluster::new(seed, [], move |builder: AppBuilder| {
            let (app, name, node) = parts.make(builder, None);
            into.borrow_mut().insert(name, node);
            app
        });
        Self { cluster, made }
    }

    pub fn start(&self, name: &'static str) -> Node {
        let network = self.cluster.start(name);
        let made = self.made.borrow_mut().remove(name);
        made.expect("it was made just now").on(name, network)
    }
}

impl Node {
    /// A node alone on its broker.
    pub fn alone(parts: &Parts, broker: &Arc<dyn Broker>) -> Self {
        let (app, name, made) = parts.make(App::builder(), Some(broker));
        made.on(name, Network::new(app))
    }
}

impl Made {
    fn on(self, name: &'static str, network: Network) -> Node {
        let Self {
            live,
            chat,
            process,
        } = self;
        Node {
            name,
            network,
            live,
            chat,
            process,
        }
    }
}

impl Parts {
    /// An application over its own broker, or else over the one that its builder has.
    fn make(
        &self,
        builder: AppBuilder,
        own: Option<&Arc<dyn Broker>>,
    ) -> (App, &'static str, Made) {
        let mut process = None;
        let mut name = NODES[0];
        let builder = builder.wrap_broker(|given| {
            let inner = own.map_or(given, Arc::clone);
            let known = inner.bus().map(|bus| bus.node().to_string());
            let is_named = |name: &&str| known.as_ref().is_some_and(|known| known == name);
            name = NODES.into_iter().find(is_named).unwrap_or(name);
            let process = process.insert(Arc::new(Process::new(inner)));
            Arc::new(Hesitant {
                node: name,
                has_threads: self.has_threads,
                process: Arc::clone(process),
                oracle: self.oracle.clone(),
                times: self.application.times().clone(),
            })
        });
        let config = EngineConfig::default().shards(self.shards);
        let mut app = builder.engine(config).build();
        app.jwt(jwt());
        let live = self.serve_live(&mut app);
        let chat = serve_chat(&mut app);
        let made = Made {
            live,
            chat,
            process: process.expect("the broker was wrapped"),
        };
        (app, name, made)
    }

    fn serve_live(&self, app: &mut App) -> LiveUpdates {
        let mut channels = ChannelPolicies::new().deadline(DEADLINE);
        for channel in &CHANNELS {
            channels = channels.policy(channel.pattern(), self.policy(channel));
        }
        let live = LiveUpdates::builder()
            .policies(channels)
            .user_channel(CHANNELS[OWN].pattern())
            .build(app, "live");
        let (connect, application) = (live.clone(), self.application.clone());
        app.ws(
            "/live",
            move |socket: Socket, user: Authenticated, Extension(jwt): Extension<Jwt>| {
                user.admit(&socket);
                socket.filter(jwt.refresh());
                let application = application.clone();
                socket.on_request_within(DEADLINE, async move |_: Socket, request: Request| {
                    let Request::Run(run) = request;
                    application.run(run).await
                });
                connect.connect(&socket);
            },
        );
        let publish = live.clone();
        app.post(
            "/publish/:channel",
            async move |Path(channel): Path<String>, Json(data): Json<Value>| match publish
                .publish(&channel, &data)
                .await
            {
                Ok(_) => StatusCode::OK,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
        );
        live
    }

    fn policy(&self, channel: &Channel) -> ChannelPolicy {
        let policy = ChannelPolicy::new().slow_readers(channel.slow_readers);
        let policy = match channel.kept {
            Some((count, age)) => policy.history(count, age),
            None => policy,
        };
        let policy = match channel.kind {
            Kind::Rows => policy.key("/row"),
            _ => policy,
        };
        if !channel.is_stored() {
            return policy;
        }
        let kind = channel.kind;
        let [rule, hook, load] = std::array::from_fn(|_| self.application.clone());
        policy
            .may_subscribe(async move |context: SubscribeContext| rule.may_subscribe(context).await)
            .on_subscribe(async move |context: SubscribeContext| load.load(kind, context).await)
            .on_publish(async move |context: PublishContext| hook.on_publish(context).await)
    }
}

/// A request of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Request {
    Run(Run),
}

fn serve_chat(app: &mut App) -> ChatServer {
    let chat = ChatServer::new(app, "chat");
    let connect = chat.clone();
    app.ws(
        "/chat/:room",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    Query(Who { user }): Query<Who>| {
            let email = format!("{user}@example.com");
            let user = User::new(user, email);
            connect.connect(&socket, room, user).since(since).await;
        },
    );
    chat
}

#[derive(Deserialize)]
struct Who {
    user: String,
}

pub fn open(
    directory: Option<&TempDir>,
    clock: &Arc<ManualClock>,
) -> Result<Arc<dyn Broker>, OpenError> {
    let clock = Arc::clone(clock);
    let Some(directory) = directory else {
        let limits = MemoryLimits::default().idle(IDLE);
        let builder = MemoryBroker::builder().limits(limits).clock(clock);
        return Ok(Arc::new(builder.build()));
    };
    // So small that histories are read from the disk again and again.
    let options = EmbeddedOptions::default().cache_bytes(2000);
    let broker = EmbeddedBroker::builder(directory)
        .options(options)
        .clock(clock)
        .open()?;
    Ok(Arc::new(broker))
}
