//! The health of an application, wherever its routes are.

use std::time::Duration;

use nextrush::App;
use nextrush::testing::Network;
use nextrush_admin::health;
use serde_json::json;

use crate::support::get;

#[tokio::test(start_paused = true)]
async fn health_is_told_at_the_root_and_below_a_path_until_clients_are_sent_away() {
    let mut app = App::new();
    app.merge(health(&app));
    app.nest("/internal", health(&app));
    let network = Network::new(app);
    let ok = (200, json!({ "status": "ok" }));
    for path in [
        "/healthz",
        "/readyz",
        "/internal/healthz",
        "/internal/readyz",
    ] {
        assert_eq!(get(&network, "", path).await, ok, "{path}");
    }
    let draining = network.handle().drain(Duration::from_secs(5));
    tokio::pin!(draining);
    let pause = network.advance(Duration::from_millis(10));
    tokio::select! { _ = &mut draining => {}, () = pause => {} }
    let (status, health) = get(&network, "", "/healthz").await;
    assert_eq!((status, health), (503, json!({ "status": "draining" })));
    let unready = json!({ "status": "unready", "reasons": ["draining"] });
    assert_eq!(get(&network, "", "/internal/readyz").await, (503, unready));
}

#[tokio::test(start_paused = true)]
async fn an_application_with_a_state_mounts_it_with_that_state_or_before_it_has_it() {
    let mut app = App::<&str>::new();
    app.get("/name", async |name: axum::extract::State<&'static str>| {
        name.0
    });
    let own = health(&app).with_state(());
    app.merge(own);
    let mut app = app.with_state("an application");
    app.nest("/more", health(&app));
    let network = Network::new(app);
    for path in ["/healthz", "/more/healthz"] {
        assert_eq!(get(&network, "", path).await.0, 200, "{path}");
    }
}
