//! The channels that have subscribers, on all nodes.

use std::collections::BTreeMap;

use bytes::Bytes;
use nextrush_broker::{Asked, NodeName};

use super::LiveUpdates;

/// The channels that have subscribers; see [`LiveUpdates::channels`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChannelsInUse {
    /// The channels by name, each with the number of its subscribers on the nodes that have
    /// answered.
    pub channels: Vec<(String, usize)>,
    /// The nodes that have not answered within 2 s, by name.
    pub unanswered: Vec<NodeName>,
    /// `true` if the other nodes could not be known, as while the shared broker is away: then the
    /// channels are those of this node.
    pub others_unknown: bool,
}

impl LiveUpdates {
    /// The channels that have subscribers, on all nodes. Waits for 2 s at most for other nodes.
    ///
    /// ```
    /// # async fn example(live: nextrush::LiveUpdates) {
    /// for (channel, subscribers) in live.channels().await.channels {
    ///     println!("{channel}: {subscribers}");
    /// }
    /// # }
    /// ```
    pub async fn channels(&self) -> ChannelsInUse {
        let mut found = ChannelsInUse::default();
        let mut counts = BTreeMap::from_iter(self.local_channels());
        let app = self.0.app();
        let others = match app.nodes().await {
            Ok(nodes) => nodes
                .into_iter()
                .filter(|node| node != app.node())
                .collect::<Vec<_>>(),
            Err(error) => {
                tracing::debug!(%error, "the other nodes are not known");
                found.others_unknown = true;
                Vec::new()
            }
        };
        if !others.is_empty() {
            let asked = Asked::Nodes(others);
            match app.ask(&self.channels_kind(), &asked, Bytes::new()).await {
                Ok(answered) => {
                    found.unanswered = answered.silent;
                    for (node, answer) in answered.answers {
                        match serde_json::from_slice::<Vec<(String, usize)>>(&answer) {
                            Ok(channels) => {
                                for (channel, subscribers) in channels {
                                    *counts.entry(channel).or_default() += subscribers;
                                }
                            }
                            // A version that answers in another form is as good as silent.
                            Err(_) => found.unanswered.push(node),
                        }
                    }
                    found.unanswered.sort();
                }
                Err(error) => {
                    tracing::debug!(%error, "the other nodes cannot be asked");
                    found.others_unknown = true;
                }
            }
        }
        found.channels = counts.into_iter().collect();
        found
    }

    /// Tells other nodes which channels this one has.
    pub(super) fn answer_channels(&self) {
        let live = self.0.downgrade();
        let kind = self.channels_kind();
        self.0.app().answer(&kind, move |_, _, _| {
            let channels = live.upgrade().map(|live| Self(live).local_channels());
            async move { serde_json::to_vec(&channels?).ok().map(Bytes::from) }
        });
    }

    fn channels_kind(&self) -> String {
        format!("nr.channels.{}", self.0.name())
    }
}
