//! Kinds of live channels that the configuration file describes.

mod access;
mod read;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nextrush::ErrorMessage;
use nextrush::live::{
    ChannelPolicies, ChannelPolicy, InvalidPattern, PublishContext, SubscribeContext,
};
use nextrush::topic::SlowReaders;
use parking_lot::RwLock;

pub(crate) use self::access::Access;
use crate::claims::Claims;
use crate::document::Place;
use crate::hooks::{HookedChannels, Hooks};

/// The channels whose names a pattern fits.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    /// The place of its table.
    pub(crate) place: Place,
    pub(crate) pattern: String,
    pub(crate) subscribe: Access,
    pub(crate) publish: Access,
    pub(crate) settings: ChannelSettings,
}

/// The settings of channels that change with a restart only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ChannelSettings {
    /// The number of publications, their age, and their bytes.
    pub(crate) history: Option<(usize, Duration)>,
    pub(crate) history_bytes: Option<usize>,
    pub(crate) presence: bool,
    pub(crate) slow_readers: Option<SlowReaders>,
    pub(crate) latest_value: bool,
    pub(crate) key: Option<String>,
    pub(crate) hooks: HookedChannels,
}

/// The rules of channels, which may change while the server runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Arc<RwLock<Arc<[Channel]>>>);

/// The outcome of [`Rules::replace`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replaced {
    /// Nothing differs.
    Same,
    /// The new rules hold.
    Rules,
    /// More than rules differs, and nothing has changed.
    NeedsRestart,
}

impl Rules {
    pub(crate) fn new(channels: &[Channel]) -> Self {
        Self(Arc::new(RwLock::new(channels.into())))
    }

    /// True if there are any, now or after a reload: that there are some takes a restart.
    pub(crate) fn are_there(&self) -> bool {
        !self.0.read().is_empty()
    }

    /// Takes the rules of other channels, unless more than their rules differs.
    pub(crate) fn replace(&self, channels: &[Channel]) -> Replaced {
        let mut now = self.0.write();
        let is_alike = |(one, other): (&Channel, &Channel)| {
            one.pattern == other.pattern && one.settings == other.settings
        };
        let are_alike = now.len() == channels.len() && now.iter().zip(channels).all(is_alike);
        if !are_alike {
            return Replaced::NeedsRestart;
        }
        let has_same_rules = |(one, other): (&Channel, &Channel)| {
            one.subscribe == other.subscribe && one.publish == other.publish
        };
        if now.iter().zip(channels).all(has_same_rules) {
            return Replaced::Same;
        }
        *now = channels.into();
        Replaced::Rules
    }

    /// The policies of channels with these rules, and the hooks that they have.
    ///
    /// # Errors
    ///
    /// A pattern is none.
    pub(crate) fn policies(&self, hooks: &Hooks) -> Result<ChannelPolicies, InvalidPattern> {
        let channels = self.now();
        let mut policies = ChannelPolicies::new();
        for (number, channel) in channels.iter().enumerate() {
            let (rules, again) = (self.clone(), self.clone());
            let asked = channel.settings.hooks.subscribe.then(|| hooks.clone());
            let policy = hooks
                .policy(channel.settings.policy(), channel.settings.hooks)
                .may_subscribe(async move |context: SubscribeContext| {
                    let SubscribeContext {
                        socket,
                        user,
                        channel,
                        ..
                    } = &context;
                    let claims = socket.data::<Claims>();
                    let now = rules.now();
                    let rule = &now[number].subscribe;
                    let is_allowed = rule.allows(user.as_ref(), claims.as_ref(), channel);
                    if let (true, Some(hooks)) = (is_allowed, &asked) {
                        hooks.may_subscribe(&context).await?;
                    }
                    Ok::<_, ErrorMessage>(is_allowed)
                })
                .may_publish(async move |context: PublishContext| {
                    let PublishContext {
                        socket,
                        user,
                        channel,
                        ..
                    } = &context;
                    let claims = socket.data::<Claims>();
                    let now = again.now();
                    now[number]
                        .publish
                        .allows(user.as_ref(), claims.as_ref(), channel)
                });
            policies = policies.try_policy(&channel.pattern, policy)?;
        }
        Ok(policies)
    }

    fn now(&self) -> Arc<[Channel]> {
        Arc::clone(&self.0.read())
    }
}

impl ChannelSettings {
    fn policy(&self) -> ChannelPolicy {
        let mut policy = ChannelPolicy::new();
        if let Some((count, age)) = self.history {
            policy = policy.history(count, age);
        }
        if let Some(bytes) = self.history_bytes {
            policy = policy.history_bytes(bytes);
        }
        if self.presence {
            policy = policy.presence();
        }
        if let Some(slow_readers) = self.slow_readers {
            policy = policy.slow_readers(slow_readers);
        }
        if self.latest_value {
            policy = policy.latest_value();
        }
        if let Some(key) = &self.key {
            policy = policy.key(key);
        }
        policy
    }
}

/// The table as it could stand in a file, with its place.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            pattern,
            subscribe,
            publish,
            settings,
        } = self;
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        writeln!(f, "[[channel]]  # {place}")?;
        writeln!(f, "pattern = {}", quoted(pattern))?;
        writeln!(f, "subscribe = {subscribe}")?;
        writeln!(f, "publish = {publish}")?;
        if let Some((count, age)) = settings.history {
            writeln!(f, "history = {count}\nhistory-age = \"{}s\"", age.as_secs())?;
        }
        if let Some(bytes) = settings.history_bytes {
            writeln!(f, "history-bytes = {bytes}")?;
        }
        for (name, is_on) in [
            ("presence", settings.presence),
            ("latest-value", settings.latest_value),
        ] {
            if is_on {
                writeln!(f, "{name} = true")?;
            }
        }
        if let Some(slow_readers) = settings.slow_readers {
            writeln!(f, "slow-readers = {}", quoted(read::name_of(slow_readers)))?;
        }
        if let Some(key) = &settings.key {
            writeln!(f, "key = {}", quoted(key))?;
        }
        let hooks = read::names_of(settings.hooks);
        if !hooks.is_empty() {
            let hooks: Vec<_> = hooks.into_iter().map(quoted).collect();
            writeln!(f, "hooks = [{}]", hooks.join(", "))?;
        }
        Ok(())
    }
}
