//! Nodes of an application that mount the same in different places.

use std::time::Duration;

use nextrush::testing::Cluster;
use nextrush::{App, LiveUpdates, Socket};
use nextrush_admin::{HttpApi, Inspector};
use serde_json::json;

use crate::support::{KEY, get, subscribed, ticket};

#[tokio::test(start_paused = true)]
async fn an_answer_is_of_all_nodes_wherever_each_has_its_routes() {
    let cluster = Cluster::new(1, ["a", "b", "plain"], |builder| {
        let mut app: App = builder.build();
        let [live, more] = ["live", "more"].map(|name| LiveUpdates::new(&app, name));
        for (path, live) in [("/live", &live), ("/more", &more)] {
            let live = live.clone();
            app.ws(path, move |socket: Socket| live.connect(&socket));
        }
        let api = HttpApi::new(&app, KEY).live(&live).live(&more).router();
        let inspector = Inspector::new(&app, KEY).live(&live).live(&more).router();
        match app.handle().node().as_str() {
            "a" => {
                app.merge(api).merge(inspector);
            }
            "b" => {
                app.nest("/b", api.merge(inspector));
            }
            // It serves none of it.
            _ => drop((api, inspector)),
        }
        app
    });
    let [a, b, plain] = ["a", "b", "plain"].map(|name| cluster.node(name));
    let _open = [
        subscribed(&a, "/live", "posts").await,
        subscribed(&b, "/live", "posts").await,
        subscribed(&b, "/more", "posts").await,
        subscribed(&plain, "/live", "posts").await,
    ];
    let of = |subscribers: usize| json!([{ "channel": "posts", "subscribers": subscribers }]);
    for (node, below) in [(&a, ""), (&b, "/b")] {
        for (query, subscribers) in [("", 3), ("?live=live", 3), ("?live=more", 1)] {
            let path = format!("{below}/api/v1/channels{query}");
            let expected = json!({ "channels": of(subscribers) });
            assert_eq!(get(node, KEY, &path).await, (200, expected), "{path}");
        }
        // A ticket of one node holds on the others.
        let ticket = ticket(&a, "").await;
        cluster.advance(Duration::from_secs(2)).await;
        let path = format!("{below}/api/inspect/nodes");
        let (_, listed) = get(node, &ticket, &path).await;
        let nodes = listed["nodes"].as_array().unwrap();
        let connections = |name: &str| {
            let mut nodes = nodes.iter().filter(|node| node["node"] == name);
            nodes
                .next()
                .map(|node| node["sample"]["connections"].clone())
        };
        assert_eq!(connections("a"), Some(json!(1)), "{listed}");
        assert_eq!(connections("b"), Some(json!(2)), "{listed}");
        let (_, channels) = get(node, &ticket, &format!("{below}/api/inspect/channels")).await;
        let expected = json!([
            { "live": "live", "channel": "posts", "subscribers": 2 },
            { "live": "more", "channel": "posts", "subscribers": 1 },
        ]);
        assert_eq!(channels["channels"], expected);
        assert_eq!(channels["unanswered"], json!(["plain"]));
    }
}
