//! The close frame: its code and reason, written and parsed.

use crate::close_code::CloseCode;
use crate::error::ProtocolError;
use crate::header::MAX_CONTROL_PAYLOAD;
use crate::utf8;

/// The code and reason of a close frame (RFC 6455 §5.5.1).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: String,
}

impl CloseFrame {
    /// The longest reason in bytes of UTF-8: the payload of a control frame without the code.
    pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

    /// Combines a code and a reason. A reason longer than [`MAX_REASON`](Self::MAX_REASON) is
    /// cut between two characters.
    ///
    /// ```
    /// use nextrush_protocol::{CloseCode, CloseFrame};
    ///
    /// let frame = CloseFrame::new(CloseCode::GOING_AWAY, "é".repeat(100));
    /// assert_eq!(frame.code(), CloseCode::GOING_AWAY);
    /// assert_eq!(frame.reason(), "é".repeat(61));
    /// ```
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let mut end = reason.len().min(Self::MAX_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        Self { code, reason }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason in words; often empty, at most [`MAX_REASON`](Self::MAX_REASON) bytes.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Parses the payload of a close frame, of at most 125 bytes.
    pub(crate) fn parse(payload: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::TruncatedCloseCode),
            [high, low, reason @ ..] => (CloseCode::new(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.is_sendable() {
            return Err(ProtocolError::InvalidCloseCode(code));
        }
        let reason = utf8::check(reason).ok_or(ProtocolError::InvalidCloseReason)?;
        Ok(Some(Self {
            code,
            reason: reason.to_owned(),
        }))
    }
}
