//! Every [`Work`] by every codec, by name: `cargo bench -- server-receives/text/64B`.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use nextrush_bench_codec::codecs::{
    FastWebSockets, NextRush, NextRushOwned, TokioWebSockets, Tungstenite, Yawc,
};
use nextrush_bench_codec::{Codec, Coding, Connection, Job, Work};

fn main() {
    divan::main();
}

#[divan::bench(
    types = [NextRush, NextRushOwned, FastWebSockets, TokioWebSockets, Tungstenite],
    args = works(Coding::Plain),
)]
fn plain<C: Codec<Connection: Connection + 'static>>(bencher: Bencher<'_, '_>, work: &Work) {
    measure::<C>(bencher, work);
}

#[divan::bench(types = [NextRush, NextRushOwned, Yawc], args = works(Coding::Deflate))]
fn deflate<C: Codec<Connection: Connection + 'static>>(bencher: Bencher<'_, '_>, work: &Work) {
    measure::<C>(bencher, work);
}

fn works(coding: Coding) -> Vec<Work> {
    let mut works = Work::all();
    works.retain(|work| work.coding == coding);
    works
}

fn measure<C: Codec<Connection: Connection + 'static>>(bencher: Bencher<'_, '_>, work: &Work) {
    let mut job = Job::new::<C>(work);
    let count = work.batch();
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(count * work.size))
        .bench_local(|| job.run(count));
}
