//! The rules by which clients subscribe to a channel, or publish to it.

use std::fmt;

use nextrush::User;
use nextrush::live::Channel;
use serde_json::Value;

use crate::claims::Claims;

/// A rule: who may do something with a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Everybody.
    Any,
    /// Clients with a token.
    SignedIn,
    /// No client.
    Nobody,
    /// Clients that meet one of these demands.
    One(Vec<Demand>),
}

/// The demands on a client, all of which it has to meet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Demand {
    /// The ids of users, of which it has to be one.
    pub(crate) user: Option<Vec<Term>>,
    pub(crate) claim: Option<ClaimDemand>,
}

/// A demand on a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ClaimDemand {
    /// The name, or a JSON pointer (RFC 6901) into the claims.
    pub(crate) name: String,
    pub(crate) test: Test,
    /// The values of which one has to fit.
    pub(crate) values: Vec<Term>,
}

/// The way in which a claim is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Test {
    /// The claim is the value.
    Is,
    /// The claim is a list that has the value, or a text that has it among its words.
    Contains,
}

/// A value of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Term {
    Text(String),
    /// The part of the channel's name that stands for this parameter of its pattern.
    Parameter(String),
}

impl Access {
    pub(super) fn allows(
        &self,
        user: Option<&User>,
        claims: Option<&Claims>,
        channel: &Channel,
    ) -> bool {
        let demands = match self {
            Self::Any => return true,
            Self::SignedIn => return user.is_some(),
            Self::Nobody => return false,
            Self::One(demands) => demands,
        };
        let user = user.map(|user| user.id.to_string());
        let claims = claims.map(|claims| &*claims.all);
        let is_met = |demand: &Demand| {
            let is_user = demand.user.as_ref().is_none_or(|terms| {
                let is = |term: &Term| user.as_deref() == term.text(channel);
                user.is_some() && terms.iter().any(is)
            });
            let has_claim = demand
                .claim
                .as_ref()
                .is_none_or(|claim| claims.is_some_and(|claims| claim.is_met(claims, channel)));
            is_user && has_claim
        };
        demands.iter().any(is_met)
    }
}

impl ClaimDemand {
    fn is_met(&self, claims: &Value, channel: &Channel) -> bool {
        let claim = match self.name.starts_with('/') {
            true => claims.pointer(&self.name),
            false => claims.get(&self.name),
        };
        let Some(claim) = claim else {
            return false;
        };
        let mut values = self.values.iter().filter_map(|term| term.text(channel));
        values.any(|value| match (self.test, claim) {
            (Test::Is, claim) => is_value(claim, value),
            (Test::Contains, Value::Array(all)) => all.iter().any(|it| is_value(it, value)),
            // As the scopes of OAuth (RFC 6749 §3.3).
            (Test::Contains, Value::String(words)) => words.split(' ').any(|word| word == value),
            (Test::Contains, _) => false,
        })
    }
}

/// Compares a value of a claim with a text, numbers and truths by what they are written as.
fn is_value(claim: &Value, text: &str) -> bool {
    match claim {
        Value::String(claim) => claim == text,
        Value::Number(number) => number.to_string() == text,
        Value::Bool(is_true) => text == if *is_true { "true" } else { "false" },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

impl Term {
    fn text<'a>(&'a self, channel: &'a Channel) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Parameter(name) => channel.param(name),
        }
    }
}

/// The rule as it stands in a file.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("\"any\""),
            Self::SignedIn => f.write_str("\"signed-in\""),
            Self::Nobody => f.write_str("\"nobody\""),
            Self::One(demands) => match &demands[..] {
                [demand] => demand.fmt(f),
                demands => {
                    let demands: Vec<_> = demands.iter().map(Demand::to_string).collect();
                    write!(f, "[{}]", demands.join(", "))
                }
            },
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(user) = &self.user {
            parts.push(format!("user = {}", list(user)));
        }
        if let Some(ClaimDemand { name, test, values }) = &self.claim {
            let test = match test {
                Test::Is => "is",
                Test::Contains => "contains",
            };
            let name = Value::from(name.as_str());
            parts.push(format!("claim = {name}, {test} = {}", list(values)));
        }
        write!(f, "{{ {} }}", parts.join(", "))
    }
}

fn list(terms: &[Term]) -> String {
    let terms = terms.iter().map(|term| match term {
        Term::Text(text) => Value::from(text.as_str()).to_string(),
        Term::Parameter(name) => Value::from(format!(":{name}")).to_string(),
    });
    match &terms.collect::<Vec<_>>()[..] {
        [term] => term.clone(),
        terms => format!("[{}]", terms.join(", ")),
    }
}
