//! Going back in a channel: publications older than those that a client has.

use std::sync::Arc;

use nextrush_broker::{BrokerError, Epoch, History, HistoryQuery, Publication};
use serde::Serialize;

use super::client::Client;
use super::dialect::Live;
use super::messages::refusal;
use super::payload::{Encoding, Payload};
use crate::message::request::{Answer, CommandId};
use crate::message::{ErrorCode, ErrorMessage, Outgoing, Timestamp};
use crate::seldom::Seldom;
use crate::socket::Socket;
use crate::socket::rate_limit::Exceeded;
use crate::socket::work::READ;
use crate::topic::{Since, SubscribeError, Topic, newest_within};

/// The publications that a client asks for.
pub(super) struct Older<'a> {
    pub(super) channel: &'a str,
    /// The offset of the oldest publication that it has; `None`: it has none.
    pub(super) before: Option<u64>,
    /// The most publications wanted.
    pub(super) limit: Option<usize>,
}

/// The publications of a page where the client does not say how many it wants.
const SENT: usize = 50;

/// The answer: the publications before, oldest first.
#[derive(Serialize)]
#[serde(tag = "type", rename = "channel-history")]
struct Page<'a> {
    channel: &'a str,
    publications: Vec<Item<'a>>,
    /// The epoch that the offsets belong to: the channel may have a new one meanwhile.
    epoch: Epoch,
    /// `true` if there are older ones still.
    more: bool,
    /// The `before` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

#[derive(Serialize)]
struct Item<'a> {
    data: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    timestamp: Timestamp,
    offset: u64,
}

static NOT_READ: Seldom = Seldom::new();

impl Client {
    /// The answer to a question for older publications, which is for those who may subscribe.
    pub(super) async fn look_back(
        &self,
        socket: &Socket,
        older: Older<'_>,
        id: Option<&CommandId>,
    ) -> Result<Outgoing, ErrorMessage> {
        let Older {
            channel,
            before,
            limit,
        } = older;
        let live = self.live.live();
        let topic = self
            .live
            .topic(channel)
            .map_err(|error| refusal(channel, error.into()))?;
        let maker = self.maker(socket);
        let count = |work| live.work.allow(&maker, work).map_err(Exceeded::to_message);
        count(READ)?;
        let limit = limit.unwrap_or(SENT).min(Since::MAX_PUBLICATIONS);
        let history = self.read_allowed(socket, &topic, before, limit).await?;
        let kept = &history.publications;
        let end = kept.partition_point(|kept| before.is_none_or(|before| kept.offset < before));
        let kept = &kept[..end];
        let bytes = Since::MAX_BYTES.saturating_sub(socket.buffered());
        let page = match newest_within(kept, limit, bytes) {
            // The next page would be this one again.
            [] if limit > 0 => &kept[end.saturating_sub(1)..],
            page => page,
        };
        let sent: usize = page.iter().map(|publication| publication.data.len()).sum();
        count(sent / 1024)?;
        let rest = &kept[..end - page.len()];
        let page = Page {
            channel,
            publications: page.iter().filter_map(|kept| item(channel, kept)).collect(),
            epoch: history.position.epoch,
            more: !rest.is_empty(),
            next: rest.last().map(|last| last.offset + 1),
        };
        Ok(Answer::new(page, id).into())
    }

    /// Reads the publications if the client may subscribe, and still may when they are read.
    async fn read_allowed(
        &self,
        socket: &Socket,
        topic: &Topic<Live>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<History, ErrorMessage> {
        let channel = topic.name();
        let live = self.live.live();
        let attempt = live.attempts.begin(socket.id(), channel);
        loop {
            let is_subscribed = topic.is_subscribed(socket);
            if !is_subscribed {
                self.may_subscribe(socket, channel)
                    .await
                    .map_err(|refused| {
                        let reason = refused.into_message().map(Box::new);
                        refusal(channel, SubscribeError::Refused(reason))
                    })?;
            }
            if live.policies.retention(channel).count == 0 {
                let message = "No history in this channel";
                return Err(ErrorMessage::new(ErrorCode::NoHistory, message));
            }
            let history = read(topic, before, limit).await.map_err(|error| {
                if NOT_READ.is_due() {
                    tracing::error!(%error, channel, "a history could not be read");
                }
                ErrorMessage::of_broker("Channel unavailable", &error).details(error.to_string())
            })?;
            if let Some(reason) = attempt.revoked() {
                return Err(reason);
            }
            let is_out = is_subscribed && !topic.is_subscribed(socket);
            if !attempt.take_outdated() && !is_out {
                return Ok(history);
            }
        }
    }
}

/// Reads one publication more than is wanted, by which is known that there is an older one. There
/// may be later ones behind those that are wanted.
async fn read(
    topic: &Topic<Live>,
    before: Option<u64>,
    limit: usize,
) -> Result<History, BrokerError> {
    let limit = limit + 1;
    if let Some(before) = before {
        let offset = before.saturating_sub(1 + limit as u64);
        let history = topic.history(HistoryQuery::After { offset, limit }).await?;
        if before <= history.position.offset.saturating_add(1) {
            return Ok(history);
        }
    }
    topic.history(HistoryQuery::Latest(limit)).await
}

/// A publication as it is sent; `None` in the place of one that was deleted.
fn item<'a>(channel: &str, publication: &'a Arc<Publication>) -> Option<Item<'a>> {
    if publication.is_deleted {
        return None;
    }
    let data = Payload::of(publication)
        .inspect_err(|error| tracing::error!(channel, %error, "a publication cannot be read"))
        .ok()?;
    Some(Item {
        encoding: data.encoding(),
        data,
        timestamp: Timestamp::from_unix_ms(publication.time_ms),
        offset: publication.offset,
    })
}
