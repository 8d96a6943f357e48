//! The entries of the log of posts.

use nextrush::User;
use nextrush::message::Timestamp;
use serde::{Deserialize, Serialize};

use super::Post;

/// An entry of the log, in the form in which it is published.
///
/// The form of version 1 stays readable: fields and kinds may be added, and a node passes over an
/// entry of a kind that it does not know.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    /// The number by which ids are higher than offsets: the highest id that a store had given out
    /// before it had a log.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) plus: u64,
    /// The highest id of a post that had to make room for newer ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) floor: u64,
    #[serde(flatten)]
    pub(super) what: What,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum What {
    /// A new post, whose id is the entry's offset and what ids are higher.
    Created(Draft),
    /// The post as its author has changed it. Of two changes of one version the first counts.
    Changed { post: Post },
    /// The post as it is, again, as the log would forget the entry before soon.
    Kept { post: Post },
}

/// A post that has no id yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) author: User,
    pub(super) created_at: Timestamp,
}

impl Draft {
    pub(super) fn into_post(self, id: u64) -> Post {
        Post {
            id,
            title: self.title,
            body: self.body,
            author: self.author,
            created_at: self.created_at,
            updated_at: self.created_at,
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_of_version_1_stay_readable() {
        let author = json!({ "id": "ada", "email": "ada@example.com" });
        let at = "2026-11-28T13:39:58.707Z";
        let post = json!({
            "id": 12, "title": "a", "body": "b", "author": author,
            "createdAt": at, "updatedAt": at, "version": 3,
        });
        for entry in [
            json!({
                "type": "created", "title": "a", "body": "b", "author": author, "createdAt": at,
            }),
            json!({ "plus": 7, "floor": 2, "type": "changed", "post": post }),
            json!({ "type": "kept", "post": post }),
        ] {
            let read: Entry = serde_json::from_str(&entry.to_string()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), entry);
        }
    }
}
