use std::hint::black_box;

use crate::codec::{Codec, Connection};
use crate::codecs::{FastWebSockets, NextRush, NextRushOwned, TokioWebSockets, Tungstenite, Yawc};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Coding, Direction, Work};

/// Some work in a codec's hands, on a connection that stays open.
pub struct Job(Box<dyn FnMut(usize)>);

/// A codec that a program picks at run time.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// [`Codec::NAME`].
    pub name: &'static str,
    /// True if the codec is ours, false if it is a peer's.
    pub is_ours: bool,
    /// [`Job::new`] of it.
    pub job: fn(&Work) -> Job,
}

/// Every codec that is measured with plain messages, ours first.
pub const CODECS: [Named; 5] = [
    ours::<NextRush>(),
    ours::<NextRushOwned>(),
    peer::<FastWebSockets>(),
    peer::<TokioWebSockets>(),
    peer::<Tungstenite>(),
];

/// The codecs that compress.
pub const DEFLATING: [Named; 3] = [ours::<NextRush>(), ours::<NextRushOwned>(), peer::<Yawc>()];

/// The codecs that are measured with this coding.
pub fn codecs(coding: Coding) -> &'static [Named] {
    match coding {
        Coding::Plain => &CODECS,
        Coding::Deflate => &DEFLATING,
    }
}

impl Job {
    /// `work` in the hands of `C`.
    pub fn new<C: Codec<Connection: 'static>>(work: &Work) -> Self {
        let mut connection = C::connect(work, Socket::new(work));
        match work.direction {
            Direction::ServerReceives | Direction::ClientReceives => Self(Box::new(move |count| {
                connection.receive(count, |payload| {
                    black_box(payload);
                });
            })),
            Direction::ServerSends | Direction::ClientSends => {
                let message = C::Connection::outgoing(&Sample::new(work.kind, work.size));
                Self(Box::new(move |count| {
                    connection.send(black_box(&message), count);
                }))
            }
        }
    }

    /// Handles `count` messages.
    pub fn run(&mut self, count: usize) {
        self.0(count);
    }
}

const fn ours<C: Codec<Connection: 'static>>() -> Named {
    Named {
        name: C::NAME,
        is_ours: true,
        job: Job::new::<C>,
    }
}

const fn peer<C: Codec<Connection: 'static>>() -> Named {
    Named {
        name: C::NAME,
        is_ours: false,
        job: Job::new::<C>,
    }
}
