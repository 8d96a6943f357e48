//! A dialect of your own: an order book as a snapshot and the changes that follow it.
//! `cargo run -p nextrush --example order_book`, then `ws://localhost:3000/books/ACME`.

use std::collections::{BTreeMap, HashMap};

use axum::extract::Path;
use nextrush::broker::{Publication, Retention};
use nextrush::topic::{Arrival, Dialect, Gap, Locked, Topics};
use nextrush::{App, Outgoing, Position, Since, Socket};
use parking_lot::Mutex;
use serde_json::json;

#[derive(Default)]
struct Books {
    sizes: Mutex<HashMap<String, BTreeMap<u64, u64>>>,
    /// Held until a change is published, so that the last one published is the last one made.
    turn: tokio::sync::Mutex<()>,
}

impl Books {
    fn snapshot(&self, symbol: &str, at: Position) -> Outgoing {
        json!({ "type": "snapshot", "at": at, "sizes": self.sizes.lock().get(symbol) }).into()
    }
}

impl Dialect for Books {
    fn kind(&self) -> &'static str {
        "books"
    }

    fn retention(&self, _: &str) -> Retention {
        Retention::count(1000)
    }

    fn publication(&self, _: &str, at: Position, change: &Publication) -> Outgoing {
        let (price, size): (u64, u64) = serde_json::from_slice(&change.data).unwrap_or_default();
        json!({ "type": "change", "offset": at.offset, "price": price, "size": size }).into()
    }

    fn subscribed(&self, book: &Locked<'_>, arrival: &Arrival) -> Vec<Outgoing> {
        match arrival.recovered {
            Some(Ok(())) => vec![], // It gets the changes that it missed.
            Some(Err(_)) | None => vec![self.snapshot(book.name(), arrival.position)],
        }
    }

    fn gap(&self, symbol: &str, gap: &Gap) -> Option<Outgoing> {
        Some(self.snapshot(symbol, Position::new(gap.epoch, gap.to)))
    }
}

/// The application, to be served or tested.
pub fn app() -> App {
    let mut app = App::new();
    let books = Topics::new(&app, "books", Books::default());
    let followed = books.clone();
    app.ws(
        "/books/:symbol",
        async move |socket: Socket, Path(symbol): Path<String>, since: Option<Since>| {
            let book = followed.topic(&symbol)?;
            book.subscribe(&socket, since.as_ref()).await.map(drop)
        },
    );
    app.put(
        "/books/:symbol/:price/:size",
        async move |Path((symbol, price, size)): Path<(String, u64, u64)>| {
            let (book, Books { sizes, turn }) = (books.topic(&symbol)?, books.dialect());
            let _turn = turn.lock().await;
            sizes.lock().entry(symbol).or_default().insert(price, size);
            book.publish(&(price, size)).await.map(drop)
        },
    );
    app
}

#[tokio::main]
async fn main() -> nextrush::Result {
    app().listen(3000).await
}
