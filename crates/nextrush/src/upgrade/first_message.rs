//! Sockets whose clients say in their first message who they are.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use nextrush_protocol::CloseCode;
use tokio::time::timeout;

use crate::auth::{AuthRejection, FirstToken, TokenMessage};
use crate::http::connection::Admitted;
use crate::http::traffic::Busy;
use crate::message::{ErrorCode, ErrorMessage, Refused};
use crate::socket::handler::Open;
use crate::socket::{ConnectionState, Socket};
use crate::upgrade::endpoint::Endpoint;

/// The longest refusal that is passed on.
const TEXT_LIMIT: usize = 16 * 1024;

/// The opening of a socket whose token is awaited: what the endpoint extracts from the request, and what
/// it does then, has time until the token has come.
pub(super) fn opening<F, M, S>(
    endpoint: Arc<F>,
    mut request: Parts,
    state: S,
    allowed: TokenMessage,
) -> Open
where
    F: Endpoint<S, M>,
    M: 'static,
    S: Send + Sync + 'static,
{
    // These count the request while it is answered, which it is.
    request.extensions.remove::<OnUpgrade>();
    request.extensions.remove::<Admitted>();
    request.extensions.remove::<Busy>();
    Box::new(move |socket: Socket| {
        let first = socket.first_message();
        Some(Box::pin(async move {
            let message = match timeout(allowed.within, first).await {
                Ok(Ok(message)) => message,
                // The socket has closed.
                Ok(Err(_)) => return,
                Err(_) => return refuse_late(&socket),
            };
            let Some(token) = FirstToken::read(&message) else {
                return AuthRejection::MissingToken.reject(&socket);
            };
            drop(message);
            request.extensions.insert(token);
            // Extractors are at home on the threads of tokio: they may take long, and a socket's
            // thread has others to serve.
            let extracted =
                tokio::spawn(async move { endpoint.extract(&mut request, &state).await });
            match extracted.await {
                Ok(Ok(open)) if socket.state() == ConnectionState::Open => {
                    socket.admit();
                    if let Some(work) = open(socket) {
                        work.await;
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(refused)) => refuse(&socket, refused).await,
                Err(error) => {
                    tracing::error!(endpoint = socket.endpoint(), %error, "an extractor panicked");
                    socket.close(CloseCode::INTERNAL_ERROR, "");
                }
            }
        }))
    })
}

fn refuse_late(socket: &Socket) {
    let message = "No token came in time";
    socket.send(ErrorMessage::new(ErrorCode::AuthenticationTimeout, message));
    socket.close(CloseCode::TIMEOUT, message);
}

/// Passes on the refusal of an extractor.
async fn refuse(socket: &Socket, refused: Response) {
    let (parts, body) = refused.into_parts();
    let code = match parts.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            CloseCode::TRY_AGAIN_LATER
        }
        status if status.is_server_error() => CloseCode::INTERNAL_ERROR,
        _ => CloseCode::POLICY_VIOLATION,
    };
    let body = to_bytes(body, TEXT_LIMIT).await.unwrap_or_default();
    match serde_json::from_slice::<ErrorMessage>(&body) {
        Ok(message) => {
            let reason = message.to_string();
            socket.send(message);
            socket.close(code, &reason);
        }
        // A refusal of the application's own form.
        Err(_) => {
            if let Some(refused) = parts.extensions.get::<Refused>() {
                socket.app().tally().refused(*refused);
            }
            if let Ok(text) = std::str::from_utf8(&body)
                && !text.is_empty()
            {
                socket.send(text);
            }
            let reason = parts.status.canonical_reason().unwrap_or_default();
            socket.close(code, reason);
        }
    }
}
