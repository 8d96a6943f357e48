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
    pub(super) interests: usize,
    pub(super) is_heard: bool,
}

/// An interest in a room that is taken back if nothing comes of it.
pub(super) struct Interest<'a> {
    pub(super) line: &'a Line,
    pub(super) room: &'a TopicName,
    pub(super) is_kept: bool,
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.line.give_back(self.room);
        }
    }
}

impl Line {
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
        let (partition, channel) = self.channel(&target);
        let channels = || vec![(channel.clone(), target.clone())];
        self.store.requests.watch(partition, channels).await
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
        let mut is_failed = false;
        for (target, heard) in unheard.iter().zip(heard) {
            is_failed |= heard.is_err();
            let mut state = line.state.lock();
            match target {
                Target::Room(room) => {
                    if let Some(room) = state.rooms.get_mut(room) {
                        room.is_heard = heard.is_ok();
                    }
                }
                Target::Inbox => state.is_inbox_heard = heard.is_ok(),
                Target::Topic(_) | Target::Roster(_) => {}
            }
        }
        if is_failed {
            sleep(backoff.next()).await;
        } else {
            backoff = Backoff::default();
        }
    }
}
