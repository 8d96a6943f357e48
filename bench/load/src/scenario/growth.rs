//! Tables: whether a delivery costs more when there is more of something else.

use super::Run;
use super::fanout::{MEMBERS, publish};
use crate::error::Error;

const SIZE: usize = 64;
/// The most rooms that a socket may be in.
const ROOMS_PER_SOCKET: usize = 100;

pub(super) fn rooms(run: &mut Run<'_>) -> Result<(), Error> {
    run.pool
        .open((0..MEMBERS).map(|_| "/room/load".to_owned()), None)?;
    let mut others = 0;
    for rooms in [1, 100, 1_000, 10_000, 100_000] {
        // The measured room counts too.
        let paths = (others..rooms - 1)
            .step_by(ROOMS_PER_SOCKET)
            .map(|first| format!("/rooms/{first}/{}", ROOMS_PER_SOCKET.min(rooms - 1 - first)));
        run.pool.open(paths, None)?;
        others = rooms - 1;
        publish(run, &format!(", {rooms} rooms"), 0, 1, SIZE)?;
    }
    Ok(())
}

pub(super) fn idle(run: &mut Run<'_>) -> Result<(), Error> {
    run.pool
        .open((0..MEMBERS).map(|_| "/room/load".to_owned()), None)?;
    for idle in [0, 1_000, 5_000, 15_000] {
        let more = (run.pool.len() - MEMBERS)..idle;
        run.pool.open(more.map(|_| "/idle".to_owned()), None)?;
        publish(run, &format!(", {idle} idle"), 0, 1, SIZE)?;
    }
    Ok(())
}
