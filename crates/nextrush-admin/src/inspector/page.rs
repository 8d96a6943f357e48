//! The inspector's page by itself, embedded in the program. All its addresses are relative, so it may
//! be anywhere.

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use crate::page_file::page_file;

/// The part of the server's page that the inspector needs. The markup is in `index.html`.
#[derive(RustEmbed)]
#[folder = "page/"]
struct PageFiles;

#[derive(RustEmbed)]
#[folder = "client/"]
struct ClientFiles;

/// The routes of the page and its files, below `/inspect/`.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/inspect/", get(index))
        .route("/inspect/page/{*path}", get(page))
        .route("/inspect/client/{*path}", get(client))
}

/// A middleware that leads a browser that was given the address of the sockets to the page. A client
/// that asks with a plain request why a handshake was refused wants no page.
pub(super) async fn lead_to_page(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|accepted| accepted.to_str().ok());
    let is_navigation = !headers.contains_key(header::UPGRADE)
        && [Method::GET, Method::HEAD].contains(request.method())
        && accepted.any(|accepted| accepted.contains("text/html"));
    if is_navigation {
        return Redirect::temporary("inspect/").into_response();
    }
    next.run(request).await
}

async fn index(headers: HeaderMap) -> Response {
    let file = "inspector.html";
    page_file(file, PageFiles::get(file), &headers)
}

async fn page(Path(path): Path<String>, headers: HeaderMap) -> Response {
    page_file(&path, PageFiles::get(&path), &headers)
}

async fn client(Path(path): Path<String>, headers: HeaderMap) -> Response {
    page_file(&path, ClientFiles::get(&path), &headers)
}
