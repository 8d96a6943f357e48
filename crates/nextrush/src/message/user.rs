//! The user that a token names.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Number;

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
    /// The mail address, not checked further.
    pub email: String,
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
/// A number that is no integer of 64 bits must lie within ±2⁵³: beyond that a
/// floating-point number cannot be told from its neighbours, and two users could
/// share one id.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "Wire")]
pub struct UserId(Repr);

/// A number cannot be an id, because its neighbours could not be told from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a user id must be a text, a 64-bit integer or a number within ±2^53")]
#[non_exhaustive]
pub struct InvalidUserId;

#[derive(Clone, Eq, Hash, PartialEq, Serialize)]
#[serde(untagged)]
enum Repr {
    /// An integer wherever its value is one.
    Number(Number),
    Text(Box<str>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
enum Wire {
    Number(Number),
    Text(Box<str>),
}

/// 2⁵³, up to which a `f64` holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl TryFrom<Wire> for UserId {
    type Error = InvalidUserId;

    fn try_from(wire: Wire) -> Result<Self, InvalidUserId> {
        let number = match wire {
            Wire::Text(text) => return Ok(Self(Repr::Text(text))),
            Wire::Number(number) => number,
        };
        if number.is_i64() || number.is_u64() {
            return Ok(Self(Repr::Number(number)));
        }
        match number.as_f64() {
            Some(float) if float.abs() <= EXACT => Ok(Self(Repr::Number(canonical(float, number)))),
            _ => Err(InvalidUserId),
        }
    }
}

/// The integer that a float within ±2⁵³ stands for, or else the number as it was.
fn canonical(float: f64, number: Number) -> Number {
    // No bit is lost: the caller has checked the range, and `-0.0` is 0.
    let integer = float as i64;
    if integer as f64 == float {
        integer.into()
    } else {
        number
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

from_integer!(i32, u32, i64, u64);

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
            "1.5",
            "18446744073709551615",
            "-9223372036854775808",
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
            ("9007199254740992", "9007199254740992.0"),
            ("0.5", "5e-1"),
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
    fn a_number_and_its_text_are_two_ids() {
        assert_ne!(id("1"), id(r#""1""#));
        assert_ne!(id("1"), id("2"));
        assert_ne!(id("9007199254740993"), id("9007199254740992"));
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
        assert_eq!(UserId::from(u64::MAX), id("18446744073709551615"));
        assert_eq!(UserId::from("ada"), id(r#""ada""#));
        assert_eq!(UserId::from(String::from("ada")), id(r#""ada""#));
    }

    #[test]
    fn numbers_that_two_users_could_share_and_other_types_are_refused() {
        for json in [
            "18446744073709551616",
            "9007199254740994.0",
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
