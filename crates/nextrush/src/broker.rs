//! Topics that remember, and where they are kept.
//!
//! [`App::builder`](crate::App::builder) takes any [`Broker`]: the [`MemoryBroker`], which is the
//! default, with the feature `embedded` the `EmbeddedBroker`, which keeps everything on disk, or
//! one of your own. With the feature `testing` the suite in `conformance` says whether that is right.
//!
//! This is all of the crate `nextrush-broker`.

#[doc(inline)]
pub use nextrush_broker::*;
