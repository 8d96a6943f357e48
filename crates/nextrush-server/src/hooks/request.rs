//! The hook that answers requests of clients.

use std::time::Duration;

use nextrush::{ErrorCode, ErrorMessage, Socket};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Hooks;
use super::backend::Failure;
use super::channels::Asking;

/// The time by which the backend's own is over for certain.
const MARGIN: Duration = Duration::from_secs(1);

#[derive(Serialize)]
#[serde(tag = "type", rename = "request")]
struct Call<'a> {
    message: &'a RawValue,
    #[serde(flatten)]
    client: Asking<'a>,
}

impl Hooks {
    /// Hands the backend the messages of a socket that nothing else takes.
    pub(crate) fn answer_requests(&self, socket: &Socket) {
        let Some(backend) = self.request.clone() else {
            return;
        };
        let deadline = backend.timeout() + MARGIN;
        socket.on_request_within(
            deadline,
            async move |socket: Socket, message: Box<RawValue>| {
                let user = socket.user();
                let call = Call {
                    message: &message,
                    client: Asking::new(&socket, user.as_ref()),
                };
                match backend.ask::<Box<RawValue>>(&call).await {
                    Ok(answer) => answer,
                    Err(failure @ Failure::NotBegun) => Err(failure.to_refusal()),
                    // Who sends it again may have it done twice.
                    Err(Failure::Unknown) => Err(ErrorMessage::new(
                        ErrorCode::InDoubt,
                        "The outcome is unknown",
                    )),
                }
            },
        );
    }
}
