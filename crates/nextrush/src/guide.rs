//! The code of the README and of the guide's pages, as doc tests. Blocks that show a file of
//! `examples/` are left to that.

#[doc = include_str!("../../../README.md")]
mod readme {}

#[doc = include_str!("../../../docs/guide/src/getting-started.md")]
mod getting_started {}

#[doc = include_str!("../../../docs/guide/src/common-things.md")]
mod common_things {}

#[doc = include_str!("../../../docs/guide/src/room-management.md")]
mod room_management {}

#[doc = include_str!("../../../docs/guide/src/authentication.md")]
mod authentication {}

#[doc = include_str!("../../../docs/guide/src/live-chat.md")]
mod live_chat {}

#[doc = include_str!("../../../docs/guide/src/live-updates.md")]
mod live_updates {}

#[doc = include_str!("../../../docs/guide/src/testing.md")]
mod testing {}

#[doc = include_str!("../../../docs/guide/src/handlers-and-sockets.md")]
mod handlers_and_sockets {}

#[doc = include_str!("../../../docs/guide/src/requests.md")]
mod requests {}

#[doc = include_str!("../../../docs/guide/src/rooms.md")]
mod rooms {}

#[doc = include_str!("../../../docs/guide/src/many-nodes.md")]
mod many_nodes {}

#[doc = include_str!("../../../docs/guide/src/topics.md")]
mod topics {}

#[doc = include_str!("../../../docs/guide/src/compression-and-close-codes.md")]
mod compression_and_close_codes {}

#[doc = include_str!("../../../docs/guide/src/limits.md")]
mod limits {}

#[doc = include_str!("../../../docs/guide/src/from-socketio.md")]
mod from_socketio {}

#[doc = include_str!("../../../docs/guide/src/from-phoenix.md")]
mod from_phoenix {}

#[doc = include_str!("../../../docs/guide/src/from-centrifugo.md")]
mod from_centrifugo {}

#[doc = include_str!("../../../docs/guide/src/front-ends.md")]
mod front_ends {}

#[doc = include_str!("../../../docs/guide/src/deployment.md")]
mod deployment {}

#[doc = include_str!("../../../docs/guide/src/operators.md")]
mod operators {}

#[doc = include_str!("../../../docs/guide/src/metrics.md")]
mod metrics {}
