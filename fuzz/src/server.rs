use std::cell::RefCell;

use axum::Router;
use axum::body::Body;
use clap::Parser as _;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use nextrush_server::{Cli, Config};
use serde_json::Value;
use tokio::runtime::{self, Runtime};
use tower::ServiceExt as _;

pub(crate) const KEY: &str = "the key of the API, of 32 bytes or more";
const SECRET: &str = "a secret for fuzzing, of thirty-two bytes or more";

/// The server's application in memory, as a function from requests to answers.
pub(crate) struct Server {
    runtime: Runtime,
    router: Router,
}

impl Server {
    /// The application of these arguments.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let always = ["nextrush", "--no-store", "--shards", "1"];
        let cli = Cli::parse_from(always.iter().chain(arguments));
        let config = Config::new(cli).expect("the configuration is right");
        let app = runtime.block_on(nextrush_server::app(&config));
        let router = {
            let _entered = runtime.enter();
            app.expect("the application can be built").into_router()
        };
        Self { runtime, router }
    }

    /// The application with a secret and a key of the API.
    pub(crate) fn with_api() -> Self {
        Self::new(&["--jwt-secret", SECRET, "--api-key", KEY])
    }

    /// The answer to a request: its status, and its body if that is JSON.
    pub(crate) fn ask(&self, request: Request<Body>) -> (StatusCode, Option<Value>) {
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await;
            let (head, body) = answer.expect("a router does not fail").into_parts();
            let body = body.collect().await.expect("the answer is whole");
            (head.status, serde_json::from_slice(&body.to_bytes()).ok())
        })
    }

    /// Runs something beside the application, on its runtime.
    pub(crate) fn beside<T>(&self, run: impl Future<Output = T>) -> T {
        self.runtime.block_on(run)
    }
}

/// The promises of a refusal: a status that is not its own fault, and an error with a code.
pub(crate) fn check_refusal(status: StatusCode, body: Option<&Value>) {
    assert!(
        status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE,
        "{status}: {body:?}"
    );
    let body = body.expect("a refusal is JSON");
    assert_eq!(body["type"], "error", "{body}");
    let code = body["code"].as_str();
    assert!(code.is_some_and(|code| !code.is_empty()), "{body}");
    // A backend may say nothing for people.
    assert!(body["message"].is_string(), "{body}");
}

/// Runs with a server that is made once for each thread.
pub(crate) fn with<T: 'static>(
    place: &'static std::thread::LocalKey<RefCell<Option<T>>>,
    make: impl FnOnce() -> T,
    run: impl FnOnce(&mut T),
) {
    place.with_borrow_mut(|made| run(made.get_or_insert_with(make)));
}
