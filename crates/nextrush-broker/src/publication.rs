use bytes::Bytes;

/// One message of a topic, as everybody sees it.
///
/// It is never copied: history and every receiver share it behind an
/// [`Arc`](std::sync::Arc).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its number in the topic, from 1.
    pub offset: u64,
    /// When it was published, in milliseconds since 1970. Never falls within a topic,
    /// even if the clock is set back.
    pub time_ms: u64,
    /// What was published.
    pub data: Bytes,
}
