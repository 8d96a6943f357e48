//! A client of one channel that knows where it stands.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::api::Position;
use crate::error::Error;

/// Any message of the server, as far as it is needed here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub(crate) r#type: Cow<'a, str>,
    #[serde(borrow)]
    epoch: Option<Cow<'a, str>>,
    pub(crate) offset: Option<u64>,
    recovered: Option<bool>,
    from: Option<u64>,
    to: Option<u64>,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) messages: Option<Vec<Said<'a>>>,
    #[serde(borrow)]
    pub(crate) users: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(crate) members: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(crate) joined: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(crate) left: Option<Vec<&'a RawValue>>,
    pub(crate) after_ms: Option<u64>,
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
}

/// A message of a chat room's history.
#[derive(Debug, Deserialize)]
pub(crate) struct Said<'a> {
    offset: u64,
    #[serde(borrow)]
    #[expect(dead_code, reason = "what is sent is read as a whole")]
    text: Cow<'a, str>,
}

impl<'a> Message<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|source| Error::Message {
            text: text.chars().take(200).collect(),
            source,
        })
    }

    fn position(&self) -> Option<Position> {
        Some(Position {
            epoch: self.epoch.as_deref()?.to_owned(),
            offset: self.offset?,
        })
    }
}

/// The position up to which a client has seen its channel or room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Follower {
    pub(crate) position: Option<Position>,
    /// Its subscription was answered on this connection.
    pub(crate) is_in: bool,
}

/// Counts of what became of all messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    pub(crate) doubled: u64,
    /// Messages that were missed without a word.
    pub(crate) lost: u64,
    /// Messages that were missed, and the client was told so.
    pub(crate) told: u64,
    /// Clients that came back and got everything.
    pub(crate) recovered: u64,
    /// Clients that came back and were told that they cannot have everything.
    pub(crate) refused: u64,
}

impl Follower {
    /// The message that subscribes to a channel, with the client's position if it has one.
    pub(crate) fn subscribe(&self, channel: &str) -> String {
        let mut message = json!({ "type": "subscribe", "channel": channel });
        if let Some(Position { epoch, offset }) = &self.position {
            message["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        message.to_string()
    }

    /// The path of a chat room, from where it stands.
    pub(crate) fn chat(&self, room: &str, token: &str) -> String {
        match &self.position {
            Some(Position { epoch, offset }) => {
                format!("/chat/{room}?token={token}&epoch={epoch}&offset={offset}")
            }
            None => format!("/chat/{room}?token={token}"),
        }
    }

    /// The offset up to which the client has seen everything, or was told what it has not.
    pub(crate) fn offset(&self) -> u64 {
        self.position.as_ref().map_or(0, |seen| seen.offset)
    }

    pub(crate) fn hear(&mut self, message: &Message<'_>, tally: &mut Tally) -> Result<(), Error> {
        match &*message.r#type {
            "subscribed" | "room-history" => self.enter(message, tally),
            "update" | "chat-message" => {
                self.next(message.offset.unwrap_or_default(), tally);
                Ok(())
            }
            "gap" => {
                let (from, to) = (message.from.unwrap_or(0), message.to.unwrap_or(0));
                if from != self.offset() + 1 || to < from {
                    return Err(Error::Broken(format!(
                        "a gap {from} to {to} after {self:?}"
                    )));
                }
                tally.told += to - self.offset();
                if let Some(seen) = &mut self.position {
                    seen.offset = to;
                }
                Ok(())
            }
            "error" => Err(Error::Broken(format!("an error: {message:?}"))),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, message: &Message<'_>, tally: &mut Tally) -> Result<(), Error> {
        let now = message.position();
        let now = now.ok_or_else(|| Error::Broken(format!("no position: {message:?}")))?;
        self.is_in = true;
        match (message.recovered, &self.position) {
            (Some(true), Some(seen)) if seen.epoch == now.epoch => tally.recovered += 1,
            (Some(false), seen) => {
                tally.refused += 1;
                tally.told += now
                    .offset
                    .saturating_sub(seen.as_ref().map_or(0, |seen| seen.offset));
                self.position = Some(now);
                return Ok(());
            }
            (None, None) => {
                self.position = Some(now);
                return Ok(());
            }
            _ => return Err(Error::Broken(format!("{message:?} for {self:?}"))),
        }
        for said in message.messages.iter().flatten() {
            self.next(said.offset, tally);
        }
        Ok(())
    }

    fn next(&mut self, offset: u64, tally: &mut Tally) {
        let Some(seen) = &mut self.position else {
            return;
        };
        if offset <= seen.offset {
            tally.doubled += 1;
            return;
        }
        tally.lost += offset - seen.offset - 1;
        tally.received += 1;
        seen.offset = offset;
    }
}

impl Tally {
    /// Fails if something was lost or doubled.
    pub(crate) fn judge(self) -> Result<(), Error> {
        println!(
            "messages received: {}; lost {}, doubled {}",
            self.received, self.lost, self.doubled
        );
        println!(
            "clients that recovered: {}; that were told they cannot: {}; messages that these \
             miss: {}",
            self.recovered, self.refused, self.told
        );
        match self {
            Self {
                lost: 0,
                doubled: 0,
                ..
            } => Ok(()),
            _ => Err(Error::Broken("not everything came once".to_owned())),
        }
    }
}
