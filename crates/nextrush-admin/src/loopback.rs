//! The check of development mode that a request is for a name of this machine.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nextrush::ErrorCode;

use crate::refusal::Refusal;

/// A middleware that refuses requests for the name of another host than this machine, with 403.
///
/// For routes of development that are open to everybody on this machine, on a server that listens on
/// a loopback address: a foreign web page whose name was made to resolve to that (DNS rebinding) gets
/// nothing.
///
/// ```
/// use axum::middleware::from_fn;
/// use axum::{Router, routing::get};
///
/// let routes = Router::<()>::new()
///     .route("/dev", get(async || "a token"))
///     .layer(from_fn(nextrush_admin::only_this_machine));
/// ```
pub async fn only_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if host.is_some_and(|host| is_loopback(host.host())) {
        return next.run(request).await;
    }
    let message = "development mode is for this machine only";
    Refusal::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message).into_response()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
