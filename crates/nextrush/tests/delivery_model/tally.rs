//! Counts of what happened.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::AddAssign;

use serde_json::Value;

/// Counts of what happened to all clients.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub delivered: u64,
    pub recovered: u64,
    pub refused: u64,
    /// Times that somebody who had been slow was live again.
    pub healed: u64,
    /// Publications that somebody missed who was told so on the way.
    pub gaps: u64,
    /// Closed by the server, as they read too slowly or it ended.
    pub closed: u64,
    /// States that were loaded.
    pub loaded: u64,
    /// Times that the server subscribed a client.
    pub joined: u64,
    /// Publications of clients that were answered for good.
    pub posted: u64,
    /// Posts that came after a newer version.
    pub outdated: u64,
    /// Sockets that a kick has unsubscribed.
    pub kicked: u64,
    /// Clients that were told, unasked, that they are out.
    pub put_out: u64,
    /// Requests of clients that were answered for good.
    pub answered: u64,
    /// Commands whose outcome nobody knows.
    pub in_doubt: u64,
    /// Responses of clients.
    pub asked: u64,
    /// The server is ending just now.
    pub is_ending: bool,
    /// A hash of everything that was received.
    transcript: u64,
}

impl Tally {
    /// Adds to the transcript what is the same in each run: no epoch.
    pub fn note(&mut self, message: &Value) {
        let mut hasher = DefaultHasher::new();
        self.transcript.hash(&mut hasher);
        for field in [
            "type",
            "channel",
            "offset",
            "recovered",
            "reason",
            "text",
            "id",
            "code",
        ] {
            if let Some(value) = message.get(field) {
                value.to_string().hash(&mut hasher);
            }
        }
        self.transcript = hasher.finish();
    }

    /// Asserts that each thing happened that is counted.
    pub fn assert_all_was_tried(&self) {
        let happened = [
            self.delivered,
            self.recovered,
            self.refused,
            self.healed,
            self.gaps,
            self.closed,
            self.loaded,
            self.joined,
            self.posted,
            self.outdated,
            self.kicked,
            self.put_out,
            self.answered,
            self.in_doubt,
            self.asked,
        ];
        assert!(
            happened.iter().all(|count| *count > 0),
            "not all was tried: {self:?}"
        );
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self {
            delivered,
            recovered,
            refused,
            healed,
            gaps,
            closed,
            loaded,
            joined,
            posted,
            outdated,
            kicked,
            put_out,
            answered,
            in_doubt,
            asked,
            is_ending: _,
            transcript,
        } = other;
        self.delivered += delivered;
        self.recovered += recovered;
        self.refused += refused;
        self.healed += healed;
        self.gaps += gaps;
        self.closed += closed;
        self.loaded += loaded;
        self.joined += joined;
        self.posted += posted;
        self.outdated += outdated;
        self.kicked += kicked;
        self.put_out += put_out;
        self.answered += answered;
        self.in_doubt += in_doubt;
        self.asked += asked;
        self.transcript ^= transcript;
    }
}
