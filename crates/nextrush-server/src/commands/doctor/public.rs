//! The server as its clients reach it, through all proxies.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;

use super::finding::Finding;
use crate::client::{Answer, ClientError, ServerUrl, ask, open};

/// The time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The difference of clocks at which tokens are refused that were just made.
const APART: Duration = Duration::from_secs(30);

/// Asks for the server's version, and opens a WebSocket.
pub(super) async fn reach(url: &ServerUrl) -> Vec<Finding> {
    // Proxies keep its health to themselves, as those in `deploy/` do.
    let target = url.at("/version");
    let asked = timeout(PATIENCE, ask(Method::GET, &target, HeaderMap::new())).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return vec![unreachable(&with_sources(&error))],
        Err(_) => return vec![unreachable("no answer within 10 s")],
    };
    let mut findings = vec![judge_version(&answer)];
    findings.extend(judge_date(&answer.headers, SystemTime::now()));
    if is_version(&answer) {
        findings.push(socket(url).await);
    }
    findings
}

fn unreachable(error: &str) -> Finding {
    Finding::fail(
        format!("proxy: the address is out of reach: {error}"),
        "look at DNS, at the firewall and at the proxy's log",
    )
}

/// Returns `true` if it is a program of this kind that answers.
fn is_version(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status == StatusCode::OK && body["name"].is_string() && body["version"].is_string()
}

fn judge_version(answer: &Answer) -> Finding {
    match is_version(answer) {
        true => Finding::ok("proxy: /version is answered by the server"),
        false => Finding::fail(
            format!(
                "proxy: /version is answered with {}, and not by this server",
                answer.status
            ),
            "let the proxy pass all paths on but /healthz, /readyz and /metrics",
        ),
    }
}

/// The clock of whoever answers, compared with the one here.
fn judge_date(headers: &HeaderMap, now: SystemTime) -> Option<Finding> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let there = httpdate::parse_http_date(date).ok()?;
    let apart = now
        .duration_since(there)
        .unwrap_or_else(|error| error.duration());
    let what = format!("clock: {} s from that of the address", apart.as_secs());
    Some(match apart {
        apart if apart > APART => Finding::warn(
            what,
            "let both be set by NTP: tokens are refused or live too long by a wrong clock",
        ),
        _ => Finding::ok(what),
    })
}

/// Opens a WebSocket as a page of the address would. Who has no token is told so in the WebSocket,
/// so the upgrade needs none.
async fn socket(url: &ServerUrl) -> Finding {
    let Ok(origin) = HeaderValue::try_from(url.origin()) else {
        return unreachable("its name is no header");
    };
    let headers = HeaderMap::from_iter([(header::ORIGIN, origin)]);
    judge_socket(open(&url.at("/live"), headers).await.map(drop))
}

fn judge_socket(opened: Result<(), ClientError>) -> Finding {
    let error = match opened {
        Ok(()) => return Finding::ok("proxy: a WebSocket opens, for a page of the address"),
        Err(error) => error,
    };
    match &error {
        ClientError::Refused { status, .. } if *status == StatusCode::FORBIDDEN => Finding::fail(
            "proxy: pages of the address are refused (403)",
            "let the proxy pass the browser's Host on and set X-Forwarded-Proto, or name the origin \
             with --allow-origin",
        ),
        ClientError::Refused { status, .. }
            if matches!(
                *status,
                StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED | StatusCode::NOT_FOUND
            ) =>
        {
            Finding::fail(
                format!("proxy: the upgrade does not reach the server ({status})"),
                "let the proxy speak HTTP/1.1 to the server and pass Upgrade and Connection on",
            )
        }
        error => Finding::fail(
            format!("proxy: no WebSocket opens: {}", with_sources(error)),
            "look at the proxy's log",
        ),
    }
}

/// An error with its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn each_refusal_of_a_proxy_is_told_with_its_cause() {
        let refused = |status| {
            judge_socket(Err(ClientError::Refused {
                status,
                body: String::new(),
            }))
            .to_string()
        };
        for (status, word) in [
            (StatusCode::FORBIDDEN, "X-Forwarded-Proto"),
            (StatusCode::UPGRADE_REQUIRED, "Upgrade and Connection"),
            (StatusCode::BAD_GATEWAY, "log"),
        ] {
            let text = refused(status);
            assert!(text.starts_with("fail") && text.contains(word), "{text}");
        }
    }

    #[test]
    fn clocks_that_are_apart_are_noticed() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let date = HeaderValue::from_static("Thu, 01 Jan 1970 00:01:40 GMT");
        let headers = HeaderMap::from_iter([(header::DATE, date)]);
        let level = |now| judge_date(&headers, now).map(|finding| finding.level);
        assert_eq!(level(at(100)), Some(Level::Ok));
        assert_eq!(level(at(70)), Some(Level::Ok));
        assert_eq!(level(at(69)), Some(Level::Warn));
        assert_eq!(level(at(131)), Some(Level::Warn));
        assert_eq!(judge_date(&HeaderMap::new(), at(0)), None);
    }
}
