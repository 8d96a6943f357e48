//! Hooks: a backend of whatever language is asked over HTTP who may connect, subscribe and publish,
//! and answers requests.
//!
//! A call is a `POST` of JSON with a [signature]. Only an answer that says so lets a client
//! do something: a backend that is dead, slow, or answers anything else refuses.

mod answer;
mod backend;
mod channels;
mod connect;
mod request;
mod settings;
mod signature;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::rustls::RootCertStore;

use self::backend::Backend;
pub(crate) use self::channels::HookedChannels;
pub(crate) use self::connect::join;
pub(crate) use self::settings::{HookSettings, HookTimeout, HookUrl};
use crate::client::tls;

/// The time for which an unused connection is kept, in seconds: less than the 5 s of Node, since a call
/// over a connection that is being closed is lost.
const IDLE_SECONDS: u64 = 4;
/// The bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;

/// The hooks of the configuration. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    pub(crate) connect: Option<Connect>,
    pub(crate) subscribe: Option<Arc<Backend>>,
    pub(crate) publish: Option<Arc<Backend>>,
    pub(crate) request: Option<Arc<Backend>>,
}

/// The hook that says who a client is.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    backend: Arc<Backend>,
    /// The headers of the client that the backend is told.
    headers: Arc<[HeaderName]>,
    /// True if the backend checks tokens too, as this server has no key for them.
    passes_tokens: bool,
}

impl Hooks {
    /// The hooks of the configuration.
    ///
    /// # Errors
    ///
    /// An address is `https://`, and the system has no certificates of authorities.
    pub(crate) fn new(settings: Option<&HookSettings>) -> io::Result<Self> {
        let Some(settings) = settings else {
            return Ok(Self::default());
        };
        let HookSettings {
            connect,
            subscribe,
            publish,
            request,
            headers,
            passes_tokens,
            ..
        } = settings;
        let urls = [connect, subscribe, publish, request];
        let tls = match urls.into_iter().flatten().any(HookUrl::is_tls) {
            true => (*tls::config()?).clone(),
            false => tls::trusting(RootCertStore::empty())?,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // So that a host that does not answer is told from a backend that does not.
        tcp.set_connect_timeout(Some(settings.timeout / 2));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS))
            .pool_max_idle_per_host(settings.calls.get())
            .http1_max_buf_size(HEAD_BYTES)
            .build(connector);
        let backend = |name, url: &Option<HookUrl>| {
            let url = url.clone()?;
            let backend = Backend::new(name, url, client.clone(), settings);
            Some(Arc::new(backend))
        };
        Ok(Self {
            connect: backend("connect", connect).map(|backend| Connect {
                backend,
                headers: headers.as_slice().into(),
                passes_tokens: *passes_tokens,
            }),
            subscribe: backend("subscribe", subscribe),
            publish: backend("publish", publish),
            request: backend("request", request),
        })
    }

    /// True if any hook is asked about channels or requests, and tells the backend of the client's claims.
    pub(crate) fn tell_claims(&self) -> bool {
        self.subscribe.is_some() || self.publish.is_some() || self.request.is_some()
    }
}
