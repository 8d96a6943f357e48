//! Policies of channels, by pattern.

use std::sync::Arc;
use std::time::Duration;

use nextrush_broker::{Bytes, Retention};
use serde_json::value::RawValue;

use super::accepted::Decision;
use super::hook::{Asking, Unanswered};
use super::pattern::{InvalidPattern, Pattern};
use super::policy::{ChannelPolicy, PublishHook};
use super::rule::{Channel, PublishContext, SubscribeContext};
use crate::message::{CommandId, ErrorMessage, User};
use crate::socket::Socket;
use crate::topic::{Since, SlowReaderCounts, SlowReaderPolicy, SlowReaders};

/// The policies of channels: of those whose pattern fits a channel's name the first holds.
///
/// A pattern is a name with parameters, `post-:id`. A parameter begins with a colon and a
/// letter, goes on with letters, digits and `_`, and stands for one character or more, as
/// few as possible. Where names have colons, parameters stand in braces: `user:{id}`. Channels that no pattern fits have the default policy, unless
/// [`refuse_others`](Self::refuse_others) was called.
///
/// ```
/// use std::time::Duration;
/// use nextrush::live::{ChannelPolicies, ChannelPolicy};
/// use nextrush::{App, LiveUpdates};
///
/// let app: App = App::new();
/// let hour = Duration::from_secs(3600);
/// let policies = ChannelPolicies::new()
///     .policy("posts", ChannelPolicy::new().history(300, hour))
///     .policy("post-:id", ChannelPolicy::new().history(100, hour))
///     .refuse_others();
/// let live = LiveUpdates::builder().policies(policies).build(&app, "live");
/// # drop(live);
/// ```
#[derive(Clone, Debug)]
pub struct ChannelPolicies {
    policies: Vec<(Arc<Pattern>, ChannelPolicy)>,
    /// The policy of channels that no pattern fits.
    others: ChannelPolicy,
    refuse_others: bool,
    /// The time in which rules and hooks answer.
    deadline: Duration,
}

/// The refusal of a client that wants to subscribe.
#[derive(Debug)]
pub(super) enum Refusal {
    /// By the rule; `None` is the usual message.
    Refused(Option<ErrorMessage>),
    /// By default: the rule gave no answer.
    Unanswered(Unanswered),
}

impl Refusal {
    /// The word to the client; `None` is the usual message.
    pub(super) fn into_message(self) -> Option<ErrorMessage> {
        match self {
            Self::Refused(message) => message,
            Self::Unanswered(unanswered) => Some(unanswered.to_message()),
        }
    }
}

/// A client's attempt to publish.
#[derive(Clone, Copy)]
pub(super) struct PublishAttempt<'a> {
    pub(super) socket: &'a Socket,
    pub(super) user: Option<&'a User>,
    pub(super) name: &'a str,
    pub(super) data: &'a RawValue,
    /// The bytes that the data is, in an encoding.
    pub(super) bytes: Option<&'a Bytes>,
    pub(super) id: Option<&'a CommandId>,
}

/// The default [deadline](ChannelPolicies::deadline).
const DEADLINE: Duration = Duration::from_secs(5);

impl ChannelPolicies {
    /// The default policy for every channel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy for the channels that the pattern fits and none before does.
    ///
    /// # Panics
    ///
    /// Panics on an invalid pattern, as [`App::route`](crate::App::route) does; see
    /// [`try_policy`](Self::try_policy) for patterns from outside.
    #[must_use]
    #[track_caller]
    pub fn policy(self, pattern: &str, policy: ChannelPolicy) -> Self {
        match self.try_policy(pattern, policy) {
            Ok(policies) => policies,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a policy as [`policy`](Self::policy) does, for patterns from outside.
    ///
    /// # Errors
    ///
    /// [`InvalidPattern`] for an empty pattern, a colon without a name behind it, a
    /// parameter right behind another, and two of the same name.
    pub fn try_policy(
        mut self,
        pattern: &str,
        policy: ChannelPolicy,
    ) -> Result<Self, InvalidPattern> {
        // Slow readers are counted for each pattern.
        self.policies
            .push((Arc::new(Pattern::new(pattern)?), policy.counted()));
        Ok(self)
    }

    /// Lets no client subscribe to channels that no pattern fits.
    #[must_use]
    pub fn refuse_others(self) -> Self {
        Self {
            refuse_others: true,
            ..self
        }
    }

    /// Sets the time in which rules and hooks have to answer. Default: 5 s.
    ///
    /// One that does not, or panics, is dropped and logged with the endpoint and the user, and
    /// refuses what it was asked about, as [`Unavailable`](crate::ErrorCode::Unavailable) or
    /// [`Internal`](crate::ErrorCode::Internal); nothing else changes. What it has begun elsewhere, as
    /// in a database, may have happened. The deadline ends only what awaits: a function that blocks
    /// its thread holds up all sockets there.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(super) fn retention(&self, name: &str) -> Retention {
        self.find(name)
            .map_or(Retention::NOTHING, |(_, policy)| policy.retention)
    }

    /// Asks whether a client may subscribe.
    pub(super) async fn ask_to_subscribe(
        &self,
        socket: &Socket,
        user: Option<&User>,
        name: &str,
    ) -> Result<(), Refusal> {
        let Some((pattern, policy)) = self.find(name) else {
            return match self.refuse_others {
                true => Err(Refusal::Refused(None)),
                false => Ok(()),
            };
        };
        let Some(rule) = &policy.may_subscribe else {
            return Ok(());
        };
        let context = SubscribeContext {
            socket: socket.clone(),
            user: user.cloned(),
            channel: Channel::new(name, pattern),
        };
        let asking = self.asking(socket, user, name);
        let what = "a rule for subscribing";
        let verdict = rule.ask(what, asking, context).await;
        match verdict.map_err(Refusal::Unanswered)? {
            Ok(()) => Ok(()),
            Err(None) => Err(Refusal::Refused(None)),
            Err(Some(reason)) => Err(match asking.told(what, reason) {
                Ok(error) => Refusal::Refused(Some(error)),
                Err(unanswered) => Refusal::Unanswered(unanswered),
            }),
        }
    }

    /// The initial state of a channel for a client, where there is a hook; an error is the word to
    /// the client.
    pub(super) async fn load(
        &self,
        socket: &Socket,
        user: Option<&User>,
        name: &str,
    ) -> Option<Result<Box<RawValue>, ErrorMessage>> {
        let (pattern, policy) = self.find(name)?;
        let hook = policy.on_subscribe.as_ref()?;
        let context = SubscribeContext {
            socket: socket.clone(),
            user: user.cloned(),
            channel: Channel::new(name, pattern),
        };
        let asking = self.asking(socket, user, name);
        let what = "a hook for subscribing";
        let loaded = hook.ask(what, asking, context).await;
        let state = match loaded {
            Ok(Ok(state)) => state,
            Ok(Err(refusal)) => {
                let told = asking.told(what, refusal);
                return Some(Err(told.unwrap_or_else(Unanswered::to_message)));
            }
            Err(unanswered) => return Some(Err(unanswered.to_message())),
        };
        let failed = |why: &str| {
            let endpoint = socket.endpoint();
            tracing::error!(channel = name, endpoint, "a state {why}");
            Some(Err(Unanswered::Panicked.to_message()))
        };
        match state {
            Ok(state) if state.get().len() <= Since::MAX_BYTES => Some(Ok(state)),
            Ok(_) => failed("is longer than 512 KiB"),
            Err(error) => failed(&format!("cannot be written as JSON: {error}")),
        }
    }

    /// `true` if any policy lets clients publish.
    pub(super) fn have_publishing_clients(&self) -> bool {
        self.policies
            .iter()
            .any(|(_, policy)| policy.lets_clients_publish())
    }

    /// The key of updates of which only the newest matters.
    pub(super) fn key(&self, name: &str) -> Option<&str> {
        self.find(name)?.1.key.as_deref()
    }

    /// The hook that sees what clients publish to a channel.
    pub(super) fn publish_hook(&self, name: &str) -> Option<&PublishHook> {
        self.find(name)?.1.on_publish.as_ref()
    }

    /// Asks the hook about a publication.
    pub(super) async fn ask_hook(
        &self,
        hook: &PublishHook,
        attempt: PublishAttempt<'_>,
    ) -> Result<Decision, Unanswered> {
        let PublishAttempt {
            socket, user, name, ..
        } = attempt;
        let asking = self.asking(socket, user, name);
        let context = self.publish_context(attempt);
        let what = "a hook for publishing";
        Ok(match hook.ask(what, asking, context).await? {
            Ok(accepted) => Decision::Accepted {
                data: accepted.data,
                encoding: accepted.encoding,
                version: accepted.version,
            },
            // The same message would make it fail again.
            Err(refusal) => {
                let told = asking.told(what, refusal);
                Decision::Refused(told.unwrap_or_else(Unanswered::to_message))
            }
        })
    }

    /// The time in which functions answer.
    pub(super) fn answer_time(&self) -> Duration {
        self.deadline
    }

    fn publish_context(&self, attempt: PublishAttempt<'_>) -> PublishContext {
        let (pattern, _) = self
            .find(attempt.name)
            .expect("a function belongs to a policy");
        PublishContext {
            socket: attempt.socket.clone(),
            user: attempt.user.cloned(),
            channel: Channel::new(attempt.name, pattern),
            data: attempt.data.to_owned().into(),
            bytes: attempt.bytes.cloned(),
            id: attempt.id.cloned(),
        }
    }

    /// Asks whether a client may publish.
    pub(super) async fn ask_to_publish(
        &self,
        attempt: PublishAttempt<'_>,
    ) -> Result<(), Option<ErrorMessage>> {
        let PublishAttempt {
            socket, user, name, ..
        } = attempt;
        let (_, policy) = self.find(name).ok_or(None)?;
        let rule = match &policy.may_publish {
            Some(rule) => rule,
            // The hook says who may.
            None if policy.on_publish.is_some() => return Ok(()),
            None => return Err(None),
        };
        let context = self.publish_context(attempt);
        let asking = self.asking(socket, user, name);
        let what = "a rule for publishing";
        rule.ask(what, asking, context)
            .await
            .map_err(|unanswered| Some(unanswered.to_message()))?
            .map_err(|reason| {
                let told = asking.told(what, reason?);
                Some(told.unwrap_or_else(Unanswered::to_message))
            })
    }

    /// The client for whom a function is asked.
    fn asking<'a>(&self, socket: &'a Socket, user: Option<&'a User>, name: &'a str) -> Asking<'a> {
        Asking {
            socket,
            user: user.map(|user| &user.id),
            channel: name,
            deadline: self.deadline,
        }
    }

    /// `true` if a pattern fits a channel.
    pub(super) fn has_policy(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn has_presence(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, policy)| policy.presence)
    }

    pub(super) fn slow_readers(&self, name: &str) -> SlowReaderPolicy {
        self.find(name)
            .map_or(&self.others, |(_, policy)| policy)
            .slow_policy()
    }

    /// The value that a new subscriber is given at once: whether any, and its key.
    pub(super) fn latest_value(&self, name: &str) -> Option<Option<&str>> {
        let (_, policy) = self.find(name).filter(|(_, policy)| policy.sends_latest)?;
        Some(policy.key.as_deref())
    }

    /// `true` if offsets may be left out, as only the newest publication matters.
    pub(super) fn is_latest(&self, name: &str) -> bool {
        self.latest_value(name).is_some()
            || self.slow_readers(name).slow_readers() == SlowReaders::Latest
    }

    /// The counters by pattern, in their order.
    pub(super) fn slow_reader_counts(&self) -> Vec<(String, SlowReaderCounts)> {
        self.policies
            .iter()
            .map(|(pattern, policy)| (pattern.to_string(), policy.slow_policy().counts()))
            .collect()
    }

    /// The treatments of slow readers, those of patterns first.
    pub(super) fn slow_reader_policies(&self) -> Vec<SlowReaderPolicy> {
        self.policies
            .iter()
            .map(|(_, policy)| policy)
            .chain([&self.others])
            .map(ChannelPolicy::slow_policy)
            .collect()
    }

    fn find(&self, name: &str) -> Option<&(Arc<Pattern>, ChannelPolicy)> {
        self.policies
            .iter()
            .find(|(pattern, _)| pattern.matches(name).is_some())
    }
}

impl Default for ChannelPolicies {
    fn default() -> Self {
        Self {
            policies: Vec::new(),
            others: ChannelPolicy::default(),
            refuse_others: false,
            deadline: DEADLINE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_fits_holds() {
        let keep = |count| ChannelPolicy::new().history(count, Duration::from_secs(1));
        let policies = ChannelPolicies::new()
            .policy("post-:id", keep(1))
            .policy(":any", keep(2));
        for (name, count) in [("post-1", 1), ("posts", 2)] {
            assert_eq!(policies.retention(name).count, count, "{name}");
        }
        assert_eq!(
            ChannelPolicies::new().retention("posts"),
            Retention::NOTHING
        );
    }
}
