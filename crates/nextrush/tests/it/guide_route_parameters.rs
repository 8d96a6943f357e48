//! The example of the guide's "WebSocket with Route Parameters".

use nextrush::Server;

use crate::support::serve;

#[path = "../../../../examples/route_parameters.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[path = "../guide/route_parameters.rs"]
mod suite;

async fn server() -> Server {
    serve(example::app()).await
}
