//! What the server serves: sockets, HTTP APIs and the page.

pub(crate) mod api;
mod channels;
pub(crate) mod development;
mod disconnect;
pub(crate) mod guide;
pub(crate) mod health;
pub(crate) mod inspect;
mod loopback;
pub(crate) mod page;
pub(crate) mod posts;
mod refusal;
