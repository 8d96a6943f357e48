//! The code of a refusal, to be counted.

use super::code::ErrorCode;

/// The code of a refusal: the place of one of [`ErrorCode::ALL`], or behind these any code of the
/// application's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused(u8);

impl Refused {
    pub(crate) fn of(code: &str) -> Self {
        let known = ErrorCode::ALL
            .iter()
            .position(|known| known.as_str() == code);
        let place = known.unwrap_or(ErrorCode::ALL.len());
        Self(u8::try_from(place).expect("there are fewer than 255 codes"))
    }

    /// The place among all codes, from 0.
    pub(crate) fn place(self) -> usize {
        usize::from(self.0)
    }
}
