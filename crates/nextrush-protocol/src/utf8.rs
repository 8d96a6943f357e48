//! UTF-8 (RFC 3629), whole and in pieces.

use std::str;

/// The length below which the standard library's check is faster.
const SIMD_FROM: usize = 64;

/// The bytes as text; `None` if they are not UTF-8.
pub(crate) fn check(bytes: &[u8]) -> Option<&str> {
    if bytes.len() < SIMD_FROM {
        str::from_utf8(bytes).ok()
    } else {
        simdutf8::basic::from_utf8(bytes).ok()
    }
}

/// A text that arrives in pieces, cut anywhere. Each byte is checked once, when it arrives.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer {
    /// The whole characters.
    text: String,
    /// The beginning of an incomplete character.
    tail: [u8; 4],
    tail_len: u8,
}

impl TextBuffer {
    pub(crate) fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_len)
    }

    /// The whole characters, and the beginning of an incomplete one.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        [
            self.text.as_bytes(),
            &self.tail[..usize::from(self.tail_len)],
        ]
    }

    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Grows the buffer to `capacity` bytes if it is smaller.
    pub(crate) fn grow_to(&mut self, capacity: usize) {
        self.text
            .reserve_exact(capacity.saturating_sub(self.text.len()));
    }

    /// Appends `bytes`; `None` as soon as no continuation could make the text valid.
    #[must_use]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let bytes = self.complete_tail(bytes)?;
        let (whole, tail) = bytes.split_at(bytes.len() - unfinished(bytes));
        self.text.push_str(check(whole)?);
        for &byte in tail {
            self.push_to_tail(byte)?;
        }
        Some(())
    }

    /// The text; `None` if it ends inside a character.
    pub(crate) fn finish(self) -> Option<String> {
        (self.tail_len == 0).then_some(self.text)
    }

    /// Completes the incomplete character from the front of `bytes`. Returns the rest.
    fn complete_tail<'b>(&mut self, mut bytes: &'b [u8]) -> Option<&'b [u8]> {
        while self.tail_len > 0
            && let [first, rest @ ..] = bytes
        {
            self.push_to_tail(*first)?;
            bytes = rest;
        }
        Some(bytes)
    }

    fn push_to_tail(&mut self, byte: u8) -> Option<()> {
        let end = usize::from(self.tail_len);
        *self.tail.get_mut(end)? = byte;
        match str::from_utf8(&self.tail[..=end]) {
            Ok(character) => {
                self.text.push_str(character);
                self.tail_len = 0;
            }
            // Without a length the error means that the character is incomplete.
            Err(error) if error.error_len().is_none() => self.tail_len += 1,
            Err(_) => return None,
        }
        Some(())
    }
}

/// The number of bytes, 0 to 3, of an incomplete character at the end. Invalid bytes count as
/// complete; [`check`] finds them.
fn unfinished(bytes: &[u8]) -> usize {
    for (back, byte) in (1..=3).zip(bytes.iter().rev()) {
        let width = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        return if width > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use std::str;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::TextBuffer;

    /// Feeds `bytes` one by one. Returns the number of bytes before the refusal.
    fn first_refused(bytes: &[u8]) -> Option<usize> {
        let mut buffer = TextBuffer::default();
        bytes
            .iter()
            .position(|byte| buffer.push(&[*byte]).is_none())
    }

    #[test]
    fn text_is_refused_at_the_first_byte_that_no_continuation_could_save() {
        for (bytes, refused) in [
            (&b"ab\xff"[..], 2), // no such byte in UTF-8
            (b"\x80", 0),        // continuation without a start
            (b"\xc0\xaf", 0),    // overlong, two bytes
            (b"\xc1\xbf", 0),
            (b"\xe0\x80\xaf", 1), // overlong, three bytes
            (b"\xe0\x9f\xbf", 1),
            (b"\xf0\x80\x80\xaf", 1), // overlong, four bytes
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xed\xa0\x80", 1), // surrogates
            (b"\xed\xbf\xbf", 1),
            (b"\xf4\x90\x80\x80", 1), // beyond U+10FFFF
            (b"\xf5\x80\x80\x80", 0),
            (b"\xf8\x88\x80\x80", 0), // five bytes
            (b"\xe2\x82A", 2),        // character broken off
            (b"\xf0\x9f\x98A", 3),
        ] {
            assert_eq!(first_refused(bytes), Some(refused), "{bytes:02x?}");
        }
    }

    #[test]
    fn the_edges_of_every_width_are_taken() {
        let edges =
            "\0\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{10ffff}";
        assert_eq!(first_refused(edges.as_bytes()), None);
    }

    #[test]
    fn text_that_ends_inside_a_character_does_not_finish() {
        let mut buffer = TextBuffer::default();
        assert!(buffer.push(b"a\xe2\x82").is_some());
        assert_eq!(buffer.len(), 3);
        assert_eq!(buffer.finish(), None);
    }

    proptest! {
        // Start and continuation bytes in the mix, so that near misses are common.
        #[test]
        fn any_pieces_are_judged_like_the_whole(
            pieces in vec(vec(prop_oneof![
                Just(0xE2u8), Just(0xF0), Just(0xED), Just(0xF4), 0x80..=0xBFu8, any::<u8>(),
            ], 0..6), 0..6),
        ) {
            let whole = pieces.concat();
            let mut buffer = TextBuffer::default();
            let taken = pieces.iter().try_for_each(|piece| buffer.push(piece));
            let text = taken.and_then(|()| buffer.finish());
            prop_assert_eq!(text.as_deref(), str::from_utf8(&whole).ok());
        }

        #[test]
        fn text_in_any_pieces_comes_out_whole(
            text in "\\PC{0,100}",
            cuts in vec(0..400usize, 0..6),
        ) {
            let mut buffer = TextBuffer::default();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                prop_assert!(buffer.push(piece).is_some());
                rest = tail;
            }
            prop_assert!(buffer.push(rest).is_some());
            prop_assert_eq!(buffer.finish(), Some(text));
        }
    }
}
