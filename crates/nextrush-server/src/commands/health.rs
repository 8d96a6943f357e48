//! `nextrush health`: the state of a server, for containers.

use std::time::Duration;

use clap::Args;
use http::{HeaderMap, Method, StatusCode};
use nextrush::server::{BasePath, ListenAddr};
use serde_json::Value;
use tokio::time::timeout;

use super::configured::configured;
use crate::client::{Answer, ClientError, ServerUrl, ask};
use crate::document::ConfigError;

/// The time that a server may take for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a server for its health: exit code 0 if it serves, else 1.
///
/// For the health checks of containers, whose images need no other program for it. Prints what the
/// server says.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The server, as http://host:port; that of the configuration on this machine without it.
    #[arg(env = "NEXTRUSH_URL")]
    pub url: Option<ServerUrl>,

    /// Asks whether clients are to be sent there (/readyz) in place of whether the process is to be
    /// left alone (/healthz).
    #[arg(long)]
    pub ready: bool,
}

/// The reason why a server is not healthy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// The configuration, which says where the server listens, is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration names no address that can be asked.
    #[error("the configuration has no port to ask at: give the URL of the server")]
    Nowhere,
    /// The server cannot be reached.
    #[error("the server does not answer")]
    Client(#[from] ClientError),
    /// The server took too long.
    #[error("the server did not answer within 5 s")]
    Late,
    /// The server says that it is not to be used.
    #[error("the server says {status}: {said}")]
    Unhealthy {
        /// The status of its answer.
        status: StatusCode,
        /// The status and the reasons that it gives.
        said: String,
    },
}

impl Health {
    /// Asks. Returns what the server says.
    ///
    /// # Errors
    ///
    /// See [`HealthError`].
    pub async fn run(&self) -> Result<String, HealthError> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => local()?,
        };
        let target = url.at(if self.ready { "/readyz" } else { "/healthz" });
        let asked = timeout(PATIENCE, ask(Method::GET, &target, HeaderMap::new())).await;
        let Answer { status, body, .. } = asked.map_err(|_| HealthError::Late)??;
        let said = said(&body);
        match status {
            StatusCode::OK => Ok(said),
            status => Err(HealthError::Unhealthy { status, said }),
        }
    }
}

/// The status and the reasons in a body, or its beginning.
fn said(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(status) = json["status"].as_str() else {
        return String::from_utf8_lossy(body)
            .chars()
            .take(200)
            .collect::<String>()
            .trim()
            .to_owned();
    };
    let reasons = json["reasons"].as_array().into_iter().flatten();
    let reasons: Vec<_> = reasons.filter_map(Value::as_str).collect();
    match reasons.is_empty() {
        true => status.to_owned(),
        false => format!("{status} ({})", reasons.join(", ")),
    }
}

/// The server of the configuration, on this machine.
fn local() -> Result<ServerUrl, HealthError> {
    let settings = configured(None)?;
    let url = local_url(
        settings.tls_cert.is_some(),
        &settings.listen,
        &settings.base_path,
    );
    url.ok_or(HealthError::Nowhere)
}

/// The URL of a server on this machine; `None` if it has Unix sockets only.
pub(super) fn local_url(
    is_tls: bool,
    listen: &[ListenAddr],
    base_path: &BasePath,
) -> Option<ServerUrl> {
    let scheme = if is_tls { "https" } else { "http" };
    let authority = listen.iter().find_map(authority)?;
    format!("{scheme}://{authority}{base_path}").parse().ok()
}

/// Host and port at which an address is reached from this machine.
fn authority(address: &ListenAddr) -> Option<String> {
    match address {
        ListenAddr::Port(port) => Some(format!("localhost:{port}")),
        ListenAddr::Exactly(address) if address.ip().is_unspecified() => {
            Some(format!("localhost:{}", address.port()))
        }
        ListenAddr::Exactly(address) => Some(address.to_string()),
        ListenAddr::Name(name, port) => Some(format!("{name}:{port}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_its_status_with_the_reasons() {
        for (body, expected) in [
            (r#"{"status":"ok"}"#, "ok"),
            (r#"{"status":"draining"}"#, "draining"),
            (
                r#"{"status":"unready","reasons":["draining","store-away"]}"#,
                "unready (draining, store-away)",
            ),
            ("<html>no\n", "<html>no"),
        ] {
            assert_eq!(said(body.as_bytes()), expected);
        }
        assert_eq!(said(&[b'x'; 1000]).len(), 200);
    }

    #[test]
    fn a_server_is_asked_at_an_address_of_this_machine() {
        for (listen, expected) in [
            ("3000", Some("localhost:3000")),
            ("0.0.0.0:80", Some("localhost:80")),
            ("[::]:80", Some("localhost:80")),
            ("127.0.0.2:81", Some("127.0.0.2:81")),
            ("[::1]:81", Some("[::1]:81")),
            ("example.com:82", Some("example.com:82")),
            ("unix:/run/n.sock", None),
        ] {
            let listen: ListenAddr = listen.parse().unwrap();
            assert_eq!(authority(&listen).as_deref(), expected);
        }
    }

    #[test]
    fn a_server_below_a_path_is_asked_there() {
        let listen = ["unix:/run/n.sock", "3000", "4000"].map(|text| text.parse().unwrap());
        let [root, below] = ["/", "/chat"].map(|path| path.parse().unwrap());
        let url = |is_tls, listen: &[ListenAddr], base_path| {
            let target = local_url(is_tls, listen, base_path)?.at("/healthz");
            Some((target.authority(), target.path().to_owned()))
        };
        let at = |path: &str| Some(("localhost:3000".to_owned(), path.to_owned()));
        assert_eq!(url(false, &listen, &root), at("/healthz"));
        assert_eq!(url(true, &listen, &below), at("/chat/healthz"));
        assert_eq!(url(false, &listen[..1], &root), None);
    }
}
