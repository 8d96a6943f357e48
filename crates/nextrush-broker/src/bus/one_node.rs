//! The bus of an application on one node.

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Answered, Asked, Bus, BusReceiver, Leased, NodeName};
use crate::error::BrokerError;
use crate::topic_name::TopicName;

/// The bus of an application on a single node: nobody hears what it casts, and it answers its own
/// questions. It fails in no way.
///
/// ```
/// use nextrush_broker::{Bus, NodeName, OneNode};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = OneNode::new(NodeName::try_from("alone")?);
/// assert_eq!(bus.nodes().await?, [bus.node().clone()]);
/// # Ok(())
/// # }
/// ```
pub struct OneNode {
    node: NodeName,
    receiver: OnceLock<Arc<dyn BusReceiver>>,
    leased: Mutex<BTreeMap<(TopicName, String), Bytes>>,
}

impl OneNode {
    /// The bus of a node with this name.
    #[must_use]
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            receiver: OnceLock::new(),
            leased: Mutex::default(),
        }
    }
}

impl Bus for OneNode {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeName>, BrokerError>> {
        Box::pin(ready(Ok(vec![self.node.clone()])))
    }

    fn attach(&self, receiver: Arc<dyn BusReceiver>) {
        self.receiver.get_or_init(|| receiver);
    }

    fn listen(&self, _: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(ready(Ok(())))
    }

    fn unlisten(&self, _: &TopicName) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn cast(&self, _: &TopicName, _: Bytes) {}

    fn ask(
        &self,
        nodes: &Asked,
        question: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Answered, BrokerError>> {
        let nodes = match nodes {
            Asked::All => vec![self.node.clone()],
            Asked::Nodes(nodes) => nodes.clone(),
        };
        Box::pin(async move {
            let (own, mut silent): (Vec<_>, Vec<_>) =
                nodes.into_iter().partition(|node| *node == self.node);
            let mut answers = Vec::new();
            if let Some(node) = own.into_iter().next() {
                let asked = self
                    .receiver
                    .get()
                    .map(|receiver| receiver.asked(&self.node, question));
                let answer = match asked {
                    Some(asked) => tokio::time::timeout(deadline, asked).await.ok().flatten(),
                    None => None,
                };
                match answer {
                    Some(answer) => answers.push((node, answer)),
                    None => silent.push(node),
                }
            }
            Ok(Answered::new(answers, silent))
        })
    }

    fn lease(
        &self,
        set: &TopicName,
        member: &str,
        value: Bytes,
    ) -> BoxFuture<'_, Result<(), BrokerError>> {
        let key = (set.clone(), member.to_owned());
        Box::pin(async move {
            self.leased.lock().insert(key, value);
            Ok(())
        })
    }

    fn release(&self, set: &TopicName, member: &str) -> BoxFuture<'_, Result<(), BrokerError>> {
        let key = (set.clone(), member.to_owned());
        Box::pin(async move {
            self.leased.lock().remove(&key);
            Ok(())
        })
    }

    fn leased(&self, set: &TopicName) -> BoxFuture<'_, Result<Vec<Leased>, BrokerError>> {
        let set = set.clone();
        Box::pin(async move {
            let leased = self.leased.lock();
            let members = leased.iter().filter(|((of, _), _)| *of == set);
            Ok(members
                .map(|((_, member), value)| {
                    Leased::new(self.node.clone(), member.as_str(), value.clone())
                })
                .collect())
        })
    }
}

impl fmt::Debug for OneNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneNode").field(&self.node).finish()
    }
}
