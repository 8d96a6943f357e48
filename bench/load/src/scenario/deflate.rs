use nextrush_protocol::DeflateConfig;

use super::Run;
use super::fanout::{MEMBERS, publish};
use crate::error::Error;

const SIZE: usize = 1024;

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    run.pool
        .open((0..MEMBERS).map(|_| "/room/plain".to_owned()), None)?;
    let offer = DeflateConfig::default();
    let compressed = (0..MEMBERS).map(|_| "/room/compressed".to_owned());
    run.pool.open(compressed, Some(offer))?;
    publish(run, ", plain", 0, 1, SIZE)?;
    publish(run, ", compressed", MEMBERS, 1, SIZE)?;
    let cpu = |label| run.outcome.value(&format!("CPU per delivery, {label}"));
    if let (Some(plain), Some(compressed)) = (cpu("plain"), cpu("compressed")) {
        run.outcome
            .note("compressed to plain", "×", compressed / plain);
    }
    Ok(())
}
