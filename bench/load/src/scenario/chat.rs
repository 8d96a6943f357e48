use super::Run;
use super::rooms::{MEMBERS, ROOMS, talk};
use crate::error::Error;

const SIZE: usize = 64;

/// Opens the sockets; those of a room follow each other.
pub(super) fn open(run: &mut Run<'_>) -> Result<(), Error> {
    let path = |socket| format!("/chat/{}?user={socket}", socket / MEMBERS);
    run.pool.open((0..ROOMS * MEMBERS).map(path), None)
}

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    open(run)?;
    talk(run, &|stamp| {
        let text = stamp.to_text(SIZE);
        [br#"{"type":"chat","text":""#, text.as_slice(), br#""}"#].concat()
    })
}
