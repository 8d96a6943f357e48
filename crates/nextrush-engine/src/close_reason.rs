//! The way in which a connection ended, for its handler.

use std::borrow::Cow;
use std::fmt;

use nextrush_protocol::{CloseCode, CloseFrame};

/// The code and the reason with which a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloseReason {
    /// The code of the client's close frame, even if that answers ours (RFC 6455 §7.1.5);
    /// [`CloseCode::NO_STATUS`] if it had no code. Without a frame from the client, the code of
    /// the [error](crate::ConnectionError::close_code) that ended the connection, or
    /// [`CloseCode::ABNORMAL`] if there was none.
    pub code: CloseCode,
    /// The reason in the client's close frame, or the error's description; may be empty.
    pub reason: Cow<'static, str>,
    /// `true` if the client's close frame came.
    pub clean: bool,
}

/// Shows the code and, if there is one, the reason.
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

    /// The reason of a connection that ended without a close frame from the client.
    pub(crate) fn unclean(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
            clean: false,
        }
    }
}
