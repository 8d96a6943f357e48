//! The guide's "Live Updates & Notifications": clients subscribe to channels, and
//! HTTP routes publish to them. The program `nextrush` has it in `routes/posts.rs`.
//!
//! `JWT_SECRET=… cargo run -p nextrush --example live_updates`, then connect to
//! `ws://localhost:3000/live?token=…`, send
//! `{"type":"subscribe","channel":"posts"}`, and create a post:
//! `curl -H 'Authorization: Bearer …' -H 'Content-Type: application/json'
//! -d '{"title":"Hello"}' localhost:3000/api/posts`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Result;
use nextrush::{App, AuthRejection, Authenticated, BoxError, Jwt, LiveUpdates, Socket};
use serde::{Deserialize, Serialize};

#[derive(Clone, Deserialize, Serialize)]
struct Post {
    #[serde(default)]
    id: u64,
    title: String,
}

#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Change<'a> {
    NewPost { post: &'a Post },
    PostUpdated { post: &'a Post },
    Updated { post: &'a Post },
}

#[derive(Serialize)]
struct Saved {
    success: bool,
    post: Post,
}

#[derive(Clone)]
struct Blog {
    live: LiveUpdates,
    posts: Arc<Mutex<BTreeMap<u64, Post>>>,
}

impl Blog {
    fn create(&self, mut post: Post) -> Post {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        post.id = posts.last_key_value().map_or(1, |(id, _)| id + 1);
        posts.insert(post.id, post.clone());
        post
    }

    fn update(&self, id: u64, post: Post) -> Option<Post> {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = posts.get_mut(&id)?;
        *entry = Post { id, ..post };
        Some(entry.clone())
    }
}

// Trigger live updates from API endpoints

async fn create(
    State(blog): State<Blog>,
    _user: Authenticated,
    Json(post): Json<Post>,
) -> Result<Json<Saved>> {
    let post = blog.create(post);

    // Notify subscribers
    blog.live
        .publish("posts", &Change::NewPost { post: &post })
        .await?;

    Ok(Json(Saved {
        success: true,
        post,
    }))
}

async fn update(
    State(blog): State<Blog>,
    _user: Authenticated,
    Path(id): Path<u64>,
    Json(post): Json<Post>,
) -> Result<Json<Saved>> {
    let post = blog.update(id, post).ok_or(StatusCode::NOT_FOUND)?;

    // Notify subscribers
    blog.live
        .publish("posts", &Change::PostUpdated { post: &post })
        .await?;
    blog.live
        .publish(&format!("post-{id}"), &Change::Updated { post: &post })
        .await?;

    Ok(Json(Saved {
        success: true,
        post,
    }))
}

/// The application, to be served or tested.
pub fn app(jwt: Jwt) -> App {
    let mut app = App::new();
    app.jwt(jwt);
    let live = LiveUpdates::new(&app, "live");
    let blog = Blog {
        live: live.clone(),
        posts: Arc::default(),
    };

    // Live updates WebSocket
    app.ws(
        "/live",
        move |socket: Socket, user: Result<Authenticated, AuthRejection>| match user {
            Ok(user) => {
                user.admit(&socket);
                live.connect(&socket);
            }
            Err(rejection) => rejection.reject(&socket),
        },
    );
    app.post("/api/posts", create);
    app.put("/api/posts/:id", update);

    app.with_state(blog)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let secret = std::env::var("JWT_SECRET")?;
    app(Jwt::hs256(secret)).listen(3000).await?;
    Ok(())
}
