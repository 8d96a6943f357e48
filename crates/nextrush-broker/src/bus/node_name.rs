//! Names of nodes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of a node: 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`.
///
/// ```
/// use nextrush_broker::NodeName;
///
/// assert_eq!(NodeName::try_from("web-1.example")?.as_str(), "web-1.example");
/// assert!(NodeName::try_from("web 1").is_err());
/// # Ok::<(), nextrush_broker::NodeNameError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 64;

    /// A name that no other node has: `node-` and 8 random digits.
    #[must_use]
    pub fn random() -> Self {
        // The last bits of RFC 9562 §5.7 are random.
        let random = uuid::Uuid::now_v7().as_u128() & 0xffff_ffff;
        Self(format!("node-{random:08x}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error of a text that is no [`NodeName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a node's name has 1 to {max} letters, digits, dots, underscores and dashes", max = NodeName::MAX_BYTES)]
#[non_exhaustive]
pub struct NodeNameError;

impl TryFrom<&str> for NodeName {
    type Error = NodeNameError;

    fn try_from(text: &str) -> Result<Self, NodeNameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.into()))
        } else {
            Err(NodeNameError)
        }
    }
}

impl Serialize for NodeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Self::try_from(&*text).map_err(de::Error::custom)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
