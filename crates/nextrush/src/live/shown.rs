//! Members and their changes, as clients see them.

use serde::{Deserialize, Serialize};

use super::device::Data;
use super::snapshot::PAGE_BYTES;
use crate::message::{Timestamp, UserId};
use crate::topic::Profile;

/// A user, and what others see of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) profile: Profile,
}

/// A user who is in a channel, with some of its devices or all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Member {
    pub(super) user: Profile,
    pub(super) devices: Vec<Shown>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Shown {
    #[serde(serialize_with = "as_text")]
    pub(super) id: u64,
    pub(super) since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Data>,
}

/// A device that has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Left {
    pub(super) user: Profile,
    #[serde(serialize_with = "as_text")]
    pub(super) device: u64,
}

/// The changes from one version to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Diff {
    pub(super) version: u64,
    pub(super) joined: Vec<Member>,
    pub(super) left: Vec<Left>,
    pub(super) updated: Vec<Member>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl Member {
    /// The bytes that it takes as JSON, at most.
    pub(super) fn bytes(&self) -> usize {
        let devices: usize = self.devices.iter().map(Shown::bytes).sum();
        user_bytes(&self.user) + devices
    }
}

impl Shown {
    fn bytes(&self) -> usize {
        device_bytes(self.data.as_ref())
    }
}

/// The bytes that a member without devices takes as JSON, at most.
pub(super) fn user_bytes(user: &Profile) -> usize {
    const AROUND: usize = r#"{"user":,"devices":[]},"#.len();
    user.as_json().len() + AROUND
}

/// The bytes that a device takes as JSON, at most.
pub(super) fn device_bytes(data: Option<&Data>) -> usize {
    const AROUND: usize =
        r#"{"id":"18446744073709551615","since":"2026-01-31T09:05:07.123Z","data":},"#.len();
    AROUND + data.map_or(0, Data::len)
}

/// Changes that are told in several messages where one would be too long.
#[derive(Debug, Default)]
pub(super) struct Changes {
    diffs: Vec<Diff>,
    /// The bytes for which the last one has room.
    room: usize,
}

impl Changes {
    pub(super) fn left(&mut self, left: Left) {
        let bytes = user_bytes(&left.user) + device_bytes(None);
        self.with_room(bytes).left.push(left);
    }

    pub(super) fn joined(&mut self, joined: Member) {
        self.with_room(joined.bytes()).joined.push(joined);
    }

    pub(super) fn updated(&mut self, updated: Member) {
        self.with_room(updated.bytes()).updated.push(updated);
    }

    /// The number of messages.
    pub(super) fn len(&self) -> usize {
        self.diffs.len()
    }

    fn with_room(&mut self, bytes: usize) -> &mut Diff {
        match self.room.checked_sub(bytes) {
            Some(room) => self.room = room,
            None => {
                self.diffs.push(Diff::default());
                self.room = PAGE_BYTES.saturating_sub(bytes);
            }
        }
        self.diffs
            .last_mut()
            .expect("without a diff there is no room")
    }

    /// The changes, each with the version after the one before. The first has the one after this.
    pub(super) fn numbered_after(self, version: u64) -> Vec<Diff> {
        let diffs = self.diffs.into_iter();
        let number = |(version, diff)| Diff { version, ..diff };
        (version + 1..).zip(diffs).map(number).collect()
    }
}
