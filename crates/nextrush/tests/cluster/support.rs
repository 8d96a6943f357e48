//! The application that the tests serve, its clients, and runs by seeds.

use axum::extract::Path;
use nextrush::broker::NodeName;
use nextrush::room::Reached;
use nextrush::testing::{Client, Cluster, Network};
use nextrush::{App, Authenticated, ChatServer, Handle, Message, RoomName, Socket, User};

pub(crate) fn name(name: &str) -> NodeName {
    NodeName::try_from(name).unwrap()
}

/// An application in which a client names its user and the rooms that it joins.
pub(crate) fn routes(mut app: App) -> App {
    let chat = ChatServer::new(&app, "chat");
    app.ws(
        "/rooms/:user/:rooms",
        async |socket: Socket, Path((user, rooms)): Path<(String, String)>| {
            for room in rooms.split(',') {
                socket.join(room)?;
            }
            socket.identify(User::new(&*user, ""))?;
            socket.on_message(|socket: Socket, message: Message| {
                let text = message.to_string();
                let (rooms, said) = text.split_once(' ').unwrap();
                let rooms = socket.app().rooms(rooms.split(','));
                rooms.except(&socket).send(said);
            });
            Ok::<(), nextrush::room::JoinError>(())
        },
    );
    app.ws(
        "/sessions/:user/:session",
        |socket: Socket, Path((user, session)): Path<(String, String)>| {
            let user = User::new(&*user, "");
            Authenticated::from(user).session(session).admit(&socket);
        },
    );
    app.ws(
        "/chat/:user",
        async move |socket: Socket, Path(user): Path<String>| {
            let user = User::new(&*user, "");
            let identified = socket.identify(user.clone());
            if identified.is_ok() {
                chat.connect(&socket, RoomName::new("room").unwrap(), user)
                    .await;
            }
        },
    );
    app
}

pub(crate) fn cluster(nodes: &[&str]) -> Cluster {
    Cluster::new(1, nodes.iter().copied(), |builder| routes(builder.build()))
}

pub(crate) async fn join(node: &Network, path: &str) -> Client {
    let client = node.connect(path).await.unwrap();
    // The others hear of its rooms.
    node.settle().await;
    client
}

pub(crate) fn taken(client: &mut Client) -> Vec<String> {
    let texts = std::iter::from_fn(|| client.try_recv());
    texts.map(|message| message.to_string()).collect()
}

/// Calls something of a node's handle while all nodes run.
pub(crate) async fn on<T>(cluster: &Cluster, node: &str, act: impl AsyncFnOnce(&Handle) -> T) -> T {
    let node = cluster.node(node);
    cluster.run_until(act(node.handle())).await
}

pub(crate) fn all(sockets: usize) -> Reached {
    let mut reached = Reached::default();
    reached.sockets = sockets;
    reached
}

/// Runs a model for each seed, or for the one that the variable `SEED` names.
pub(crate) fn for_each_seed<F: Future<Output = ()>>(seeds: u64, run: impl Fn(u64) -> F) {
    let one = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(0..seeds, |seed| seed..seed + 1);
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        println!("SEED={seed} runs this alone");
        runtime.block_on(run(seed));
    }
}
