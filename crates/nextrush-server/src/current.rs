//! The parts of the configuration that change while the server runs.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Request, State};
use nextrush::limits::{ConnectionLimit, TokenBucket};
use nextrush::{Jwt, LiveUpdates, Message, OriginPolicy, Socket};
use nextrush_admin::InspectorKey;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::channels::Rules;

/// The key of tokens, the origins and the rules of the moment. Clones are the same.
#[derive(Clone)]
pub(crate) struct Current {
    keys: Arc<RwLock<Keys>>,
    /// The rules of channels.
    pub(crate) rules: Rules,
    /// The most connections of one client address.
    pub(crate) connections: ConnectionLimit,
    /// The messages of a socket, which do not change.
    pub(crate) messages: TokenBucket,
    /// Told of each change.
    changed: watch::Sender<()>,
}

struct Keys {
    jwt: Jwt,
    origins: OriginPolicy,
    /// The key of the operators' view, once there is one.
    inspector: Option<InspectorKey>,
}

impl Current {
    pub(crate) fn new(
        jwt: Jwt,
        origins: OriginPolicy,
        rules: Rules,
        connections: ConnectionLimit,
        messages: TokenBucket,
    ) -> Self {
        let keys = Keys {
            jwt,
            origins,
            inspector: None,
        };
        Self {
            keys: Arc::new(RwLock::new(keys)),
            rules,
            connections,
            messages,
            changed: watch::Sender::new(()),
        }
    }

    /// The key of tokens.
    pub(crate) fn jwt(&self) -> Jwt {
        self.keys.read().jwt.clone()
    }

    /// The web pages that may connect.
    pub(crate) fn origins(&self) -> OriginPolicy {
        self.keys.read().origins.clone()
    }

    pub(crate) fn set_jwt(&self, jwt: Jwt) {
        self.keys.write().jwt = jwt;
    }

    pub(crate) fn set_origins(&self, origins: OriginPolicy) {
        self.keys.write().origins = origins;
    }

    /// The key of the operators' view, once there is one.
    pub(crate) fn inspector_key(&self) -> Option<InspectorKey> {
        self.keys.read().inspector.clone()
    }

    pub(crate) fn set_inspector_key(&self, key: Option<InspectorKey>) {
        self.keys.write().inspector = key;
    }

    /// Tells of changes of rules.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    /// A filter that takes new tokens, as [`Jwt::refresh`] does with the key of the moment.
    pub(crate) fn refresh(
        &self,
    ) -> impl Fn(&Socket, &Message) -> ControlFlow<()> + Send + Sync + use<> {
        let current = self.clone();
        move |socket, message| current.jwt().refresh()(socket, message)
    }

    /// Asks the rules again of all who are subscribed, after each change, until the server ends.
    pub(crate) fn recheck(&self, live: &LiveUpdates) {
        let mut changed = self.changed.subscribe();
        let live = live.clone();
        // Ends with the last clone of this, of which the task has none.
        tokio::spawn(async move {
            while changed.changed().await.is_ok() {
                for (channel, _) in live.local_channels() {
                    live.recheck_channel(&channel).await;
                }
            }
        });
    }
}

/// Gives a request the key and the origins of the moment.
pub(crate) async fn attach(State(current): State<Current>, mut request: Request) -> Request {
    let extensions = request.extensions_mut();
    let keys = current.keys.read();
    extensions.insert(keys.jwt.clone());
    extensions.insert(keys.origins.clone());
    drop(keys);
    request
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read();
        f.debug_struct("Current")
            .field("jwt", &keys.jwt)
            .field("origins", &keys.origins)
            .finish_non_exhaustive()
    }
}
