//! The table of close codes: the registry's part, and the advice to clients.

use nextrush_protocol::Retry::{Later, Never, Now};
use nextrush_protocol::{CloseCode, CloseFrame, Frame, Limits, ProtocolError, Role};

use crate::wire::{CLOSE, frame, said};

#[test]
fn every_registered_code_has_its_name_a_place_on_the_wire_or_none_and_an_advice() {
    for (code, number, name, is_sendable, retry) in [
        (CloseCode::NORMAL, 1000, "Normal Closure", true, Now),
        (CloseCode::GOING_AWAY, 1001, "Going Away", true, Now),
        (CloseCode::PROTOCOL_ERROR, 1002, "Protocol error", true, Now),
        (
            CloseCode::UNSUPPORTED_DATA,
            1003,
            "Unsupported Data",
            true,
            Now,
        ),
        (CloseCode::new(1004), 1004, "Reserved", false, Later),
        (CloseCode::NO_STATUS, 1005, "No Status Rcvd", false, Now),
        (CloseCode::ABNORMAL, 1006, "Abnormal Closure", false, Now),
        (
            CloseCode::INVALID_PAYLOAD,
            1007,
            "Invalid frame payload data",
            true,
            Now,
        ),
        (
            CloseCode::POLICY_VIOLATION,
            1008,
            "Policy Violation",
            true,
            Never,
        ),
        (
            CloseCode::MESSAGE_TOO_BIG,
            1009,
            "Message Too Big",
            true,
            Now,
        ),
        (
            CloseCode::MANDATORY_EXTENSION,
            1010,
            "Mandatory Ext.",
            true,
            Later,
        ),
        (
            CloseCode::INTERNAL_ERROR,
            1011,
            "Internal Error",
            true,
            Later,
        ),
        (
            CloseCode::SERVICE_RESTART,
            1012,
            "Service Restart",
            true,
            Now,
        ),
        (
            CloseCode::TRY_AGAIN_LATER,
            1013,
            "Try Again Later",
            true,
            Later,
        ),
        (CloseCode::BAD_GATEWAY, 1014, "Bad Gateway", true, Later),
        (
            CloseCode::TLS_HANDSHAKE,
            1015,
            "TLS handshake",
            false,
            Later,
        ),
        (CloseCode::new(1016), 1016, "Unassigned", false, Later),
        (CloseCode::new(2999), 2999, "Unassigned", false, Later),
        (CloseCode::UNAUTHORIZED, 3000, "Unauthorized", true, Never),
        (CloseCode::new(3001), 3001, "Unassigned", true, Later),
        (CloseCode::FORBIDDEN, 3003, "Forbidden", true, Never),
        (CloseCode::TIMEOUT, 3008, "Timeout", true, Now),
        (CloseCode::new(3999), 3999, "Unassigned", true, Later),
        (CloseCode::new(4000), 4000, "Private Use", true, Later),
        (CloseCode::new(4999), 4999, "Private Use", true, Later),
        (CloseCode::new(5000), 5000, "Unassigned", false, Later),
        (CloseCode::new(0), 0, "Unassigned", false, Later),
        (CloseCode::new(999), 999, "Unassigned", false, Later),
    ] {
        assert_eq!(CloseCode::from(number), code);
        assert_eq!(u16::from(code), number);
        assert_eq!(code.name(), name);
        assert_eq!(code.to_string(), format!("{number} ({name})"));
        assert_eq!(code.is_sendable(), is_sendable, "{code}");
        assert_eq!(code.retry(), retry, "{code}");
    }
}

#[test]
fn a_code_that_may_not_be_sent_is_neither_written_nor_taken() {
    for number in 0..=u16::MAX {
        let code = CloseCode::new(number);
        let payload = number.to_be_bytes();
        let close = CloseFrame::new(code, "");
        let written = Frame::close(Some(&close));
        let read = said(Role::Server, Limits::default(), &frame(CLOSE, &payload));
        if matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            assert_eq!(written.as_bytes()[2..], payload);
            assert_eq!(read.error, None);
        } else {
            assert_eq!(written, Frame::close(None));
            assert_eq!(read.error, Some(ProtocolError::InvalidCloseCode(code)));
        }
    }
}
