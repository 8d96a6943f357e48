//! permessage-deflate (RFC 7692): its parameters, and both directions of it.

mod config;
mod deflater;
mod inflater;
mod params;

pub use config::DeflateConfig;
pub use deflater::{DeflateContext, Deflater};
pub use inflater::Inflater;
pub use params::DeflateParams;

pub(crate) use config::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};
pub(crate) use deflater::{DeflateClass, NEVER_UP_TO, is_worthwhile};
pub(crate) use inflater::{Inflation, Window};
pub(crate) use params::Direction;

/// The end of a sync flush, which messages omit (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
