//! The pushes of a store on their way to a node.

use std::cmp::Reverse;
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::agenda::{BATCH, BATCH_EVERY};
use super::feed::{Feed, Push, Unwatched};
use super::node::Node;
use super::store::SharedStore;
use super::topic::Topic;
use crate::topic_name::TopicName;

/// The store's way to a node. It owns nothing, so that store and node do not keep each other
/// alive.
pub(super) struct FeedOf<S>(pub(super) Weak<Node<S>>);

impl<S: SharedStore> Feed for FeedOf<S> {
    fn pushed(&self, topic: &TopicName, push: Push) {
        let Some(node) = self.0.upgrade() else {
            return;
        };
        if let Push::Published(group) = &push {
            node.note_time(group);
        }
        let Some(topic) = node.find(topic) else {
            return;
        };
        match push {
            Push::Published(group) => node.take(&topic, group),
            Push::Deleted(deleted) => node.delete(&topic, &deleted),
        }
    }

    fn unwatched(&self, topics: Unwatched) {
        let Some(node) = self.0.upgrade() else {
            return;
        };
        let mut topics: Vec<Arc<Topic>> = match topics {
            Unwatched::All => node.topics(),
            Unwatched::Topics(topics) => {
                topics.iter().filter_map(|topic| node.find(topic)).collect()
            }
        };
        node.counts
            .unwatched
            .fetch_add(topics.len() as u64, Ordering::Relaxed);
        let mut interests = Vec::with_capacity(topics.len());
        topics.retain(|topic| {
            let mut state = topic.state.lock();
            state.breaks += 1;
            // One that was not watched yet waits for its turn, and its watch may be under way.
            if mem::replace(&mut state.is_watched, false) {
                // What this node knew says nothing of what it does not hear.
                state.unconfirm();
                interests.push(state.interests);
                return true;
            }
            false
        });
        // Those with the most subscribers first.
        let mut order: Vec<usize> = (0..topics.len()).collect();
        order.sort_by_key(|index| Reverse(interests[*index]));
        let now = Instant::now();
        for (turn, batch) in (0_u32..).zip(order.chunks(BATCH)) {
            for index in batch {
                node.watch_at(now + BATCH_EVERY * turn, &topics[*index]);
            }
        }
    }

    fn resumed(&self) {
        let Some(node) = self.0.upgrade() else {
            return;
        };
        node.resume();
    }
}
