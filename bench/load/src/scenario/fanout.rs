use super::{Run, Speaker, Talk};
use crate::error::Error;

pub(super) const MEMBERS: usize = 1_000;
const SIZE: usize = 64;

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    run.pool
        .open((0..MEMBERS).map(|_| "/room/load".to_owned()), None)?;
    for &per_turn in &run.settings.per_turn {
        let label = format!(", K = {per_turn}");
        publish(run, &label, 0, per_turn, SIZE)?;
    }
    Ok(())
}

/// The member at `speaker` publishes to a room of [`MEMBERS`].
pub(super) fn publish(
    run: &mut Run<'_>,
    label: &str,
    speaker: usize,
    at_once: usize,
    size: usize,
) -> Result<(), Error> {
    run.tick(&Talk {
        label,
        speakers: vec![Speaker {
            socket: speaker,
            sender: 0,
        }],
        at_once,
        senders: 1,
        receivers: MEMBERS,
        encode: &|stamp| stamp.to_json(size),
    })
}
