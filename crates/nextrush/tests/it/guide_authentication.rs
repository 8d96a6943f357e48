//! The example of the guide's "Authentication & Authorization".

use nextrush::{Jwt, Server};

use crate::support::{SECRET, serve};

#[path = "../../../../examples/authentication.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[path = "../guide/authentication.rs"]
mod suite;

async fn server() -> Server {
    serve(example::app(Jwt::hs256(SECRET))).await
}
