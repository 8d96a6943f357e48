//! The counts of slow readers.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use nextrush::topic::SlowReaderCounts;
use nextrush::{ChatServer, LiveUpdates};
use serde::{Deserialize, Serialize};

use super::nodes::Question;
use super::{Of, View};
use crate::others::{Answers, Silence};
use crate::refusal::Refusal;

/// Counts of slow readers since the start.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct SlowReaders {
    chat: Counts,
    /// The channels' counts by pattern.
    channels: Vec<OfPattern>,
}

#[derive(Deserialize, Serialize)]
struct OfPattern {
    /// The name of the live updates, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<String>,
    pattern: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    recovered: u64,
    sent_later: u64,
    missed: u64,
}

impl From<SlowReaderCounts> for Counts {
    fn from(counts: SlowReaderCounts) -> Self {
        Self {
            recovered: counts.recovered,
            sent_later: counts.sent_later,
            missed: counts.missed,
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.recovered += more.recovered;
        self.sent_later += more.sent_later;
        self.missed += more.missed;
    }
}

impl SlowReaders {
    /// The counts of this node.
    pub(super) fn of(chats: &[ChatServer], live: &[LiveUpdates]) -> Self {
        let mut all = Self::default();
        for chat in chats {
            all.chat.add(chat.slow_readers().into());
        }
        for each in live {
            let name = (live.len() > 1).then(|| each.name().to_owned());
            let counts = each.slow_readers().into_iter();
            all.channels
                .extend(counts.map(|(pattern, counts)| OfPattern {
                    live: name.clone(),
                    pattern,
                    counts: counts.into(),
                }));
        }
        all
    }

    /// Adds the counts of another node.
    fn add(&mut self, more: Self) {
        self.chat.add(more.chat);
        for of in more.channels {
            let same = |own: &&mut OfPattern| own.live == of.live && own.pattern == of.pattern;
            match self.channels.iter_mut().find(same) {
                Some(own) => own.counts.add(of.counts),
                None => self.channels.push(of),
            }
        }
    }
}

#[derive(Serialize)]
pub(super) struct AllSlowReaders {
    #[serde(flatten)]
    counts: SlowReaders,
    #[serde(flatten)]
    silence: Silence,
}

pub(super) async fn slow_readers(
    State(View { sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<AllSlowReaders>, Refusal> {
    let nodes = of?.0.nodes()?;
    let Answers { answers, silence } = sampler.ask(&nodes, &Question::SlowReaders).await?;
    let mut counts = SlowReaders::default();
    for (_, more) in answers {
        counts.add(more);
    }
    Ok(Json(AllSlowReaders { counts, silence }))
}
