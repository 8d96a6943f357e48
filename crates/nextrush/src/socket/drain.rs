//! Sending clients away so that they come back one after another.

use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::Asked;
use nextrush_protocol::CloseCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::message::Outgoing;
use crate::socket::Socket;
use crate::socket::handle::Handle;

/// The kind of the questions whose turn it is.
const DRAIN: &str = "nr.drain";
/// The longest time that clients are told to wait for those of other nodes.
const LONGEST: Duration = Duration::from_secs(30);
/// The age from which a node knows of all who are draining.
const GROWN: Duration = Duration::from_secs(60);

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

/// The time at which the clients of all nodes that were drained will have come back, as this node
/// knows it.
struct Drains {
    begun: Instant,
    end: Mutex<Instant>,
}

/// A node that sends its clients away asks when they may come back.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Draining {
    window_ms: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    after_ms: u64,
    /// The time for which the node that answers has been living.
    age_ms: u64,
}

impl Drains {
    /// Gives a node its turn.
    fn next(&self, window: Duration) -> Turn {
        let now = Instant::now();
        let mut end = self.end.lock();
        let after = end.saturating_duration_since(now);
        *end = now + after.min(LONGEST) + window;
        Turn {
            after_ms: whole_ms(after),
            age_ms: whole_ms(now - self.begun),
        }
    }
}

impl Handle {
    /// Answers other nodes when their clients may come back.
    pub(super) fn answer_drains(&self) {
        let now = Instant::now();
        let drains = Arc::new(Drains {
            begun: now,
            end: Mutex::new(now),
        });
        self.line().answer(DRAIN, move |_, question| {
            let draining = serde_json::from_slice::<Draining>(&question).ok();
            let turn =
                draining.map(|draining| drains.next(Duration::from_millis(draining.window_ms)));
            std::future::ready(turn.and_then(|turn| Some(serde_json::to_vec(&turn).ok()?.into())))
        });
    }

    /// The time after which this node's clients may come back, so that they don't come together
    /// with those of other nodes.
    ///
    /// All nodes are asked, so that all know of each other, and all take the answer of the same
    /// one, which gives the turns one after the other: the first by name that has lived for a
    /// minute.
    pub(super) async fn turn_to_drain(&self, window: Duration) -> Duration {
        if !self.line().is_shared() {
            return Duration::ZERO;
        }
        let draining = Draining {
            window_ms: whole_ms(window),
        };
        let question = serde_json::to_vec(&draining).expect("a number is plain");
        let turns: Vec<Turn> = match self.line().ask(DRAIN, &Asked::All, &question).await {
            Ok(answered) => answered
                .answers
                .iter()
                .filter_map(|(_, answer)| serde_json::from_slice(answer).ok())
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "other nodes do not know that this one is drained");
                Vec::new()
            }
        };
        let is_grown = |turn: &&Turn| turn.age_ms >= whole_ms(GROWN);
        let turn = turns.iter().find(is_grown).or_else(|| turns.first());
        turn.map_or(Duration::ZERO, |turn| {
            Duration::from_millis(turn.after_ms).min(LONGEST)
        })
    }
}

/// Closes the sockets, each with its own time to come back, evenly over the window after a time.
pub(crate) fn send_away(sockets: &[Socket], after: Duration, window: Duration) {
    let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX).max(1);
    for (number, socket) in (0..count).zip(sockets) {
        let after_ms = whole_ms(after) + delay_ms(window, number, count);
        if socket.data::<IsTold>().is_some() {
            let reconnect = Outgoing::json(&Reconnect { after_ms });
            socket.send(reconnect.expect("a number can be written as JSON"));
        }
        socket.close(CloseCode::SERVICE_RESTART, &reason(after_ms));
    }
}

/// The place of one of `count` in the window.
fn delay_ms(window: Duration, number: u32, count: u32) -> u64 {
    whole_ms(window.mul_f64(f64::from(number) / f64::from(count)))
}

fn whole_ms(duration: Duration) -> u64 {
    // A day is more than any client waits, and no sum of two overflows.
    let day = Duration::from_secs(24 * 60 * 60);
    u64::try_from(duration.min(day).as_millis()).unwrap_or_default()
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
        assert!(
            reason(2 * whole_ms(Duration::MAX)).len() <= nextrush_protocol::CloseFrame::MAX_REASON
        );
    }

    #[test]
    fn recorded_messages_of_version_1_are_read() {
        let draining = serde_json::from_str::<Draining>(r#"{"windowMs":5000}"#).unwrap();
        assert_eq!(draining.window_ms, 5000);
        let turn = serde_json::from_str::<Turn>(r#"{"afterMs":250,"ageMs":60000}"#).unwrap();
        assert_eq!((turn.after_ms, turn.age_ms), (250, 60_000));
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_get_their_turns_one_after_the_other_and_nobody_waits_for_ever() {
        let now = Instant::now();
        let drains = Drains {
            begun: now,
            end: Mutex::new(now),
        };
        let window = Duration::from_secs(20);
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(drains.next(window).after_ms);
        }
        // 30 s are the most that clients are told to wait beside the window.
        assert_eq!(turns, [0, 20_000, 40_000, 50_000]);
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(drains.next(window).after_ms, 0);
    }
}
