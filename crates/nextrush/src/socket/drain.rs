//! Sending clients away so that they come back one after another.

use std::time::Duration;

use nextrush_protocol::CloseCode;
use serde::Serialize;

use crate::message::Outgoing;
use crate::socket::Socket;

/// Marks a socket whose client understands the message `reconnect`, and not only the close
/// frame.
#[derive(Clone, Copy)]
struct IsTold;

#[derive(Serialize)]
#[serde(tag = "type", rename = "reconnect", rename_all = "camelCase")]
struct Reconnect {
    after_ms: u64,
}

impl Socket {
    /// Announces the time to come back in a message as well, `{"type":"reconnect","afterMs":…}`,
    /// before a [drain](crate::Handle::drain) closes the socket; without this it is in the
    /// reason of the close frame alone.
    pub fn tell_reconnect(&self) {
        self.set_data(IsTold);
    }
}

/// Closes the sockets, each with its own time to come back, evenly over the window.
pub(crate) fn send_away(sockets: &[Socket], window: Duration) {
    let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX).max(1);
    for (number, socket) in (0..count).zip(sockets) {
        let after_ms = delay_ms(window, number, count);
        if socket.data::<IsTold>().is_some() {
            let reconnect = Outgoing::json(&Reconnect { after_ms });
            socket.send(reconnect.expect("a number can be written as JSON"));
        }
        socket.close(CloseCode::SERVICE_RESTART, &reason(after_ms));
    }
}

/// The place of one of `count` in the window.
fn delay_ms(window: Duration, number: u32, count: u32) -> u64 {
    let after = window.mul_f64(f64::from(number) / f64::from(count));
    u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
}

fn reason(after_ms: u64) -> String {
    format!("reconnect after {after_ms} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_spread_evenly_over_the_window() {
        let window = Duration::from_secs(10);
        let delays: Vec<u64> = (0..4).map(|number| delay_ms(window, number, 4)).collect();
        assert_eq!(delays, [0, 2500, 5000, 7500]);
        assert_eq!(delay_ms(window, 0, 1), 0);
        assert_eq!(delay_ms(Duration::ZERO, 3, 4), 0);
    }

    #[test]
    fn the_reason_fits_into_a_close_frame() {
        assert_eq!(reason(2500), "reconnect after 2500 ms");
        assert!(reason(u64::MAX).len() <= nextrush_protocol::CloseFrame::MAX_REASON);
    }
}
