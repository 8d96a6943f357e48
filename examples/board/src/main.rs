//! A kanban board for several people: the program of the guide's tutorial "A board in an hour".
//!
//! `cargo run -p board`, with the page built in `web`, then open `http://localhost:3000` in two
//! windows.

mod board;
mod channels;
mod session;
mod store;
#[cfg(test)]
mod tests;

use axum::extract::State;
use axum::routing::get_service;
use nextrush::{App, Authenticated, BoxError, LiveUpdates, Socket};
use serde_json::Value;
use tower_http::services::ServeDir;

use crate::board::Command;
use crate::store::Store;

#[derive(Clone)]
struct Boards {
    store: Store,
    live: LiveUpdates,
}

impl Boards {
    /// The user as others see it.
    async fn person(&self, user: String) -> Result<Value, BoxError> {
        self.store
            .ask("SELECT json FROM users WHERE id = ?1", [user])
            .await
    }
}

async fn connected(
    socket: Socket,
    State(boards): State<Boards>,
    user: Authenticated,
) -> Result<(), BoxError> {
    let user = user.admit(&socket).id.to_string();
    socket.set_data(boards.person(user.clone()).await?);
    boards.live.connect(&socket);
    socket
        .on_request(async move |_: Socket, command: Command| boards.execute(&user, command).await);
    Ok(())
}

fn app(store: Store) -> App {
    let mut app = App::new();
    let live = channels::live_updates(&app, &store);
    app.authenticate(store.clone());
    app.ws("/live", connected);
    app.get("/api/session", session::who_am_i);
    app.post("/api/session", session::sign_in);
    app.delete("/api/session", session::sign_out);
    app.fallback(get_service(ServeDir::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/web/dist"
    ))));
    app.with_state(Boards { store, live })
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or("board.db".to_owned());
    let address = arguments.next().unwrap_or("127.0.0.1:3000".to_owned());
    let server = app(Store::open(&file)?).listen(&*address).start().await?;
    println!("Open http://localhost:{}/", server.address().port());
    server.run_until_signal().await?;
    Ok(())
}
