//! The inspector's page by itself.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use nextrush::App;
use nextrush::testing::Network;
use nextrush_admin::Inspector;

use crate::support::{KEY, fetch};

fn network(below: Option<&str>) -> Network {
    let mut app: App = App::new();
    let inspector = Inspector::new(&app, KEY).router();
    match below {
        Some(path) => app.nest(path, inspector),
        None => app.merge(inspector),
    };
    Network::new(app)
}

/// The addresses in a file of the page, as the browser resolves them against that of the file.
fn addresses(file: &str, text: &str) -> Vec<String> {
    let begins: &[&str] = match file.rsplit_once('.') {
        Some((_, "js")) => &["from '", "import '", "import('"],
        _ => &["src=\"", "href=\""],
    };
    let ends = ['\'', '"', '#'];
    let found = begins.iter().flat_map(|begin| text.split(begin).skip(1));
    let found = found.filter_map(|rest| rest.split(ends).next());
    let found = found.filter(|address| !address.is_empty() && !address.contains(' '));
    let folder = file.rsplit_once('/').unwrap().0;
    found
        .map(|address| {
            if address.starts_with('/') {
                return address.to_owned();
            }
            let mut parts: Vec<&str> = folder.split('/').collect();
            for part in address.split('/') {
                match part {
                    "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            parts.join("/")
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn all_that_the_page_loads_is_there_wherever_it_is_mounted() {
    for below in [None, Some("/ops/team")] {
        let network = network(below);
        let start = format!("{}/inspect/", below.unwrap_or_default());
        let mut seen = BTreeSet::from([start.clone()]);
        let mut open = vec![start.clone()];
        while let Some(address) = open.pop() {
            let request = Request::get(&address).body(Body::empty()).unwrap();
            let (status, headers, text) = fetch(&network, request).await;
            assert_eq!(status, 200, "{address}");
            assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
            let has_addresses = address == start || address.ends_with(".js");
            for address in has_addresses
                .then(|| addresses(&address, &text))
                .into_iter()
                .flatten()
            {
                assert!(address.starts_with(&start), "{address}");
                if seen.insert(address.clone()) {
                    open.push(address);
                }
            }
        }
        for file in [
            "page/inspect-view.js",
            "page/style.css",
            "client/live-client.js",
        ] {
            assert!(seen.contains(&format!("{start}{file}")), "{file}: {seen:?}");
        }
        // Read by the modules themselves.
        for file in ["page/index.html", "page/icons.svg"] {
            let request = Request::get(format!("{start}{file}")).body(Body::empty());
            assert_eq!(fetch(&network, request.unwrap()).await.0, 200, "{file}");
        }
        // The rest of the server program's page is not, and no link elsewhere is followed.
        for file in ["page/main.js", "page/..%2fLICENSE", "client/..%2fLICENSE"] {
            let request = Request::get(format!("{start}{file}")).body(Body::empty());
            assert_eq!(fetch(&network, request.unwrap()).await.0, 404, "{file}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_opens_the_address_of_the_sockets_is_led_to_the_page() {
    let network = network(Some("/ops"));
    let request = Request::get("/ops/inspect").header(header::ACCEPT, "text/html,*/*;q=0.8");
    let (status, headers, _) = fetch(&network, request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (status, &headers[header::LOCATION]),
        (307, &"inspect/".parse().unwrap())
    );
    // The client asks so why a handshake was refused.
    let request = Request::get("/ops/inspect").header(header::ACCEPT, "*/*");
    let (status, ..) = fetch(&network, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, 426);
    let mut socket = network.connect("/ops/inspect").await.unwrap();
    assert_eq!(socket.json().await["code"], "authentication-required");
}

#[tokio::test(start_paused = true)]
async fn without_its_page_the_inspector_has_its_other_routes() {
    let mut app: App = App::new();
    app.merge(Inspector::new(&app, KEY).without_page().router());
    let network = Network::new(app);
    for (path, expected) in [("/inspect/", 404), ("/inspect", 426), ("/api/inspect", 200)] {
        let request = Request::get(path).header(header::ACCEPT, "text/html");
        let (status, ..) = fetch(&network, request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, expected, "{path}");
    }
}
