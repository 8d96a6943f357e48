//! The types of settings.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use nextrush::auth::TokenCookie;
use nextrush::limits::Origin;
use nextrush::server::{BasePath, ListenAddr, TrustedProxy};

use crate::client::{JwksUrl, ServerUrl};
use crate::duration;
use crate::filter::Filter;
use crate::hooks::{HookTimeout, HookUrl};
use crate::log_format::LogFormat;
use crate::secret::Secret;
use crate::size::Size;

/// The shape of a setting's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `true` or `false`; the flag alone is `true`.
    Switch,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A text that nobody may see.
    Secret,
    /// Several texts.
    List,
}

/// A type that settings may have.
pub(crate) trait Value: Sized {
    const KIND: Kind;

    /// Reads a value from its words, of which there is one unless it is a list, and none where
    /// nobody has set it.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    fn read(words: &[String]) -> Result<Self, String>;
}

/// A type of a single word.
pub(crate) trait Word: Sized {
    const KIND: Kind = Kind::Text;

    /// # Errors
    ///
    /// Says what is wrong.
    fn read(word: &str) -> Result<Self, String>;
}

impl<T: Word> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn read(words: &[String]) -> Result<Self, String> {
        words.first().map(|word| T::read(word)).transpose()
    }
}

impl<T: Word> Value for Vec<T> {
    const KIND: Kind = Kind::List;

    fn read(words: &[String]) -> Result<Self, String> {
        words.iter().map(|word| T::read(word)).collect()
    }
}

/// Makes types of one word values that are always there.
macro_rules! always_there {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const KIND: Kind = <Self as Word>::KIND;

            fn read(words: &[String]) -> Result<Self, String> {
                match words.first() {
                    Some(word) => <Self as Word>::read(word),
                    None => Err("a value is expected".to_owned()),
                }
            }
        }
    )*};
}

always_there!(
    bool,
    String,
    NonZeroUsize,
    Filter,
    LogFormat,
    BasePath,
    Duration,
    HookTimeout,
    Size
);

impl Word for bool {
    const KIND: Kind = Kind::Switch;

    fn read(word: &str) -> Result<Self, String> {
        match &*word.to_ascii_lowercase() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("{word:?} is neither true nor false")),
        }
    }
}

impl Word for String {
    fn read(word: &str) -> Result<Self, String> {
        not_empty(word).map(str::to_owned)
    }
}

impl Word for PathBuf {
    fn read(word: &str) -> Result<Self, String> {
        not_empty(word).map(Self::from)
    }
}

fn not_empty(word: &str) -> Result<&str, String> {
    match word {
        "" => Err("the text is empty".to_owned()),
        word => Ok(word),
    }
}

impl Word for TokenCookie {
    fn read(word: &str) -> Result<Self, String> {
        match Self::is_name(word) {
            true => Ok(Self::new(word)),
            false => Err(format!("{word:?} is no name of a cookie")),
        }
    }
}

impl Word for NonZeroUsize {
    const KIND: Kind = Kind::Number;

    fn read(word: &str) -> Result<Self, String> {
        let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.parse().ok().filter(|_| is_plain);
        number.ok_or_else(|| format!("{word:?} is no whole number of 1 or more"))
    }
}

impl Word for Duration {
    fn read(word: &str) -> Result<Self, String> {
        duration::read(word).ok_or_else(|| {
            format!("{word:?} is no duration: expected 500ms, 10s, 2m or 1h, up to a day")
        })
    }
}

impl Word for Secret {
    const KIND: Kind = Kind::Secret;

    fn read(word: &str) -> Result<Self, String> {
        Ok(word.to_owned().into())
    }
}

/// Makes types that can be parsed words.
macro_rules! parsed {
    ($($type:ty),*) => {$(
        impl Word for $type {
            fn read(word: &str) -> Result<Self, String> {
                word.parse().map_err(|error| described(word, &error))
            }
        }
    )*};
}

parsed!(
    Size,
    Origin,
    ListenAddr,
    TrustedProxy,
    Filter,
    LogFormat,
    BasePath,
    JwksUrl,
    ServerUrl,
    HookUrl,
    HookTimeout,
    HeaderName
);

/// The error, behind the word unless that is in it.
fn described(word: &str, error: &dyn std::error::Error) -> String {
    let error = error.to_string();
    match error.starts_with('"') {
        true => error,
        false => format!("{word:?}: {error}"),
    }
}
