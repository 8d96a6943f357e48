//! The page and the browser client, embedded in the program.

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use nextrush_admin::page_file;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "page/"]
struct PageFiles;

#[derive(RustEmbed)]
#[folder = "client/"]
struct ClientFiles;

/// The routes of the page's files.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page/{*path}", get(page))
        .route("/client/{*path}", get(client))
}

async fn index(headers: HeaderMap) -> Response {
    page_file("index.html", PageFiles::get("index.html"), &headers)
}

async fn page(Path(path): Path<String>, headers: HeaderMap) -> Response {
    page_file(&path, PageFiles::get(&path), &headers)
}

async fn client(Path(path): Path<String>, headers: HeaderMap) -> Response {
    page_file(&path, ClientFiles::get(&path), &headers)
}
