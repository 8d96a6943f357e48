//! Rules of channels: functions of the application that let clients subscribe and publish.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::pattern::Pattern;
use crate::message::{ErrorMessage, User};
use crate::socket::Socket;

/// A channel as a rule sees it: its name, and the values of its pattern's parameters there.
#[derive(Clone, Debug)]
pub struct Channel {
    name: Arc<str>,
    pattern: Arc<Pattern>,
}

impl Channel {
    pub(super) fn new(name: &str, pattern: &Arc<Pattern>) -> Self {
        Self {
            name: name.into(),
            pattern: Arc::clone(pattern),
        }
    }

    /// The whole name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `:parameter` of the pattern; `None` if it has no such one.
    #[must_use]
    pub fn param(&self, parameter: &str) -> Option<&str> {
        self.pattern
            .matches(&self.name)?
            .into_iter()
            .find_map(|(name, value)| (name == parameter).then_some(value))
    }
}

/// A client's attempt to subscribe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeContext {
    /// The client's socket.
    pub socket: Socket,
    /// The user that the socket belonged to when live updates were connected.
    pub user: Option<User>,
    /// The channel.
    pub channel: Channel,
}

/// A client's attempt to publish.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishContext {
    /// The client's socket.
    pub socket: Socket,
    /// The user that the socket belonged to when live updates were connected.
    pub user: Option<User>,
    /// The channel.
    pub channel: Channel,
    /// The data, as it came.
    pub data: Arc<RawValue>,
}

/// The outcome of a rule: `true`, or `Ok(())`, lets the client.
///
/// `false` refuses it with the usual message, an [`ErrorMessage`] with one of its own.
pub trait Verdict {
    /// The outcome as a result; an error of `None` is the usual message.
    ///
    /// # Errors
    ///
    /// Fails where the client is refused.
    fn into_result(self) -> Result<(), Option<ErrorMessage>>;
}

impl Verdict for bool {
    fn into_result(self) -> Result<(), Option<ErrorMessage>> {
        match self {
            true => Ok(()),
            false => Err(None),
        }
    }
}

impl Verdict for Result<(), ErrorMessage> {
    fn into_result(self) -> Result<(), Option<ErrorMessage>> {
        self.map_err(Some)
    }
}

type Judging<'a> = Pin<Box<dyn Future<Output = Result<(), Option<ErrorMessage>>> + 'a>>;

/// A rule behind one pointer. Its futures are polled on the thread of the client's socket.
pub(super) struct Rule<C>(Arc<dyn Judge<C>>);

trait Judge<C>: Send + Sync {
    fn judge(&self, context: C) -> Judging<'_>;
}

struct Function<F>(F);

impl<C, F, V> Judge<C> for Function<F>
where
    C: 'static,
    F: AsyncFn(C) -> V + Send + Sync,
    V: Verdict,
{
    fn judge(&self, context: C) -> Judging<'_> {
        Box::pin(async move { (self.0)(context).await.into_result() })
    }
}

impl<C: 'static> Rule<C> {
    pub(super) fn new<F, V>(rule: F) -> Self
    where
        F: AsyncFn(C) -> V + Send + Sync + 'static,
        V: Verdict + 'static,
    {
        Self(Arc::new(Function(rule)))
    }

    pub(super) async fn judge(&self, context: C) -> Result<(), Option<ErrorMessage>> {
        self.0.judge(context).await
    }
}

impl<C> Clone for Rule<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Rule<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}
