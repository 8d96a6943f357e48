//! The list of connections.

use nextrush::message::Timestamp;
use nextrush::node::NodeName;
use nextrush::socket::{ConnectionId, InvalidConnectionId};
use nextrush::{Handle, Socket, User, UserId};
use serde::{Deserialize, Serialize};

/// The number of connections in a list by default.
const LIMIT: usize = 100;
/// The highest number of connections in a list.
const MOST: usize = 1000;

/// A query for connections.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct List {
    /// The node whose connections are listed; all without it, or this one with
    /// [`after`](Self::after), which is an id of one node.
    #[serde(default, skip_serializing)]
    pub(super) node: Option<String>,
    /// The id of the user whose connections are listed; all users without it.
    user: Option<String>,
    /// The id of the connection after which the list begins.
    pub(super) after: Option<String>,
    limit: Option<usize>,
    /// Sorts by the bytes that wait for a connection, the most first; otherwise by id.
    #[serde(default)]
    slow: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Listed {
    connections: Vec<Connection>,
    /// The number of all that match.
    total: usize,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    id: String,
    node: String,
    endpoint: String,
    user: Option<User>,
    address: Option<String>,
    connected_at: Timestamp,
    rooms: usize,
    backlog_bytes: usize,
}

impl List {
    /// Lists the connections that match. Only those of the list are described in full.
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
        let listed = sockets.iter().skip(start).take(self.limit());
        Ok(Listed {
            connections: listed
                .map(|(_, _, socket)| describe(socket, app.node()))
                .collect(),
            total,
        })
    }

    /// Joins the lists of several nodes.
    pub(super) fn joined(&self, answers: Vec<(NodeName, Listed)>) -> Listed {
        let mut all = Listed::default();
        for (_, listed) in answers {
            all.total += listed.total;
            all.connections.extend(listed.connections);
        }
        if self.slow {
            all.connections
                .sort_by_key(|connection| std::cmp::Reverse(connection.backlog_bytes));
        }
        all.connections.truncate(self.limit());
        all
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT).min(MOST)
    }

    /// The index at which the list begins. A connection that is gone still has a place in the
    /// order of ids, but none in that of waiting bytes: that list starts at the beginning.
    fn start_after(&self, sockets: &[(usize, ConnectionId, Socket)], after: ConnectionId) -> usize {
        let found = sockets.iter().position(|(_, id, _)| *id == after);
        match found {
            Some(position) => position + 1,
            None if self.slow => 0,
            None => sockets.partition_point(|(_, id, _)| *id < after),
        }
    }
}

/// The sockets of a user. An id in a query may be a number or a text, so both are looked up.
fn of_user(app: &Handle, user: &str) -> Vec<Socket> {
    let mut sockets = app.user(&user.into()).local_members();
    if let Ok(number) = serde_json::from_str::<UserId>(user) {
        sockets.extend(app.user(&number).local_members());
    }
    sockets
}

fn describe(socket: &Socket, node: &NodeName) -> Connection {
    Connection {
        id: socket.id().to_string(),
        node: node.to_string(),
        endpoint: socket.endpoint().to_owned(),
        user: socket.user(),
        address: socket.address().map(|address| address.to_string()),
        connected_at: socket.connected_at(),
        rooms: socket.membership_count(),
        backlog_bytes: socket.buffered(),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    #[test]
    fn a_list_has_a_hundred_connections_and_a_thousand_at_most() {
        for (asked, most) in [
            ("", 100),
            ("limit=7", 7),
            ("limit=1000", 1000),
            ("limit=1001", 1000),
        ] {
            let address = format!("/api/inspect/connections?{asked}").parse().unwrap();
            let Query(list) = Query::<List>::try_from_uri(&address).unwrap();
            assert_eq!(list.limit(), most, "{asked}");
        }
    }
}
