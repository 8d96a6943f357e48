use std::time::Instant;

use super::Run;
use crate::error::Error;

const WARM_UP: usize = 1_000;
const UPGRADES: usize = 8_000;

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    let idle = || "/idle".to_owned();
    run.pool.open((0..WARM_UP).map(|_| idle()), None)?;
    let before = run.cpu()?;
    let start = Instant::now();
    run.pool.open((0..UPGRADES).map(|_| idle()), None)?;
    run.note_cpu("", "upgrade", before, start.elapsed(), UPGRADES as u64)
}
