//! The end of a socket when its token expires.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{Clock, SystemClock};
use nextrush_engine::TimerId;
use nextrush_protocol::CloseCode;

use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;
use crate::socket::identity::Expiry;
use crate::trace::What;

/// The time between two looks at the time of day. Timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(20);

/// Ends the socket when its token is no longer valid, instead of at the time that was set before.
/// `valid_until` in seconds since 1970; `None`: never.
///
/// A clock that is set back meanwhile gives it no more time, and while the machine sleeps time
/// passes: the socket outlives its token by 20 seconds at most after it has woken.
pub(super) fn expire(socket: &Socket, valid_until: Option<u64>) {
    expire_by(socket, valid_until, Arc::new(SystemClock));
}

fn expire_by(socket: &Socket, valid_until: Option<u64>, clock: Arc<dyn Clock>) {
    let end = valid_until.map(|valid_until| {
        let until_ms = valid_until.saturating_mul(1000);
        let left = until_ms.saturating_sub(clock.now_ms());
        let mark = Arc::new(());
        let watch = Watch {
            socket: socket.clone(),
            mark: Arc::clone(&mark),
            until_ms,
            left: Duration::from_millis(left),
            clock,
        };
        Expiry {
            timer: watch.begin(),
            mark,
            valid_until,
        }
    });
    let before = socket.change_identity(|identity| std::mem::replace(&mut identity.expiry, end));
    if let Some(before) = before {
        socket.connection().cancel_timer(before.timer);
    }
}

/// Does what [`expire`] does unless the end that was set before is later. Returns the end in force.
pub(super) fn extend(socket: &Socket, valid_until: Option<u64>) -> Option<u64> {
    let before = socket.change_identity(|identity| identity.expiry.clone());
    match (before, valid_until) {
        (Some(before), Some(until)) if until < before.valid_until => Some(before.valid_until),
        _ => {
            expire(socket, valid_until);
            valid_until
        }
    }
}

/// A wait for the end of a token.
struct Watch {
    socket: Socket,
    mark: Arc<()>,
    /// The end by the time of day.
    until_ms: u64,
    /// The time until then when the wait began, less what has passed.
    left: Duration,
    clock: Arc<dyn Clock>,
}

impl Watch {
    /// Waits for the end or the next look.
    fn begin(self) -> TimerId {
        let connection = self.socket.connection().clone();
        let step = self.left.min(LOOK);
        let run = move || {
            self.look(step);
            None
        };
        connection.set_timer(step, Box::new(run))
    }

    fn look(mut self, passed: Duration) {
        self.left -= passed;
        let socket = self.socket.clone();
        let mark = Arc::clone(&self.mark);
        let is_ours = |expiry: &Expiry| Arc::ptr_eq(&expiry.mark, &mark);
        if self.left.is_zero() || self.clock.now_ms() >= self.until_ms {
            if socket.change_identity(|identity| identity.expiry.as_ref().is_some_and(is_ours)) {
                let code = Cow::Borrowed(ErrorCode::TokenExpired.as_str());
                socket
                    .app()
                    .record()
                    .note_socket(socket.id(), What::Out { code });
                socket.send(ErrorMessage::new(ErrorCode::TokenExpired, "Token expired"));
                socket.close(CloseCode::POLICY_VIOLATION, "Token expired");
            }
            return;
        }
        let timer = self.begin();
        let is_in_force = socket.change_identity(|identity| {
            let expiry = identity.expiry.as_mut().filter(|expiry| is_ours(expiry));
            expiry.map(|expiry| expiry.timer = timer).is_some()
        });
        if !is_in_force {
            socket.connection().cancel_timer(timer);
        }
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use nextrush_broker::ManualClock;

    use super::*;
    use crate::App;
    use crate::testing::{Client, Network};

    const NOW_MS: u64 = 1_800_000_000_000;
    const HOUR: Duration = Duration::from_secs(3600);

    /// A client with a token for an hour.
    async fn admitted() -> (Arc<ManualClock>, Network, Client) {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let mut app = App::new();
        let of_app = Arc::clone(&clock);
        app.ws("/", move |socket: Socket| {
            let until = NOW_MS / 1000 + HOUR.as_secs();
            expire_by(&socket, Some(until), Arc::clone(&of_app) as Arc<dyn Clock>);
        });
        let network = Network::new(app);
        let client = network.connect("/").await.unwrap();
        (clock, network, client)
    }

    async fn assert_expired(client: &mut Client) {
        assert_eq!(client.json().await["code"], "token-expired");
        let code = client.closed().await.unwrap().code();
        assert_eq!(code, CloseCode::POLICY_VIOLATION);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_slept_with_the_machine_outlives_its_token_by_20_seconds() {
        let (clock, network, mut client) = admitted().await;
        clock.set(NOW_MS + 3_600_000);
        network.advance(Duration::from_secs(20)).await;
        assert_expired(&mut client).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_gives_a_socket_no_more_time() {
        let (clock, network, mut client) = admitted().await;
        clock.set(NOW_MS - 7_200_000);
        network.advance(HOUR - Duration::from_secs(1)).await;
        assert!(!client.is_closed());
        network.advance(Duration::from_secs(1)).await;
        assert_expired(&mut client).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_was_replaced_does_not_come() {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let mut app = App::new();
        app.ws("/", move |socket: Socket| {
            for seconds in [30, 50] {
                let until = NOW_MS / 1000 + seconds;
                expire_by(&socket, Some(until), Arc::clone(&clock) as Arc<dyn Clock>);
            }
        });
        let network = Network::new(app);
        let mut client = network.connect("/").await.unwrap();
        network.advance(Duration::from_secs(49)).await;
        assert!(!client.is_closed());
        network.advance(Duration::from_secs(1)).await;
        assert_expired(&mut client).await;
    }
}
