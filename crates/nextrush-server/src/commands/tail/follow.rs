//! The position in a followed channel, and the lines to print.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use nextrush::ErrorCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::TailError;
use crate::commands::position::Position;

/// The state of a followed channel, kept across connections.
pub(super) struct Follow {
    channel: String,
    /// The last known publication; `None` before the first answer.
    position: Option<Position>,
    /// True if only the newest update matters: missing ones are no gap.
    latest: bool,
    is_subscribed: bool,
    /// The time after which the server wants this client back.
    wait: Option<Duration>,
}

/// A message of the server. A flat struct, as raw JSON cannot be taken out of a tagged enum.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Incoming<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    epoch: Option<String>,
    offset: Option<u64>,
    recovered: Option<bool>,
    reason: Option<String>,
    #[serde(default)]
    latest: bool,
    /// Any JSON; `Some` for `null` too.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    timestamp: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
    message: Option<String>,
    details: Option<String>,
    code: Option<String>,
    after_ms: Option<u64>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A line to print.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Line<'a> {
    Update {
        channel: String,
        epoch: String,
        offset: u64,
        timestamp: Option<String>,
        data: &'a RawValue,
    },
    /// Publications that are lost to this client.
    Gap {
        channel: String,
        from: u64,
        /// `None` if the end is unknown, as the channel was restarted.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Follow {
    pub(super) fn new(channel: &str, since: Option<Position>) -> Self {
        Self {
            channel: channel.to_owned(),
            position: since,
            latest: false,
            is_subscribed: false,
            wait: None,
        }
    }

    /// The first message of a new connection.
    pub(super) fn subscribe(&self) -> String {
        json!({ "type": "subscribe", "channel": self.channel, "since": self.position }).to_string()
    }

    /// True if the last connection was subscribed.
    pub(super) fn take_is_subscribed(&mut self) -> bool {
        std::mem::take(&mut self.is_subscribed)
    }

    /// The time after which the server wants this client back, if it has said so.
    pub(super) fn take_wait(&mut self) -> Option<Duration> {
        self.wait.take()
    }

    /// Takes a message and returns the lines to print: at most a gap and an update. `None` if
    /// the server cannot read the channel for now.
    pub(super) fn take<'a>(
        &mut self,
        message: Incoming<'a>,
    ) -> Result<Option<Vec<Line<'a>>>, TailError> {
        let lines = match (&*message.r#type, message.epoch, message.offset) {
            ("subscribed", Some(epoch), Some(offset)) => {
                self.is_subscribed = true;
                self.latest = message.latest;
                let top = Position { epoch, offset };
                self.enter(top, message.recovered, message.reason)
            }
            ("update", _, Some(offset)) => match message.data {
                Some(data) => self.update(offset, message.timestamp, data),
                None => Vec::new(),
            },
            ("gap", Some(epoch), _) => match (message.from, message.to) {
                // The client has passed this gap.
                (_, Some(to)) if self.has_seen(&epoch, to) => Vec::new(),
                (Some(from), Some(to)) => {
                    self.position = Some(Position { epoch, offset: to });
                    vec![self.gap(from, Some(to), None)]
                }
                _ => Vec::new(),
            },
            ("error", _, _) => {
                let code = message.code.unwrap_or_default();
                // The store of the server fails, which may be over when this client comes back.
                if code == ErrorCode::Unavailable.as_str() {
                    return Ok(None);
                }
                return Err(TailError::Refused {
                    message: message.message.unwrap_or_default(),
                    details: message.details,
                    code,
                });
            }
            ("reconnect", _, _) => {
                self.wait = message.after_ms.map(Duration::from_millis);
                Vec::new()
            }
            // Messages for clients that do more than listen.
            _ => Vec::new(),
        };
        Ok(Some(lines))
    }

    fn has_seen(&self, epoch: &str, offset: u64) -> bool {
        let known = self.position.as_ref();
        known.is_some_and(|known| known.epoch == epoch && offset <= known.offset)
    }

    fn enter(
        &mut self,
        top: Position,
        recovered: Option<bool>,
        reason: Option<String>,
    ) -> Vec<Line<'static>> {
        match &self.position {
            // The missed updates follow.
            Some(_) if recovered == Some(true) => Vec::new(),
            Some(known) => {
                let from = known.offset.saturating_add(1);
                let to = (known.epoch == top.epoch && from <= top.offset).then_some(top.offset);
                self.position = Some(top);
                vec![self.gap(from, to, reason)]
            }
            None => {
                self.position = Some(top);
                Vec::new()
            }
        }
    }

    fn update<'a>(
        &mut self,
        offset: u64,
        timestamp: Option<String>,
        data: &'a RawValue,
    ) -> Vec<Line<'a>> {
        let Some(known) = &mut self.position else {
            return Vec::new();
        };
        if offset <= known.offset {
            return Vec::new();
        }
        let next = known.offset + 1;
        known.offset = offset;
        let update = Line::Update {
            channel: self.channel.clone(),
            epoch: known.epoch.clone(),
            offset,
            timestamp,
            data,
        };
        if offset > next && !self.latest {
            return vec![self.gap(next, Some(offset - 1), None), update];
        }
        vec![update]
    }

    fn gap(&self, from: u64, to: Option<u64>, reason: Option<String>) -> Line<'static> {
        Line::Gap {
            channel: self.channel.clone(),
            from,
            to,
            reason,
        }
    }
}

impl Line<'_> {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a line has string keys only")
    }
}

/// Writes the line for people.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update { data, .. } => write!(f, "{data}"),
            Self::Gap {
                from, to, reason, ..
            } => {
                write!(f, "a gap: what was published from {from}")?;
                if let Some(to) = to {
                    write!(f, " to {to}")?;
                }
                f.write_str(" is missing")?;
                match reason.as_deref() {
                    Some("epoch") => f.write_str(", as the channel was restarted"),
                    Some("history") => f.write_str(", as the history does not reach back so far"),
                    Some("ahead") => f.write_str(", as the channel was never so far"),
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: &str = "018bcfe5-6800-7abc-8def-0123456789ab";

    /// Takes a message; the lines as people get them.
    fn take(follow: &mut Follow, message: &serde_json::Value) -> Vec<String> {
        let text = message.to_string();
        let message = serde_json::from_str(&text).unwrap();
        let lines = follow.take(message).unwrap().unwrap();
        lines.iter().map(Line::to_string).collect()
    }

    fn subscribed(offset: u64, more: serde_json::Value) -> serde_json::Value {
        let mut message = json!({ "type": "subscribed", "epoch": EPOCH, "offset": offset });
        let fields = more.as_object().unwrap().clone();
        message.as_object_mut().unwrap().extend(fields);
        message
    }

    fn update(offset: u64) -> serde_json::Value {
        json!({ "type": "update", "data": offset, "offset": offset })
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn a_channel_is_followed_from_where_it_is() {
        let mut follow = Follow::new("a", None);
        let expected = json!({ "type": "subscribe", "channel": "a", "since": null });
        assert_eq!(follow.subscribe(), expected.to_string());
        assert_eq!(take(&mut follow, &subscribed(5, json!({}))), NOTHING);
        assert_eq!(take(&mut follow, &update(5)), NOTHING);
        assert_eq!(take(&mut follow, &update(6)), ["6"]);
        let expected = json!({
            "type": "subscribe", "channel": "a", "since": { "epoch": EPOCH, "offset": 6 },
        });
        assert_eq!(follow.subscribe(), expected.to_string());
    }

    #[test]
    fn null_is_data_too() {
        let mut follow = Follow::new("a", None);
        take(&mut follow, &subscribed(5, json!({})));
        let null = json!({ "type": "update", "data": null, "offset": 6 });
        assert_eq!(take(&mut follow, &null), ["null"]);
        assert_eq!(take(&mut follow, &update(7)), ["7"]);
    }

    #[test]
    fn a_gap_that_ends_before_the_position_is_none() {
        let mut follow = Follow::new("a", None);
        take(&mut follow, &subscribed(5, json!({})));
        let gap = json!({ "type": "gap", "epoch": EPOCH, "from": 0, "to": 3 });
        assert_eq!(take(&mut follow, &gap), NOTHING);
        assert_eq!(take(&mut follow, &update(6)), ["6"]);
    }

    #[test]
    fn a_position_at_the_end_of_all_numbers_does_no_harm() {
        let since = Position {
            epoch: EPOCH.to_owned(),
            offset: u64::MAX,
        };
        let mut follow = Follow::new("a", Some(since));
        let ahead = subscribed(5, json!({ "recovered": false, "reason": "ahead" }));
        assert_eq!(take(&mut follow, &ahead).len(), 1);
        assert_eq!(take(&mut follow, &update(6)), ["6"]);
    }

    #[test]
    fn what_was_missed_follows_a_recovered_subscription() {
        let mut follow = Follow::new("a", None);
        take(&mut follow, &subscribed(5, json!({})));
        let recovered = subscribed(7, json!({ "recovered": true }));
        assert_eq!(take(&mut follow, &recovered), NOTHING);
        assert_eq!(take(&mut follow, &update(6)), ["6"]);
        assert_eq!(take(&mut follow, &update(7)), ["7"]);
    }

    #[test]
    fn what_will_not_come_is_told() {
        let mut follow = Follow::new("a", None);
        take(&mut follow, &subscribed(5, json!({})));
        let lost = subscribed(9, json!({ "recovered": false, "reason": "history" }));
        assert_eq!(
            take(&mut follow, &lost),
            [
                "a gap: what was published from 6 to 9 is missing, as the history does not reach back so far"
            ]
        );
        assert_eq!(take(&mut follow, &update(10)), ["10"]);
        let gap = json!({ "type": "gap", "from": 11, "to": 12, "epoch": EPOCH });
        assert_eq!(
            take(&mut follow, &gap),
            ["a gap: what was published from 11 to 12 is missing"]
        );
        assert_eq!(
            take(&mut follow, &update(15)),
            ["a gap: what was published from 13 to 14 is missing", "15"]
        );
        let mut anew = subscribed(1, json!({ "recovered": false, "reason": "epoch" }));
        anew["epoch"] = json!("018bcfe5-6800-7abc-8def-ffffffffffff");
        assert_eq!(
            take(&mut follow, &anew),
            ["a gap: what was published from 16 is missing, as the channel was restarted"]
        );
        assert_eq!(take(&mut follow, &update(2)), ["2"]);
    }

    #[test]
    fn where_only_the_newest_matters_nothing_is_missing() {
        let mut follow = Follow::new("a", None);
        take(&mut follow, &subscribed(5, json!({ "latest": true })));
        assert_eq!(take(&mut follow, &update(9)), ["9"]);
    }

    #[test]
    fn a_refusal_is_the_end_and_anything_else_is_passed_over() {
        let mut follow = Follow::new("a", None);
        let other = json!({ "type": "presence-diff", "version": 1 });
        assert_eq!(take(&mut follow, &other), NOTHING);
        let away = json!({ "type": "reconnect", "afterMs": 70 });
        assert_eq!(take(&mut follow, &away), NOTHING);
        assert_eq!(follow.take_wait(), Some(Duration::from_millis(70)));
        assert_eq!(follow.take_wait(), None);
        let refused =
            r#"{"type":"error","message":"Subscription refused","code":"subscribe-refused"}"#;
        let Err(TailError::Refused { code, .. }) =
            follow.take(serde_json::from_str(refused).unwrap())
        else {
            panic!("it was not taken as a refusal");
        };
        assert_eq!(code, "subscribe-refused");
    }

    #[test]
    fn a_channel_that_is_not_available_now_may_be_later() {
        let mut follow = Follow::new("a", None);
        let unavailable = r#"{"type":"error","message":"in any words","code":"unavailable"}"#;
        let taken = follow.take(serde_json::from_str(unavailable).unwrap());
        assert!(matches!(taken, Ok(None)));
    }
}
