//! The list of channels with their subscribers, on all nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use nextrush::broker::Bytes;
use nextrush::node::From;
use nextrush::{Handle, LiveUpdates};
use serde::Serialize;

use super::others::{Answers, Nodes, Silence};
use super::refusal::Refusal;

/// The kind of the question which channels a node has.
const KIND: &str = "nr.channels";

/// The channels of all nodes. While a clone lives, this one answers the others.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    app: Handle,
    live: Arc<LiveUpdates>,
}

impl Channels {
    pub(crate) fn new(app: &Handle, live: LiveUpdates) -> Self {
        let live = Arc::new(live);
        let weak = Arc::downgrade(&live);
        app.answer(KIND, move |_: Handle, _: From, _: Bytes| {
            let answer = weak.upgrade().and_then(|live| own(&live));
            async move { answer }
        });
        Self {
            app: app.clone(),
            live,
        }
    }

    /// The channels with subscribers by name, each with those of all nodes that answer.
    pub(super) async fn list(&self) -> Result<ChannelList, Refusal> {
        let here = || own(&self.live);
        let told = Answers::ask(&self.app, KIND, &Nodes::All, &(), here).await?;
        Ok(ChannelList::of(added(told.answers), told.silence))
    }
}

/// The channels of this node, as it tells others.
fn own(live: &LiveUpdates) -> Option<Bytes> {
    serde_json::to_vec(&live.local_channels())
        .ok()
        .map(Bytes::from)
}

/// The counts of several nodes in one list, by name.
pub(super) fn added<K: Ord, N>(
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
pub(super) struct ChannelList {
    channels: Vec<Channel>,
    #[serde(flatten)]
    silence: Silence,
}

#[derive(Serialize)]
struct Channel {
    channel: String,
    subscribers: usize,
}

impl ChannelList {
    pub(super) fn of(counts: impl IntoIterator<Item = (String, usize)>, silence: Silence) -> Self {
        let channel = |(channel, subscribers)| Channel {
            channel,
            subscribers,
        };
        Self {
            channels: counts.into_iter().map(channel).collect(),
            silence,
        }
    }
}
