//! The members that nodes hold in sets.

use bytes::Bytes;
use nextrush_broker::{Leased, NodeName, TopicName};
use redis::cmd;

use super::Line;
use crate::failure::Failure;
use crate::partition::Partition;

impl Line {
    pub(super) async fn put(
        &self,
        set: &TopicName,
        member: &str,
        value: &Bytes,
    ) -> Result<(), Failure> {
        let mut put = cmd("HSET");
        put.arg(self.store.keys.leases(set)).arg(self.field(member));
        put.arg::<&[u8]>(value);
        let partition = Partition::of(set.as_str());
        self.store.request(partition, &put).await.map(drop)
    }

    pub(super) async fn take_out(&self, set: &TopicName, member: &str) -> Result<(), Failure> {
        let mut take = cmd("HDEL");
        take.arg(self.store.keys.leases(set))
            .arg(self.field(member));
        let partition = Partition::of(set.as_str());
        self.store.request(partition, &take).await.map(drop)
    }

    /// The name of a member of this node in its set.
    fn field(&self, member: &str) -> String {
        // No name of a node has a blank.
        format!("{} {member}", self.node)
    }

    pub(super) async fn members(&self, set: &TopicName) -> Result<Vec<Leased>, Failure> {
        let key = self.store.keys.leases(set);
        let partition = Partition::of(set.as_str());
        let mut all = cmd("HGETALL");
        all.arg(&key);
        let fields = self.store.request(partition, &all).await?;
        let fields = redis::from_redis_value::<Vec<(String, Vec<u8>)>>(fields)
            .map_err(|_| Failure::Damaged("a set of nodes".to_owned()))?;
        let known = self.nodes().await?;
        let mut members = Vec::new();
        let mut forgotten = Vec::new();
        for (field, value) in fields {
            let parts = field.split_once(' ');
            let parts =
                parts.and_then(|(node, member)| Some((NodeName::try_from(node).ok()?, member)));
            match parts {
                Some((node, member)) if known.living.contains(&node) => {
                    members.push(Leased::new(node, member, value.into()));
                }
                // It may come back, and would not know that its member is gone.
                Some((node, _)) if known.dead.contains(&node) => {}
                _ => forgotten.push(field),
            }
        }
        if !forgotten.is_empty() {
            let mut forget = cmd("HDEL");
            forget.arg(&key).arg(&forgotten);
            // The next reader tries it again.
            let _ = self.store.request(partition, &forget).await;
        }
        members.sort_by(|one, other| (&one.node, &one.member).cmp(&(&other.node, &other.member)));
        Ok(members)
    }
}
