//! The list of channels with their subscribers, on all nodes.

use std::collections::BTreeMap;

use nextrush::live::ChannelsInUse;
use serde::Serialize;

use crate::others::Silence;

/// The counts of several nodes in one list, by name.
pub(crate) fn added<K: Ord, N>(
    answers: Vec<(N, Vec<(K, usize)>)>,
) -> impl Iterator<Item = (K, usize)> {
    let mut all = BTreeMap::<K, usize>::new();
    for (name, count) in answers.into_iter().flat_map(|(_, counts)| counts) {
        *all.entry(name).or_default() += count;
    }
    all.into_iter()
}

/// The channels in use, as the HTTP API and the operators' view list them.
#[derive(Serialize)]
pub(crate) struct ChannelList {
    channels: Vec<Channel>,
    #[serde(flatten)]
    silence: Silence,
}

#[derive(Serialize)]
pub(crate) struct Channel {
    /// The name of the live updates, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<String>,
    pub(crate) channel: String,
    pub(crate) subscribers: usize,
}

impl ChannelList {
    pub(crate) fn new(channels: Vec<Channel>, silence: Silence) -> Self {
        Self { channels, silence }
    }
}

impl From<ChannelsInUse> for ChannelList {
    fn from(found: ChannelsInUse) -> Self {
        let channel = |(channel, subscribers)| Channel {
            live: None,
            channel,
            subscribers,
        };
        Self {
            channels: found.channels.into_iter().map(channel).collect(),
            silence: Silence::of(&found.unanswered, found.others_unknown),
        }
    }
}
