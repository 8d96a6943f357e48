//! Characters that nobody sees, or that change how others are seen.
//!
//! Two names that look alike would be two rooms or users, and a text that turns the direction of
//! writing shows a name as another one.

use unicode_general_category::{GeneralCategory, get_general_category};

/// The rule for names of rooms, as clients are told it. Where an extractor refuses a path, this text
/// is all that is left of the reason.
pub(crate) const ROOM_NAME_RULE: &str =
    "a room name has 1 to 255 bytes and no invisible characters";

/// Returns whether a name or id has characters that nobody sees: controls, formats (joiners, marks
/// of direction, soft hyphens, tags), separators of lines and paragraphs, private use, and the blanks that
/// count as letters.
///
/// Characters that Unicode has not assigned yet are none, as new letters and emoji would be refused
/// until the tables know them. Variation selectors are none where keyboards put them, behind emoji
/// and in keycaps; behind letters nobody sees them, or only whoever has the font.
pub(crate) fn has_invisible(text: &str) -> bool {
    text.chars().any(is_invisible) || has_stray_selector(text)
}

fn has_stray_selector(text: &str) -> bool {
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let is_stray = match char {
            // As text, or as an emoji.
            '\u{fe0e}' | '\u{fe0f}' => match before {
                Some('0'..='9' | '#' | '*') => chars.peek() != Some(&'\u{20e3}'),
                Some(symbol) => symbol.is_alphanumeric() || symbol.is_ascii(),
                None => true,
            },
            '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}' => true,
            _ => false,
        };
        if is_stray {
            return true;
        }
        before = Some(char);
    }
    false
}

/// The same for a text that is shown as a name and told apart by something else: it may join
/// letters and emoji (U+200D), and keep letters apart (U+200C), as Persian does.
pub(crate) fn has_unshowable(text: &str) -> bool {
    text.chars()
        .any(|char| !matches!(char, '\u{200c}' | '\u{200d}') && is_invisible(char))
}

fn is_invisible(char: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, PrivateUse};
    // Most names, at no cost.
    if matches!(char, ' '..='~') {
        return false;
    }
    // The grapheme joiner, the fillers of Hangul and the inherent vowels of Khmer are
    // ignorable (UAX #44, Default_Ignorable_Code_Point), and letters or marks by category. The
    // Braille pattern without dots is a symbol.
    let is_blank = matches!(
        char,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{ffa0}'
    );
    is_blank
        || matches!(
            get_general_category(char),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found_and_letters_of_all_scripts_are_not() {
        for text in [
            "lobby",
            "a b",
            "日本",
            "Zürich 🦀",
            "❤\u{fe0f}",
            "™\u{fe0e}",
            "1\u{fe0f}\u{20e3}",
            "⠁⠃",
            "שלום",
            "हिन्दी",
            "한국",
            "e\u{301}",
            "",
        ] {
            assert!(!has_invisible(text), "{text:?}");
            assert!(!has_unshowable(text), "{text:?}");
        }
        for char in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{2069}',
            '\u{2800}',
            '\u{3164}',
            '\u{e000}',
            '\u{feff}',
            '\u{fff9}',
            '\u{ffa0}',
            '\u{e0041}',
            '\u{10fffd}',
        ] {
            let text = format!("a{char}b");
            assert!(has_invisible(&text), "{text:?}");
            assert!(has_unshowable(&text), "{text:?}");
        }
        for name in [
            "\u{fe0f}",
            "a\u{fe0f}",
            "1\u{fe0f}",
            "葛\u{e0100}",
            "葛\u{fe00}",
            "❤\u{fe0f}\u{fe0d}",
        ] {
            assert!(has_invisible(name), "{name:?}");
            assert!(!has_unshowable(name), "{name:?}");
        }
        for name in ["👩\u{200d}💻", "می\u{200c}خواهم"] {
            assert!(has_invisible(name), "{name:?}");
            assert!(!has_unshowable(name), "{name:?}");
        }
    }
}
