//! Topics that remember: publishing, subscribing, coming back, doing things once.

pub(crate) mod feed;
pub(crate) mod once;
pub(crate) mod presence;
pub(crate) mod since;
pub(crate) mod slow_readers;
pub(crate) mod stream;
pub(crate) mod topics;
