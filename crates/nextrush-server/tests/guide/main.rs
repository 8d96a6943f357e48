//! The guide's endpoints of the program, held to the same tests as the programs in `examples/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "the tests of nextrush use more")]
#[path = "../../../nextrush/tests/it/schema.rs"]
mod schema;
#[allow(dead_code, unreachable_pub, reason = "the tests of nextrush use more")]
#[path = "../../../nextrush/tests/it/support.rs"]
mod support;

#[path = "../../../nextrush/tests/guide/authentication.rs"]
mod authentication;
#[path = "../../../nextrush/tests/guide/basic_usage.rs"]
mod basic_usage;
#[path = "../../../nextrush/tests/guide/error_handling.rs"]
mod error_handling;
#[allow(unreachable_pub, reason = "the tests of nextrush use more")]
#[path = "../../../nextrush/tests/guide/live_chat.rs"]
mod live_chat;
#[path = "../../../nextrush/tests/guide/live_updates.rs"]
mod live_updates;
#[path = "../../../nextrush/tests/guide/route_parameters.rs"]
mod route_parameters;

use clap::Parser;
use nextrush::Server;
use nextrush_server::{Cli, Config, app};

async fn server() -> Server {
    let cli = Cli::parse_from([
        "nextrush",
        "--open-endpoints",
        "--jwt-secret",
        support::SECRET,
    ]);
    let app = app(&Config::new(cli).unwrap()).await.unwrap();
    support::serve(app).await
}
