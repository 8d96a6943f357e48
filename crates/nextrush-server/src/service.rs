//! The service manager: systemd, and whoever speaks as it does.

use std::io;
use std::time::Duration;

use nextrush::Handle;
use nextrush::server::OpenSocket;
use sd_notify::NotifyState;

/// The sockets that the service manager has opened for this process (`LISTEN_FDS`).
///
/// # Errors
///
/// Fails when one of them is no listening socket of TCP or Unix.
pub(crate) fn sockets() -> io::Result<Vec<OpenSocket>> {
    let mut given = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..given.len() {
        let taken = match given.take_tcp_listener(number) {
            Ok(socket) => socket.map(OpenSocket::from),
            Err(_) => given.take_unix_listener(number)?.map(OpenSocket::from),
        };
        sockets.extend(taken);
    }
    Ok(sockets)
}

/// Tells the service manager that the server is ready, and then that it lives and that it
/// ends, until it has ended.
pub(crate) async fn follow(app: Handle, addresses: &str) {
    ready(addresses);
    let watching = async {
        let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
            return std::future::pending().await;
        };
        // Half of the time, as sd_watchdog_enabled(3) advises.
        let mut turns = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
        loop {
            turns.tick().await;
            if app.failure().is_none() {
                tell(&[NotifyState::Watchdog]);
            }
        }
    };
    let ending = async {
        app.draining().await;
        stopping();
        // The watchdog goes on.
        std::future::pending::<()>().await;
    };
    tokio::join!(watching, ending);
}

/// Tells the service manager that the server is ready.
pub(crate) fn ready(addresses: &str) {
    let status = format!("serving on {addresses}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Tells the service manager that the server ends. It may be told twice.
pub(crate) fn stopping() {
    let status = "sending clients away";
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Tells the service manager that the configuration is read again, until the server is
/// [`ready`] once more.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be told of the time"),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
