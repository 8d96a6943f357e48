//! Every [`Work`] by every codec, by name: `cargo bench -- server-receives/text/64B`.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use nextrush_bench_codec::codecs::{
    FastWebSockets, NextRush, NextRushOwned, TokioWebSockets, Tungstenite,
};
use nextrush_bench_codec::{Codec, Connection, Job, Work};

fn main() {
    divan::main();
}

#[divan::bench(
    types = [NextRush, NextRushOwned, FastWebSockets, TokioWebSockets, Tungstenite],
    args = Work::all(),
)]
fn codec<C: Codec<Connection: Connection + 'static>>(bencher: Bencher<'_, '_>, work: &Work) {
    let mut job = Job::new::<C>(work);
    let count = work.batch();
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(count * work.size))
        .bench_local(|| job.run(count));
}
