//! The example of the guide's "Basic WebSocket Usage".

use nextrush::Server;

use crate::support::serve;

#[path = "../../../../examples/basic_usage.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[path = "../guide/basic_usage.rs"]
mod suite;

async fn server() -> Server {
    serve(example::app()).await
}
