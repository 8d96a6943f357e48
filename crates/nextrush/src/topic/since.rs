//! Coming back: what a client says it has seen, and whether it can have the rest.

use std::sync::Arc;

use axum::extract::{OptionalFromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use nextrush_broker::{History, HistoryQuery, Position, Publication};
use serde::{Deserialize, Serialize};

use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::handle::Handle;
use crate::tally::Recovery;

/// A client's position in a topic: it has seen everything up to `offset`, in the stream
/// that bears this `epoch`.
///
/// As an extractor, `Option<Since>` is the position in a request's query,
/// `?epoch=…&offset=…`. Without either of the two it is `None`; one alone, or an offset
/// that is no number, is refused with 400.
///
/// ```
/// use nextrush::Since;
///
/// let since: Since = serde_json::from_str(r#"{"epoch":"e","offset":7}"#)?;
/// assert_eq!(since.offset, 7);
/// assert!(serde_json::from_str::<Since>(r#"{"epoch":"e","offset":-1}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Since {
    /// The epoch as it was sent to the client. Any other text is that of no stream.
    pub epoch: String,
    /// The number of the last publication that was seen.
    pub offset: u64,
}

impl Since {
    /// The position that a client has seen everything up to.
    pub fn new(epoch: impl Into<String>, offset: u64) -> Self {
        Self {
            epoch: epoch.into(),
            offset,
        }
    }

    /// The most publications that a client gets after coming back.
    pub const MAX_PUBLICATIONS: usize = 300;

    /// The most bytes of JSON that these have together: half of the default backlog, over which
    /// a client that does not read at once is closed.
    pub const MAX_BYTES: usize = 512 * 1024;

    /// The query that reads enough of a history to tell whether the client can recover.
    #[must_use]
    pub fn query(&self) -> HistoryQuery {
        HistoryQuery::After {
            offset: self.offset,
            limit: Self::MAX_PUBLICATIONS,
        }
    }

    /// The publications that the client missed, out of a history that was read with
    /// [`query`](Self::query) or reaches further back.
    ///
    /// Never partial, never silent: everything after its offset up to the top, or a
    /// reason. A position of the life that the stream [continues](History::continues) counts as
    /// far as that went. An idle client recovers even when all history has expired, as its offset
    /// is the top. No more than 300 publications and 512 KiB of them are sent.
    ///
    /// # Errors
    ///
    /// [`Unrecovered`] says why the client cannot have all of them.
    pub fn missed<'a>(&self, history: &'a History) -> Result<&'a [Arc<Publication>], Unrecovered> {
        let Position { epoch, offset: top } = history.position;
        let own = self.epoch.parse().ok();
        // A position of the life before counts as far as that life was continued.
        let is_continued = |end: Position| own == Some(end.epoch) && self.offset <= end.offset;
        if own != Some(epoch) && !history.continues.is_some_and(is_continued) {
            return Err(Unrecovered::Epoch);
        }
        if self.offset > top {
            return Err(Unrecovered::Ahead);
        }
        let read = &history.publications;
        let seen = read.partition_point(|publication| publication.offset <= self.offset);
        let missed = &read[seen..];
        let is_whole = match (missed.first(), missed.last()) {
            (Some(first), Some(last)) => first.offset == self.offset + 1 && last.offset == top,
            _ => self.offset == top,
        };
        if is_whole && bytes(missed) <= Self::MAX_BYTES {
            Ok(missed)
        } else {
            Err(Unrecovered::History)
        }
    }
}

impl Handle {
    /// Counts a client that came back, if it gave a position.
    pub(crate) fn came_back<T>(&self, outcome: Option<&Result<T, Unrecovered>>) {
        let recovery = match outcome {
            None => return,
            Some(Ok(_)) => Recovery::Recovered,
            Some(Err(Unrecovered::Epoch)) => Recovery::Epoch,
            Some(Err(Unrecovered::History)) => Recovery::History,
            Some(Err(Unrecovered::Ahead)) => Recovery::Ahead,
        };
        self.tally().came_back(recovery);
    }
}

fn bytes(publications: &[Arc<Publication>]) -> usize {
    publications.iter().map(|kept| kept.data.len()).sum()
}

/// The reason why a client that came back cannot have what it missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
pub enum Unrecovered {
    /// Its position is of another stream: this one began anew.
    Epoch,
    /// The history does not reach back so far, or what was missed is more than is sent.
    History,
    /// The client claims to have seen what was not published yet.
    Ahead,
}

/// The fields `recovered` and `reason` of an answer; none to a client that gave no position.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Recovered {
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Unrecovered>,
}

impl From<Option<Result<(), Unrecovered>>> for Recovered {
    fn from(outcome: Option<Result<(), Unrecovered>>) -> Self {
        Self {
            recovered: outcome.map(|outcome| outcome.is_ok()),
            reason: outcome.and_then(Result::err),
        }
    }
}

/// A query with half a position, or with one that is none: 400.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a position is an epoch (text) and an offset (a whole number from 0)")]
#[non_exhaustive]
pub struct InvalidSince;

impl IntoResponse for InvalidSince {
    fn into_response(self) -> Response {
        let error = ErrorMessage::new(ErrorCode::InvalidPosition, "Invalid position")
            .details(self.to_string());
        (StatusCode::BAD_REQUEST, axum::Json(error)).into_response()
    }
}

#[derive(Deserialize)]
struct InQuery {
    epoch: Option<String>,
    offset: Option<String>,
}

impl<S: Sync> OptionalFromRequestParts<S> for Since {
    type Rejection = InvalidSince;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, InvalidSince> {
        let query = Query::<InQuery>::try_from_uri(&parts.uri).map_err(|_| InvalidSince)?;
        match query.0 {
            InQuery {
                epoch: None,
                offset: None,
            } => Ok(None),
            InQuery {
                epoch: Some(epoch),
                offset: Some(offset),
            } => {
                let offset = offset.parse().map_err(|_| InvalidSince)?;
                Ok(Some(Self { epoch, offset }))
            }
            _ => Err(InvalidSince),
        }
    }
}

#[cfg(test)]
mod tests {
    use nextrush_broker::Epoch;

    use super::*;

    fn history(top: u64, kept: impl IntoIterator<Item = u64>, bytes: usize) -> History {
        let publication = |offset| Arc::new(Publication::new(offset, 0, vec![b'x'; bytes]));
        let position = Position::new(Epoch::begin(0), top);
        History::new(position, kept.into_iter().map(publication).collect())
    }

    #[test]
    fn a_client_recovers_with_everything_or_is_told_why_not() {
        use Unrecovered::{Ahead, History};
        let cases = [
            (0, 0, vec![], Ok(())),
            (7, 7, vec![], Ok(())),
            (5, 7, vec![6, 7], Ok(())),
            (0, 2, vec![1, 2], Ok(())),
            // More was read than was missed.
            (5, 7, vec![4, 5, 6, 7], Ok(())),
            (7, 7, vec![6, 7], Ok(())),
            (8, 7, vec![], Err(Ahead)),
            (u64::MAX, 7, vec![], Err(Ahead)),
            // The history has expired, or begins too late.
            (5, 7, vec![], Err(History)),
            (5, 8, vec![7, 8], Err(History)),
            // More than the limit: what was read ends before the top.
            (5, 8, vec![6, 7], Err(History)),
        ];
        for (offset, top, kept, expected) in cases {
            let history = history(top, kept, 1);
            let epoch = history.position.epoch.to_string();
            let since = Since { epoch, offset };
            let missed = since.missed(&history);
            assert_eq!(missed.map(drop), expected, "{offset} of {history:?}");
            let offsets = missed
                .unwrap_or_default()
                .iter()
                .map(|missed| missed.offset);
            assert!(expected.is_err() || offsets.eq(offset + 1..=top));
        }
    }

    #[test]
    fn a_position_of_another_stream_is_none_of_this() {
        let history = history(7, [], 1);
        for epoch in ["", "x", &Epoch::begin(0).to_string()] {
            let since = Since {
                epoch: epoch.to_owned(),
                offset: 7,
            };
            assert_eq!(since.missed(&history), Err(Unrecovered::Epoch), "{epoch}");
        }
    }

    #[test]
    fn a_position_of_the_life_before_counts_up_to_its_end() {
        use Unrecovered::{Ahead, Epoch as OtherEpoch};
        let before = Epoch::begin(0);
        let history = history(7, [4, 5, 6, 7], 1).continuing(Some(Position::new(before, 5)));
        let now = history.position.epoch;
        let cases = [
            (before, 3, Ok(4)),
            (before, 5, Ok(2)),
            // The store lost it, and another one has its offset.
            (before, 6, Err(OtherEpoch)),
            (before, 7, Err(OtherEpoch)),
            (now, 6, Ok(1)),
            (now, 8, Err(Ahead)),
            (Epoch::begin(0), 3, Err(OtherEpoch)),
        ];
        for (epoch, offset, expected) in cases {
            let since = Since::new(epoch.to_string(), offset);
            let missed = since.missed(&history).map(<[_]>::len);
            assert_eq!(missed, expected, "{since:?}");
        }
    }

    #[test]
    fn more_bytes_than_a_client_may_fall_behind_are_not_sent() {
        for (size, expected) in [
            (Since::MAX_BYTES / 2, Ok(())),
            (Since::MAX_BYTES / 2 + 1, Err(Unrecovered::History)),
        ] {
            let history = history(2, [1, 2], size);
            let epoch = history.position.epoch.to_string();
            let since = Since { epoch, offset: 0 };
            assert_eq!(since.missed(&history).map(drop), expected, "{size}");
        }
    }
}
