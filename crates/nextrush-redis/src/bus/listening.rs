//! The channels that a node hears.

use std::sync::Arc;

use futures_util::future::join_all;
use nextrush_broker::TopicName;
use tokio::time::sleep;

use super::Line;
use crate::backoff::Backoff;
use crate::failure::Failure;
use crate::subscriber::Target;

#[derive(Default)]
pub(super) struct Room {
    interests: usize,
    /// `false` if the server has to be asked. `true` from the moment at which it is asked, so that
    /// a connection that is lost before the answer is read is noticed.
    is_heard: bool,
}

/// An interest in a room that is taken back if nothing comes of it.
pub(super) struct Interest<'a> {
    line: &'a Line,
    room: &'a TopicName,
    is_kept: bool,
}

impl Interest<'_> {
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.line.give_back(self.room);
        }
    }
}

impl Line {
    pub(super) fn take_interest<'a>(&'a self, room: &'a TopicName) -> Interest<'a> {
        let mut state = self.state.lock();
        state.rooms.entry(room.clone()).or_default().interests += 1;
        drop(state);
        Interest {
            line: self,
            room,
            is_kept: false,
        }
    }

    /// Takes back one interest in a room; `true` if it was the last.
    pub(super) fn give_back(&self, room: &TopicName) -> bool {
        let mut state = self.state.lock();
        let Some(known) = state.rooms.get_mut(room) else {
            return false;
        };
        known.interests = known.interests.saturating_sub(1);
        let is_last = known.interests == 0;
        if is_last {
            state.rooms.remove(room);
        }
        is_last
    }

    pub(super) async fn listen_to(&self, target: Target) -> Result<(), Failure> {
        self.set_heard(&target, true);
        let (partition, channel) = self.channel(&target);
        let channels = || vec![(channel.clone(), target.clone())];
        let heard = self.store.requests.watch(partition, channels).await;
        if heard.is_err() {
            self.set_heard(&target, false);
            self.changed.notify_one();
        }
        heard
    }

    /// Notes whether a channel is heard, if it is wanted.
    pub(super) fn set_heard(&self, target: &Target, is_heard: bool) {
        let mut state = self.state.lock();
        match target {
            Target::Room(room) => {
                if let Some(room) = state.rooms.get_mut(room) {
                    room.is_heard = is_heard;
                }
            }
            Target::Inbox => state.is_inbox_heard = is_heard,
            Target::Topic(_) | Target::Roster(_) => {}
        }
    }
}

/// Subscribes again to channels that a lost connection had.
pub(super) async fn keep_listening(line: Arc<Line>) {
    let mut backoff = Backoff::default();
    loop {
        let unheard: Vec<_> = {
            let state = line.state.lock();
            state
                .rooms
                .iter()
                .filter(|(_, room)| !room.is_heard)
                .map(|(room, _)| Target::Room(room.clone()))
                .chain((!state.is_inbox_heard).then_some(Target::Inbox))
                .collect()
        };
        if unheard.is_empty() {
            line.changed.notified().await;
            continue;
        }
        let heard = join_all(unheard.iter().map(|target| line.listen_to(target.clone()))).await;
        if heard.iter().any(Result::is_err) {
            sleep(backoff.next()).await;
        } else {
            backoff = Backoff::default();
        }
    }
}
