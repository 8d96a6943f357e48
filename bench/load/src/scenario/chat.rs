use super::Run;
use super::rooms::{MEMBERS, ROOMS, talk};
use crate::error::Error;

const SIZE: usize = 64;

pub(super) fn run(run: &mut Run<'_>) -> Result<(), Error> {
    let path = |socket| format!("/chat/{}?user={socket}", socket / MEMBERS);
    run.pool.open((0..ROOMS * MEMBERS).map(path), None)?;
    talk(run, &|stamp| {
        let text = stamp.to_text(SIZE);
        [br#"{"type":"chat","text":""#, text.as_slice(), br#""}"#].concat()
    })
}
