//! Long messages: left in a read buffer until they are whole, or read into their own place.

use nextrush_protocol::{Decoder, Event, Inflater, Limits, ProtocolError, Role};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::wire::{
    BINARY, BINARY_START, LAST, MASK, MORE, PING, Said, TEXT, decode, feed, frame, frame_to, header,
};

const LIMITS: Limits = Limits::message(1 << 20);

/// The bookkeeping, and the payload of a control frame between fragments.
const OVERHEAD: usize = 128 + 256;

/// Decodes as a caller does that has a read buffer of `room` bytes, from a wire that gives at most
/// `sizes` bytes at a time, and that gives a message in the buffer up after some of the reads.
fn read(role: Role, mut wire: &[u8], room: usize, sizes: &[usize]) -> Said {
    let mut decoder = Decoder::new(role, LIMITS);
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    let mut buffer = vec![0; room];
    let (mut start, mut end, mut missing) = (0, 0, 0);
    let whole = wire.len();
    let mut sizes = sizes.iter().cycle();
    while !wire.is_empty() {
        let size = *sizes.next().expect("an endless supply");
        let direct = decoder.read_payload(|message| {
            let free = message.capacity() - message.len();
            let (now, later) = wire.split_at(free.min(size).min(wire.len()));
            message.extend_from_slice(now);
            wire = later;
        });
        if direct.is_some() {
            assert_eq!(start, end, "read past what is not decoded");
        } else {
            let asked = if missing > 0 { missing } else { room - end };
            let (now, later) = wire.split_at(asked.min(size).min(wire.len()));
            buffer[end..end + now.len()].copy_from_slice(now);
            end += now.len();
            wire = later;
        }
        let gives_up = size.is_multiple_of(3) || wire.is_empty();
        let rooms: &[usize] = if gives_up { &[room, 0] } else { &[room] };
        for room in rooms {
            let left = take(&mut decoder, &mut buffer[start..end], *room, &mut said);
            start = end - left;
        }
        missing = decoder.missing(&buffer[start..end]);
        assert_eq!(missing > 0, start < end, "left without a reason");
        if end + missing > room {
            buffer.copy_within(start..end, 0);
            (start, end) = (0, end - start);
        } else if start == end {
            (start, end) = (0, 0);
        }
        let fed = whole - wire.len();
        assert!(decoder.buffered() <= 2 * fed + 256 + OVERHEAD);
    }
    assert_eq!(start, end, "bytes are left");
    said
}

/// Takes the events in `input`. Returns how many bytes are left there.
fn take(decoder: &mut Decoder, mut input: &mut [u8], room: usize, said: &mut Said) -> usize {
    let mut inflater = Inflater::new();
    loop {
        match decoder.decode_within(&mut input, room, &mut inflater) {
            Ok(Some(event)) => said.events.push(event.into_owned()),
            Ok(None) => return input.len(),
            Err(error) => assert_eq!(said.error.replace(error), None, "a second error"),
        }
    }
}

/// Frames of long and short messages, each as first byte and payload.
fn frames() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let length = prop_oneof![
        2 => 0..200usize,
        1 => 16_300..16_500usize,
        2 => 30_000..140_000usize,
    ];
    let text = |length: usize| "aé€😀".chars().cycle().take(length / 2).collect::<String>();
    let data = |length: usize| (0..length).map(|at| (at * 7) as u8).collect::<Vec<u8>>();
    let message = (length, any::<Index>(), 0..6u8).prop_map(move |(length, at, kind)| match kind {
        0 | 1 => vec![(TEXT, text(length).into_bytes())],
        2 | 3 => vec![(BINARY, data(length))],
        4 => {
            let payload = data(length);
            let (start, end) = payload.split_at(at.index(length + 1));
            vec![
                (BINARY_START, start.to_vec()),
                (PING, b"between".to_vec()),
                (MORE, Vec::new()),
                (LAST, end.to_vec()),
            ]
        }
        _ => vec![(PING, b"alone".to_vec())],
    });
    vec(message, 1..5).prop_map(|messages| messages.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_read_buffer_of_any_size_gives_the_same_events(
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
        frames in frames(),
        broken in proptest::option::of((any::<Index>(), any::<Index>())),
        room in prop_oneof![20..300usize, 1_000..20_000usize, 60_000..300_000usize],
        sizes in vec(prop_oneof![1..40usize, 1_000..30_000usize, Just(usize::MAX)], 1..12),
    ) {
        // The sizes are few, so that no more than some of them are small.
        let sizes = [sizes, vec![40_001, usize::MAX]].concat();
        let mut frames = frames;
        if let Some((which, at)) = broken {
            let payload = &mut which.get_mut(&mut frames).1;
            if !payload.is_empty() {
                *at.get_mut(payload) = 0xFF;
            }
        }
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, payload)| frame_to(role, *first, payload))
            .collect();
        let (expected, _) = decode(role, LIMITS, [&bytes[..]]);
        let said = read(role, &bytes, room, &sizes);
        // Not `prop_assert_eq`: a failure would print all of it.
        prop_assert!(said == expected);
    }
}

/// A decoder to which the beginning of a frame has come.
fn begun(first: u8, announced: u64, arrived: usize) -> Decoder {
    let mut decoder = Decoder::new(Role::Server, Limits::message(16 << 20));
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    let bytes = [header(first, announced), vec![MASK[0]; arrived]].concat();
    feed(&mut decoder, &bytes, &mut said);
    assert_eq!(said.events.len(), 0);
    decoder
}

#[test]
fn an_announced_payload_that_is_read_into_its_place_reserves_no_more_than_has_arrived() {
    let mut decoder = begun(BINARY, 16 << 20, 20_000);
    let mut arrived = 20_000;
    for _ in 0..8 {
        let read = decoder.read_payload(|message| {
            assert_eq!(message.len(), arrived);
            assert!(message.capacity() <= 2 * arrived, "{}", message.capacity());
            let free = message.capacity() - message.len();
            message.resize(message.capacity(), 0);
            free
        });
        arrived += read.expect("a long payload is under way");
    }
    // Asked again and again while nothing comes.
    let most = decoder.buffered();
    for _ in 0..100 {
        assert_eq!(decoder.read_payload(|message| message.len()), Some(arrived));
        assert!(decoder.buffered() <= most.max(2 * arrived + OVERHEAD));
    }
}

#[test]
fn only_a_long_rest_of_a_long_binary_message_is_read_into_its_place() {
    for (what, mut decoder) in [
        ("nothing", Decoder::new(Role::Server, LIMITS)),
        ("a text", begun(TEXT, 1 << 20, 20_000)),
        ("little has come", begun(BINARY, 1 << 20, 16 * 1024 - 1)),
        ("little is missing", begun(BINARY, 36_000, 20_000)),
        (
            "more fragments follow",
            begun(BINARY_START, 1 << 20, 20_000),
        ),
    ] {
        assert_eq!(decoder.read_payload(|_| ()), None, "{what}");
    }
    assert_eq!(begun(BINARY, 40_000, 20_000).read_payload(|_| ()), Some(()));
}

#[test]
fn bytes_beyond_the_room_for_a_payload_are_dropped() {
    let mut decoder = begun(BINARY, 40_000, 20_000);
    decoder.read_payload(|message| {
        let masked = MASK.iter().cycle().take(30_000);
        message.extend(masked);
    });
    let event = decoder.decode(&mut [].as_mut_slice());
    let Ok(Some(Event::Binary(data))) = event else {
        panic!("the message is complete: {event:?}");
    };
    assert_eq!(data.len(), 40_000);
    assert!(data[20_000..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_message_is_left_in_the_buffer_while_it_has_a_place_there() {
    let mut bytes = frame(TEXT, b"hello");
    let whole = bytes.len();
    let mut inflater = Inflater::new();
    for (room, is_left) in [
        (whole, true),
        (whole + 1, true),
        (whole - 1, false),
        (0, false),
    ] {
        let mut decoder = Decoder::new(Role::Server, LIMITS);
        let mut copy = bytes[..whole - 2].to_vec();
        let mut input = copy.as_mut_slice();
        assert_eq!(
            decoder.decode_within(&mut input, room, &mut inflater),
            Ok(None)
        );
        assert_eq!(!input.is_empty(), is_left, "room for {room}");
        assert_eq!(decoder.missing(input), if is_left { 2 } else { 0 });
        assert_eq!(decoder.buffered() == 0, is_left);
    }
    // A whole one is lent from where it is.
    let mut decoder = Decoder::new(Role::Server, LIMITS);
    let event = decoder.decode_within(&mut bytes.as_mut_slice(), whole, &mut inflater);
    assert!(matches!(
        event,
        Ok(Some(Event::Text(std::borrow::Cow::Borrowed("hello"))))
    ));
}

#[test]
fn what_is_no_message_or_no_right_one_is_not_left_in_the_buffer() {
    let mut inflater = Inflater::new();
    let too_big = ProtocolError::MessageTooBig { limit: 1 << 20 };
    for (bytes, error) in [
        (frame(PING, b"hello"), None),
        (frame(BINARY_START, b"hello"), None),
        (header(TEXT, 300)[..3].to_vec(), None),
        (header(TEXT, (1 << 20) + 1), Some(too_big)),
    ] {
        let mut decoder = Decoder::new(Role::Server, LIMITS);
        let mut copy = bytes[..bytes.len() - 1].to_vec();
        let mut input = copy.as_mut_slice();
        let result = decoder.decode_within(&mut input, usize::MAX, &mut inflater);
        assert_eq!(result.err(), error);
        assert!(input.is_empty());
    }
}
