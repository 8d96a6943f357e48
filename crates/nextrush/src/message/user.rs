//! The user that a token names.

use std::fmt;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use super::code::ErrorCode;
use super::invisible::{has_invisible, has_unshowable};

/// The user of the guide's tokens, from the claims `id` and `email`.
///
/// Written as exactly `{"id":…,"email":…}`; further claims of the token are
/// ignored.
///
/// ```
/// use nextrush::User;
///
/// let claims = r#"{"id":7,"email":"ada@example.com","exp":4102444800}"#;
/// let user: User = serde_json::from_str(claims)?;
/// assert_eq!(user.id, 7.into());
/// assert_eq!(serde_json::to_string(&user)?, r#"{"id":7,"email":"ada@example.com"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub struct User {
    /// The id, which tells users apart.
    pub id: UserId,
    /// The mail address, or whatever else is shown as the name. A token's holds no invisible
    /// characters but joiners, and is not checked further.
    #[serde(deserialize_with = "showable")]
    pub email: String,
}

fn showable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match has_unshowable(&text) {
        true => Err(D::Error::custom("a name has no invisible characters")),
        false => Ok(text),
    }
}

impl User {
    /// A user with this id and mail address.
    #[must_use]
    pub fn new(id: impl Into<UserId>, email: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            email: email.into(),
        }
    }
}

/// A user's id: a number or a text, as the token has it.
///
/// 1 and 1.0 are the same id, 1 and `"1"` are not. An id has one JSON form, so
/// that the form can serve as a key.
///
/// A number must be an integer within ±(2⁵³ − 1), which every program reads alike: in
/// JavaScript 9007199254740993 is 9007199254740992, and two users would share one id. Larger
/// ids are texts. A text that is read has no invisible characters; one that the application makes is
/// its own affair.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "GivenUserId")]
pub struct UserId(Repr);

/// A number or text that is no id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUserId {
    /// A number that is fractional, or whose neighbours could not be told from it.
    #[error("a user id is a text or an integer within ±(2^53 - 1); a larger one must be a text")]
    NotExact,
    /// A text with characters that nobody sees: two ids that look alike would be two users.
    #[error("a user id has no invisible characters")]
    Invisible,
}

impl InvalidUserId {
    /// The code that a client is told which names a user.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotExact => ErrorCode::IdNotExact,
            Self::Invisible => ErrorCode::InvalidName,
        }
    }
}

#[derive(Clone, Eq, Hash, PartialEq, Serialize)]
#[serde(untagged)]
enum Repr {
    Number(i64),
    /// Shared: many parts of a node remember who a socket belongs to.
    Text(Arc<str>),
}

/// A user's id as a message or request gives it: any number or text. Which numbers are ids is
/// asked with [`UserId::try_from`], so that a refusal can say what is wrong.
///
/// ```
/// use nextrush::auth::{GivenUserId, UserId};
///
/// let given: GivenUserId = serde_json::from_str("9007199254740993")?;
/// assert!(UserId::try_from(given).is_err());
/// let given: GivenUserId = serde_json::from_str("7.0")?;
/// assert_eq!(UserId::try_from(given), Ok(7.into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
#[non_exhaustive]
pub enum GivenUserId {
    /// A number, which may be no id.
    Number(Number),
    /// A text.
    Text(Box<str>),
}

/// 2⁵³ − 1, up to which no two integers are the same `f64`.
const MAX_EXACT: i64 = (1 << 53) - 1;

impl TryFrom<GivenUserId> for UserId {
    type Error = InvalidUserId;

    fn try_from(given: GivenUserId) -> Result<Self, InvalidUserId> {
        let number = match given {
            GivenUserId::Text(text) if has_invisible(&text) => {
                return Err(InvalidUserId::Invisible);
            }
            GivenUserId::Text(text) => return Ok(Self(Repr::Text(text.into()))),
            GivenUserId::Number(number) => number,
        };
        if let Some(integer) = number.as_i64() {
            return Self::try_from(integer);
        }
        let float = number.as_f64().ok_or(InvalidUserId::NotExact)?;
        // Saturates, and `-0.0` is 0.
        let integer = float as i64;
        if integer as f64 == float {
            Self::try_from(integer)
        } else {
            Err(InvalidUserId::NotExact)
        }
    }
}

impl TryFrom<i64> for UserId {
    type Error = InvalidUserId;

    fn try_from(number: i64) -> Result<Self, InvalidUserId> {
        if (-MAX_EXACT..=MAX_EXACT).contains(&number) {
            Ok(Self(Repr::Number(number)))
        } else {
            Err(InvalidUserId::NotExact)
        }
    }
}

impl TryFrom<u64> for UserId {
    type Error = InvalidUserId;

    fn try_from(number: u64) -> Result<Self, InvalidUserId> {
        i64::try_from(number)
            .map_err(|_| InvalidUserId::NotExact)?
            .try_into()
    }
}

impl From<String> for UserId {
    fn from(text: String) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl From<&str> for UserId {
    fn from(text: &str) -> Self {
        Self(Repr::Text(text.into()))
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {
        $(impl From<$integer> for UserId {
            fn from(number: $integer) -> Self {
                Self(Repr::Number(number.into()))
            }
        })*
    };
}

from_integer!(i32, u32);

/// The number or the text as it is.
impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => number.fmt(f),
            Repr::Text(text) => text.fmt(f),
        }
    }
}

/// The JSON form, which shows a number and a text apart.
impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => fmt::Display::fmt(number, f),
            Repr::Text(text) => fmt::Debug::fmt(text, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn id(json: &str) -> UserId {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_id_is_written_as_it_was_in_the_token() {
        for json in [
            "0",
            "1",
            "-1",
            "9007199254740991",
            "-9007199254740991",
            r#""""#,
            r#""1""#,
            r#""a b""#,
        ] {
            assert_eq!(serde_json::to_string(&id(json)).unwrap(), json);
        }
    }

    #[test]
    fn one_number_is_one_id_however_it_is_written() {
        for (one, other) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("0", "-0.0"),
            ("-3", "-3.0"),
            ("9007199254740991", "9007199254740991.0"),
        ] {
            assert_eq!(id(one), id(other), "{one} {other}");
            let set = HashSet::from([id(one), id(other)]);
            assert_eq!(set.len(), 1, "{one} {other}");
            assert_eq!(
                serde_json::to_string(&id(one)).unwrap(),
                serde_json::to_string(&id(other)).unwrap()
            );
        }
    }

    #[test]
    fn ids_and_names_of_tokens_can_be_seen() {
        let user = |id: &str, email: &str| {
            let claims = serde_json::json!({ "id": id, "email": email });
            serde_json::from_value::<User>(claims).is_ok()
        };
        assert!(user("ada", "👩\u{200d}💻"));
        for wrong in ["a\0", "\u{202e}a", "a\u{200b}", "\u{feff}"] {
            assert!(!user(wrong, "ada"), "{wrong:?}");
            assert!(!user("ada", wrong), "{wrong:?}");
        }
        assert!(!user("a\u{200d}b", "ada"));
    }

    #[test]
    fn a_number_and_its_text_are_two_ids() {
        assert_ne!(id("1"), id(r#""1""#));
        assert_ne!(id("1"), id("2"));
        assert_ne!(id("9007199254740991"), id("9007199254740990"));
        assert_ne!(id(r#""9007199254740993""#), id(r#""9007199254740992""#));
        assert_eq!(format!("{:?} {:?}", id("1"), id(r#""1""#)), r#"1 "1""#);
    }

    #[test]
    fn an_id_displays_without_quotes() {
        assert_eq!(id("1.0").to_string(), "1");
        assert_eq!(id(r#""ada""#).to_string(), "ada");
    }

    #[test]
    fn ids_made_in_code_equal_those_of_tokens() {
        assert_eq!(UserId::from(1), id("1"));
        assert_eq!(
            UserId::try_from(9_007_199_254_740_991_u64),
            Ok(id("9007199254740991"))
        );
        assert_eq!(
            UserId::try_from(9_007_199_254_740_992_u64),
            Err(InvalidUserId::NotExact)
        );
        assert_eq!(UserId::try_from(u64::MAX), Err(InvalidUserId::NotExact));
        assert_eq!(UserId::try_from(i64::MIN), Err(InvalidUserId::NotExact));
        assert_eq!(UserId::from("ada"), id(r#""ada""#));
        assert_eq!(UserId::from(String::from("ada")), id(r#""ada""#));
    }

    #[test]
    fn numbers_that_two_users_could_share_and_other_types_are_refused() {
        for json in [
            "9007199254740992",
            "9007199254740993",
            "-9007199254740992",
            "18446744073709551615",
            "18446744073709551616",
            "9007199254740992.0",
            "1.5",
            "1e-300",
            "-1e300",
            "1e400",
            "null",
            "true",
            "[1]",
            r#"{"id":1}"#,
        ] {
            let refused = serde_json::from_str::<UserId>(json);
            assert!(refused.is_err(), "{json}: {refused:?}");
        }
    }

    #[test]
    fn a_user_is_written_with_id_and_email_only() {
        let claims = r#"{"exp":1,"email":"ada@example.com","admin":true,"id":"ada"}"#;
        let user: User = serde_json::from_str(claims).unwrap();
        assert_eq!(
            serde_json::to_string(&user).unwrap(),
            r#"{"id":"ada","email":"ada@example.com"}"#
        );
    }

    #[test]
    fn a_user_without_id_or_email_or_with_either_twice_is_refused() {
        for json in [
            r#"{"email":"e"}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"id":2,"email":"e"}"#,
            r#"{"id":1,"email":"e","email":"f"}"#,
            r#"{"id":1,"email":null}"#,
        ] {
            assert!(serde_json::from_str::<User>(json).is_err(), "{json}");
        }
    }
}
