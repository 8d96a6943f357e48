//! The routes of the server: sockets, HTTP APIs and the page.
//!
//! Each module takes the parts that it needs, such as a handle, channels or a key, and knows
//! nothing of the program's configuration.

pub(crate) mod cors;
pub(crate) mod development;
pub(crate) mod guide;
pub(crate) mod page;
pub(crate) mod posts;
