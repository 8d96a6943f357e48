//! The list of channels with their subscribers.

use serde::Serialize;

/// The channels in use, as the HTTP API and the operators' view list them.
#[derive(Serialize)]
pub(super) struct ChannelList {
    channels: Vec<Channel>,
}

#[derive(Serialize)]
struct Channel {
    channel: String,
    subscribers: usize,
}

impl FromIterator<(String, usize)> for ChannelList {
    fn from_iter<I: IntoIterator<Item = (String, usize)>>(counts: I) -> Self {
        let channel = |(channel, subscribers)| Channel {
            channel,
            subscribers,
        };
        Self {
            channels: counts.into_iter().map(channel).collect(),
        }
    }
}
