//! The mark of a measured message: its sender, its number among the sender's messages, and the
//! time.

use memchr::memmem;

/// The text before the numbers, and the only thing that must survive whatever a server
/// wraps around a message.
const MARK: &[u8] = b"\"n:";
const DIGITS: usize = 16;
/// `"n:`, a number, `,t:`, a number, `;`.
const STAMP: usize = MARK.len() + DIGITS + 3 + DIGITS + 1;
/// The sender shares a number with the sequence.
const SENDER_SHIFT: u32 = 40;

/// The mark of one message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// The sender's number among those that a receiver hears, from 0.
    pub sender: u32,
    /// Counts the messages of a sender from 0.
    pub sequence: u64,
    /// Nanoseconds on the generator's clock.
    pub sent: u64,
}

impl Stamp {
    /// A JSON object of `size` bytes that carries the stamp. What fills it repeats words, as
    /// usual JSON does.
    pub fn to_json(self, size: usize) -> Vec<u8> {
        let mut json = Vec::with_capacity(size);
        json.extend_from_slice(b"{\"x\":");
        self.write(&mut json);
        fill(&mut json, size.saturating_sub(2));
        json.extend_from_slice(b"\"}");
        json
    }

    /// The stamp as the content of a JSON string, `size` bytes of it.
    pub fn to_text(self, size: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(size + 1);
        self.write(&mut text);
        fill(&mut text, size + 1);
        // The quote belongs to the mark; here it is the one before the string.
        text.remove(0);
        text
    }

    /// The stamp in a message, whatever is around it; `None` if it carries none.
    pub fn find(message: &[u8]) -> Option<Self> {
        // Where `to_json` puts it, before anything is searched.
        let at = match message.get(5..5 + MARK.len()) {
            Some(MARK) => 5,
            _ => memmem::find(message, MARK)?,
        };
        let stamp = message.get(at..at + STAMP)?;
        let number = hex(&stamp[MARK.len()..][..DIGITS])?;
        let sent = hex(&stamp[MARK.len() + DIGITS + 3..][..DIGITS])?;
        Some(Self {
            sender: (number >> SENDER_SHIFT) as u32,
            sequence: number & ((1 << SENDER_SHIFT) - 1),
            sent,
        })
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(MARK);
        write_hex(u64::from(self.sender) << SENDER_SHIFT | self.sequence, out);
        out.extend_from_slice(b",t:");
        write_hex(self.sent, out);
        out.push(b';');
    }
}

fn fill(out: &mut Vec<u8>, size: usize) {
    let words = b" the quick brown fox, price: 1024.50, status: open, id: 77;";
    let missing = size.saturating_sub(out.len());
    out.extend(words.iter().cycle().take(missing));
}

fn write_hex(number: u64, out: &mut Vec<u8>) {
    for shift in (0..DIGITS as u32).rev() {
        out.push(b"0123456789abcdef"[(number >> (shift * 4) & 0xf) as usize]);
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        sender: 9,
        sequence: 0x1234,
        sent: u64::MAX,
    };

    #[test]
    fn a_message_has_the_size_that_is_asked_for_and_is_json() {
        for size in [46, 64, 1024] {
            let json = STAMP.to_json(size);
            assert_eq!(json.len(), size);
            serde_json::from_slice::<serde_json::Value>(&json).unwrap();
        }
    }

    #[test]
    fn a_stamp_is_found_alone_and_wrapped() {
        assert_eq!(Stamp::find(&STAMP.to_json(64)), Some(STAMP));
        let text = String::from_utf8(STAMP.to_text(64)).unwrap();
        assert_eq!(text.len(), 64);
        let wrapped = format!(r#"{{"id":17,"type":"chat-message","text":"{text}"}}"#);
        assert_eq!(Stamp::find(wrapped.as_bytes()), Some(STAMP));
    }

    #[test]
    fn what_carries_no_stamp_is_nothing() {
        for other in [
            &b""[..],
            b"hello",
            b"\"n:",
            br#"{"x":"n:0000000000000000,t:"}"#,
        ] {
            assert_eq!(Stamp::find(other), None);
        }
    }
}
