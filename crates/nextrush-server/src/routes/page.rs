//! The page and the browser client, embedded in the program.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "page/"]
#[exclude = "*.md"]
struct PageFiles;

#[derive(RustEmbed)]
#[folder = "client/"]
#[include = "*.js"]
struct ClientFiles;

/// The headers of each file: the page loads nothing from elsewhere, and nobody embeds it.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        // The address may hold a token.
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// The routes of the page's files.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page/{*path}", get(page))
        .route("/client/{*path}", get(client))
}

async fn index(headers: HeaderMap) -> Response {
    answer("index.html", PageFiles::get("index.html"), &headers)
}

async fn page(Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer(&path, PageFiles::get(&path), &headers)
}

async fn client(Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer(&path, ClientFiles::get(&path), &headers)
}

fn answer(path: &str, file: Option<EmbeddedFile>, request: &HeaderMap) -> Response {
    let Some(file) = file else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let hash = file.metadata.sha256_hash();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{hash}\"");
    let seen = request.get(header::IF_NONE_MATCH);
    let mut response = if seen.is_some_and(|seen| seen.as_bytes() == etag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = mime_guess::from_path(path).first_or_octet_stream();
        (
            [(header::CONTENT_TYPE, kind.as_ref())],
            Body::from(file.data),
        )
            .into_response()
    };
    response.headers_mut().extend(HEADERS);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
