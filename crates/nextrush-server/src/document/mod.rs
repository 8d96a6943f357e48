//! The configuration file as a text: places in it, faults, and what may have been meant.

mod place;
mod reader;
mod suggestion;

pub use self::place::{ConfigError, Place, Problem};
pub(crate) use self::reader::{Reader, in_order, kind_of};
pub(crate) use self::suggestion::{LIKENESS, did_you_mean, most_like};
