//! Who is connected.

use nextrush::{ConnectionId, Handle, InvalidConnectionId, Socket, Timestamp, User, UserId};
use serde::{Deserialize, Serialize};

/// How many connections are listed unless fewer are asked for.
const LIMIT: usize = 100;
/// The most that can be asked for.
const MOST: usize = 1000;

/// Which connections are asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct List {
    /// Those of this user only.
    user: Option<String>,
    /// Those that come behind this one only.
    after: Option<String>,
    limit: Option<usize>,
    /// Those for which the most waits come first; else by id.
    #[serde(default)]
    slow: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Listed {
    connections: Vec<Connection>,
    /// How many there are in all.
    total: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    id: String,
    endpoint: String,
    user: Option<User>,
    address: Option<String>,
    connected_at: Timestamp,
    rooms: usize,
    backlog_bytes: usize,
}

impl List {
    /// Looks at all connections for those that are asked for, and closer at these only.
    pub(super) fn of(&self, app: &Handle) -> Result<Listed, InvalidConnectionId> {
        let sockets = match &self.user {
            Some(user) => of_user(app, user),
            None => app.local_sockets(),
        };
        let mut sockets: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                (
                    if self.slow { socket.buffered() } else { 0 },
                    socket.id(),
                    socket,
                )
            })
            .collect();
        sockets.sort_unstable_by(|(more, one, _), (less, other, _)| {
            less.cmp(more).then(one.cmp(other))
        });
        sockets.dedup_by_key(|(_, id, _)| *id);
        let total = sockets.len();
        let start = match &self.after {
            Some(after) => self.start_after(&sockets, after.parse()?),
            None => 0,
        };
        let limit = self.limit.unwrap_or(LIMIT).min(MOST);
        let listed = sockets.iter().skip(start).take(limit);
        Ok(Listed {
            connections: listed.map(|(_, _, socket)| describe(socket)).collect(),
            total,
        })
    }

    /// Where to go on. One that is gone by now leaves its place, unless the order is that of
    /// what waits, where nothing tells the place: then from the beginning.
    fn start_after(&self, sockets: &[(usize, ConnectionId, Socket)], after: ConnectionId) -> usize {
        let found = sockets.iter().position(|(_, id, _)| *id == after);
        match found {
            Some(position) => position + 1,
            None if self.slow => 0,
            None => sockets.partition_point(|(_, id, _)| *id < after),
        }
    }
}

/// A user's id in a query is a number or a text: both are meant.
fn of_user(app: &Handle, user: &str) -> Vec<Socket> {
    let mut sockets = app.user(&user.into()).local_members();
    if let Ok(number) = serde_json::from_str::<UserId>(user) {
        sockets.extend(app.user(&number).local_members());
    }
    sockets
}

fn describe(socket: &Socket) -> Connection {
    Connection {
        id: socket.id().to_string(),
        endpoint: socket.endpoint().to_owned(),
        user: socket.user(),
        address: socket.address().map(|address| address.to_string()),
        connected_at: socket.connected_at(),
        rooms: socket.membership_count(),
        backlog_bytes: socket.buffered(),
    }
}
