use std::borrow::Cow;
use std::fmt;

use nextrush_protocol::{CloseCode, CloseFrame};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReason {
    /// What the client's close frame said, also when it answers ours (RFC 6455 §7.1.5);
    /// [`CloseCode::NO_STATUS`] if it had no code. Without a frame from the client: the
    /// code of the [error](crate::ConnectionError::close_code) that ended the connection,
    /// else [`CloseCode::ABNORMAL`].
    pub code: CloseCode,
    /// The reason in the client's close frame, or what went wrong; may be empty.
    pub reason: Cow<'static, str>,
    /// Whether the client took its part in closing: its close frame came.
    pub clean: bool,
}

/// The code and, if there is one, the reason.
impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if self.reason.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.reason)
    }
}

impl CloseReason {
    pub(crate) fn from_peer(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self {
                code: frame.code(),
                reason: Cow::Owned(frame.reason().to_owned()),
                clean: true,
            },
            None => Self {
                code: CloseCode::NO_STATUS,
                reason: Cow::Borrowed(""),
                clean: true,
            },
        }
    }

    /// The connection ended without a close frame from the client.
    pub(crate) fn unclean(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
            clean: false,
        }
    }
}
