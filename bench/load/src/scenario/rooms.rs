use super::{Run, Speaker, Talk};
use crate::error::Error;
use crate::stamp::Stamp;

pub(super) const ROOMS: usize = 200;
pub(super) const MEMBERS: usize = 10;
const SIZE: usize = 64;

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    let paths = (0..ROOMS * MEMBERS).map(|socket| format!("/room/{}", socket / MEMBERS));
    run.pool.open(paths, None)?;
    talk(run, &|stamp| stamp.to_json(SIZE))
}

/// Lets one member of each room speak. The sockets of a room follow each other.
pub(super) fn talk(run: &mut Run<'_>, encode: &dyn Fn(Stamp) -> Vec<u8>) -> Result<(), Error> {
    run.tick(&Talk {
        label: "",
        speakers: (0..ROOMS)
            .map(|room| Speaker {
                socket: room * MEMBERS,
                sender: 0,
            })
            .collect(),
        at_once: 1,
        senders: 1,
        receivers: MEMBERS,
        encode,
    })
}
