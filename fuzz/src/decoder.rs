use nextrush_protocol::{Limits, Role};

use crate::by_the_book;
use crate::said::{Said, cut};

/// Any bytes, as one stream to a `Decoder` of any role and limits, cut anyhow.
///
/// Promises: events and errors are those that RFC 6455 demands, and the same for every
/// cut; there is at most one error, and nothing after it or after a close; what is kept
/// in memory stays below the limit and in proportion to what has arrived.
///
/// An input is 8 bytes and a stream: role (even: server, odd: client); message limit and
/// frame limit, 2 bytes each, the lower one first, `ff ff` meaning none; three lengths of
/// pieces, used in turn.
pub fn decoder(input: &[u8]) {
    let Some(([role, message, more_message, frame, more_frame, lengths @ ..], stream)) =
        input.split_first_chunk::<8>()
    else {
        return;
    };
    let role = if role % 2 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let limits =
        Limits::message(limit([*message, *more_message])).frame(limit([*frame, *more_frame]));

    let expected = by_the_book::decode(role, limits, stream);
    let lengths = lengths.map(usize::from);
    for lengths in [&[0], &[1], &lengths[..]] {
        let (said, _) = Said::by_decoder(role, limits, cut(stream, lengths));
        assert_eq!(
            said, expected,
            "{role:?}, {limits:?}, pieces of {lengths:?}"
        );
    }
}

fn limit(bytes: [u8; 2]) -> usize {
    match u16::from_le_bytes(bytes) {
        u16::MAX => usize::MAX,
        limit => usize::from(limit),
    }
}
