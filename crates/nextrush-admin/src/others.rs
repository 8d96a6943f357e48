//! Questions to all nodes of the application, and who did not answer.

use nextrush::Handle;
use nextrush::broker::{Asked, Bytes};
use nextrush::node::NodeName;
use nextrush::room::Reached;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// The nodes that are asked.
#[derive(Clone, Debug)]
pub(crate) enum Nodes {
    All,
    One(NodeName),
}

impl Nodes {
    /// The node of this name, or all without one.
    pub(crate) fn named(name: Option<&str>) -> Result<Self, Refusal> {
        match name {
            Some(name) => NodeName::try_from(name)
                .map(Self::One)
                .map_err(|error| Refusal::invalid(error.to_string())),
            None => Ok(Self::All),
        }
    }
}

/// The answers of nodes, by name.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    pub(crate) answers: Vec<(NodeName, T)>,
    pub(crate) silence: Silence,
}

/// The nodes that are missing in an answer for all.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Silence {
    /// The nodes that did not answer within 2 s, or lived when they were known last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unanswered: Vec<String>,
    /// True if the other nodes could not be known, as a shared store is away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    others_unknown: bool,
}

impl Silence {
    pub(crate) fn of(unanswered: &[NodeName], others_unknown: bool) -> Self {
        Self {
            unanswered: unanswered.iter().map(ToString::to_string).collect(),
            others_unknown,
        }
    }

    pub(crate) fn after(reached: &Reached) -> Self {
        Self::of(&reached.unanswered, reached.others_unknown)
    }

    /// Adds what is missing in another answer.
    pub(crate) fn add(&mut self, more: Self) {
        self.unanswered.extend(more.unanswered);
        self.unanswered.sort();
        self.unanswered.dedup();
        self.others_unknown |= more.others_unknown;
    }
}

impl<T: DeserializeOwned> Answers<T> {
    /// Asks nodes a question in JSON, and this one without a detour, `here`: it answers also while
    /// the others cannot be reached.
    ///
    /// # Errors
    ///
    /// Fails when one other node is asked and the nodes cannot be reached.
    pub(crate) async fn ask(
        app: &Handle,
        kind: &str,
        nodes: &Nodes,
        question: &impl Serialize,
        here: impl FnOnce() -> Option<Bytes>,
    ) -> Result<Self, Refusal> {
        let is_of_here = match nodes {
            Nodes::All => true,
            Nodes::One(node) => node == app.node(),
        };
        let own = is_of_here.then(here).flatten();
        let own = own.and_then(|answer| serde_json::from_slice(&answer).ok());
        let asked = match nodes {
            Nodes::One(_) if is_of_here => Asked::Nodes(Vec::new()),
            Nodes::One(node) => Asked::Nodes(vec![node.clone()]),
            Nodes::All => match app.nodes().await {
                Ok(nodes) => {
                    let others = nodes.into_iter().filter(|node| node != app.node());
                    Asked::Nodes(others.collect())
                }
                Err(error) => {
                    tracing::debug!(%error, "the other nodes are not known");
                    let silence = Silence {
                        others_unknown: true,
                        ..Silence::default()
                    };
                    let answers = own.map(|own| (app.node().clone(), own));
                    return Ok(Self {
                        answers: answers.into_iter().collect(),
                        silence,
                    });
                }
            },
        };
        let mut answers = Vec::new();
        let mut unanswered = Vec::new();
        match own {
            Some(own) => answers.push((app.node().clone(), own)),
            None if is_of_here => unanswered.push(app.node().clone()),
            None => {}
        }
        if asked != Asked::Nodes(Vec::new()) {
            let question = serde_json::to_vec(question)
                .map_err(|error| Refusal::invalid("the question cannot be asked").because(error))?;
            let told = app.ask(kind, &asked, question.into()).await;
            let told = told.map_err(|error| {
                Refusal::unavailable("the other nodes cannot be reached").because_of_broker(error)
            })?;
            unanswered.extend(told.silent);
            for (node, answer) in told.answers {
                // A version that answers in another form is as good as silent.
                match serde_json::from_slice(&answer) {
                    Ok(answer) => answers.push((node, answer)),
                    Err(_) => unanswered.push(node),
                }
            }
        }
        answers.sort_by(|(one, _), (other, _)| one.cmp(other));
        unanswered.sort();
        Ok(Self {
            answers,
            silence: Silence::of(&unanswered, false),
        })
    }
}
