//! The largest rooms and channels.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use futures_util::future::try_join_all;
use nextrush::{ChatServer, LiveUpdates};
use serde::Serialize;

use super::nodes::Question;
use super::sample::Sampler;
use super::{Of, View};
use crate::channels::{Channel, ChannelList, added};
use crate::others::{Nodes, Silence};
use crate::refusal::Refusal;

/// The most rooms and channels that are listed.
const LISTED: usize = 1000;

#[derive(Serialize)]
pub(super) struct Rooms {
    rooms: Vec<Room>,
    #[serde(flatten)]
    silence: Silence,
}

#[derive(Serialize)]
struct Room {
    /// The name of the chat, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<String>,
    room: String,
    members: usize,
}

pub(super) async fn rooms(
    State(View { parts, sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<Rooms>, Refusal> {
    let nodes = of?.0.nodes()?;
    let names = parts.chats.iter().map(ChatServer::name);
    let ask = |name: &str| {
        let chat = Some(name.to_owned());
        Question::Rooms { chat }
    };
    let (rooms, silence) = sampler.largest(&nodes, names, ask).await?;
    let room = |((chat, room), members)| Room {
        chat,
        room,
        members,
    };
    Ok(Json(Rooms {
        rooms: rooms.into_iter().map(room).collect(),
        silence,
    }))
}

pub(super) async fn channels(
    State(View { parts, sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<ChannelList>, Refusal> {
    let nodes = of?.0.nodes()?;
    let names = parts.live.iter().map(LiveUpdates::name);
    let ask = |name: &str| {
        let live = Some(name.to_owned());
        Question::Channels { live }
    };
    let (channels, silence) = sampler.largest(&nodes, names, ask).await?;
    let channel = |((live, channel), subscribers)| Channel {
        live,
        channel,
        subscribers,
    };
    let channels = channels.into_iter().map(channel).collect();
    Ok(Json(ChannelList::new(channels, silence)))
}

/// A name, and that of its part where there are several parts.
type Place = (Option<String>, String);

impl Sampler {
    /// The largest rooms or channels of several parts, and who is missing in the counts.
    async fn largest(
        &self,
        nodes: &Nodes,
        parts: impl ExactSizeIterator<Item = &str>,
        ask: impl Fn(&str) -> Question,
    ) -> Result<(Vec<(Place, usize)>, Silence), Refusal> {
        let has_several = parts.len() > 1;
        let asked = parts.map(async |part| {
            let told = self.ask::<Vec<(String, usize)>>(nodes, &ask(part)).await?;
            Ok::<_, Refusal>((has_several.then(|| part.to_owned()), told))
        });
        let (mut counts, mut silence) = (Vec::new(), Silence::default());
        for (part, told) in try_join_all(asked).await? {
            silence.add(told.silence);
            let count = |(name, count)| ((part.clone(), name), count);
            counts.extend(added(told.answers).map(count));
        }
        Ok((largest(counts), silence))
    }
}

/// The names with the highest counts; equal ones in the order of their names.
pub(super) fn largest<N: Ord>(mut counts: Vec<(N, usize)>) -> Vec<(N, usize)> {
    counts.sort_unstable_by(|(one, more), (other, less)| less.cmp(more).then(one.cmp(other)));
    counts.truncate(LISTED);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_are_listed_the_largest_first() {
        let counts: Vec<_> = (0..1500).map(|name| (name, name / 2)).collect();
        let listed = largest(counts);
        assert_eq!(listed.len(), 1000);
        assert_eq!(listed[..3], [(1498, 749), (1499, 749), (1496, 748)]);
    }
}
