//! Rosters that this node does not follow.

use nextrush_broker::{BrokerError, TopicName};
use tokio::time::Instant;

use super::host::RosterHost;
use super::place::Place;
use super::rules::{Origin, Rules};
use super::view::View;
use super::wire;

/// Reads a roster from the store: without the members of dead homes, and those who are waited for
/// no longer.
pub(super) async fn read<R: Rules>(
    host: &RosterHost,
    rules: &R,
    roster: &TopicName,
) -> Result<View<R>, BrokerError> {
    let Some(store) = &host.store else {
        return Ok(View::new(
            nextrush_broker::RosterRevision::default(),
            rules.begin(),
        ));
    };
    let sent = Instant::now();
    let stored = store.read(roster).await?;
    host.time.note(stored.time_ms, sent);
    let (origin, _) =
        wire::read_head(&stored.head).map_err(|error| BrokerError::Damaged(error.into()))?;
    let mut view = View::new(stored.revision, Origin::default());
    let mut dead = None;
    for (number, bytes) in &stored.members {
        let record = match wire::read_record::<R>(bytes, None, host.home()) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%roster, number, %error, "a member cannot be read");
                continue;
            }
        };
        let is_there = match &record.place {
            Place::LostUntil(until) => *until > stored.time_ms,
            Place::At { home, .. } if home == host.home() => true,
            Place::At { home, .. } => {
                let living = match &mut dead {
                    Some(living) => living,
                    None => dead.insert(host.living().await?),
                };
                // They were asked for after the roster was read: who is not among them is dead.
                living.homes.contains(&**home)
            }
        };
        if is_there {
            view.set(rules, *number, Some(record));
        }
    }
    view.origin.version = origin.version;
    view.origin.last = view.origin.last.max(origin.last);
    Ok(view)
}
