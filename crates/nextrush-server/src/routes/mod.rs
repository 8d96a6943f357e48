//! What the server serves: sockets, HTTP APIs and the page.

pub(crate) mod api;
pub(crate) mod development;
pub(crate) mod guide;
pub(crate) mod health;
pub(crate) mod inspect;
pub(crate) mod page;
pub(crate) mod posts;
mod refusal;
