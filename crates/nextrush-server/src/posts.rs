//! Posts: a small HTTP API whose changes are published to `/live`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Extension, Path};
use nextrush::{App, Authenticated, LiveUpdates, Timestamp, User};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;

/// The channel that hears of every post.
const CHANNEL: &str = "posts";
/// The most posts that are kept; a server of chats is no place for more.
const POSTS: usize = 10_000;
/// How many of them are listed, the newest: all could be hundreds of megabytes.
const LISTED: usize = 100;
/// The longest title in characters.
const TITLE: usize = 200;
/// The longest body in characters.
const BODY: usize = 10_000;

pub(crate) fn add(app: &mut App, live: LiveUpdates) {
    let posts = Posts::default();
    let router = axum::Router::new()
        .route("/api/posts", axum::routing::get(list).post(create))
        .route("/api/posts/{id}", axum::routing::put(update))
        .layer(Extension(posts))
        .layer(Extension(live));
    app.merge(router);
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: u64,
    title: String,
    body: String,
    author: User,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Rises with each change, so that a reader can tell which of two is newer.
    version: u64,
}

#[derive(Debug, Deserialize)]
struct NewPost {
    title: String,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
struct PostChange {
    title: Option<String>,
    body: Option<String>,
}

/// What subscribers are told.
#[derive(Serialize)]
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

impl Saved {
    fn new(post: Post) -> Json<Self> {
        Json(Self {
            success: true,
            post,
        })
    }
}

#[derive(Serialize)]
struct List {
    posts: Vec<Post>,
}

async fn list(Extension(posts): Extension<Posts>, _: Authenticated) -> Json<List> {
    Json(List {
        posts: posts.newest_first(),
    })
}

async fn create(
    Extension(posts): Extension<Posts>,
    Extension(live): Extension<LiveUpdates>,
    Authenticated { claims: author, .. }: Authenticated,
    post: Result<Json<NewPost>, JsonRejection>,
) -> Result<Json<Saved>, ApiError> {
    let Json(NewPost { title, body }) = post?;
    check(Some(&title), Some(&body))?;
    let post = posts.create(title, body, author)?;
    live.publish(CHANNEL, &Change::NewPost { post: &post })
        .await?;
    Ok(Saved::new(post))
}

async fn update(
    Extension(posts): Extension<Posts>,
    Extension(live): Extension<LiveUpdates>,
    _: Authenticated,
    id: Result<Path<u64>, PathRejection>,
    change: Result<Json<PostChange>, JsonRejection>,
) -> Result<Json<Saved>, ApiError> {
    let (Path(id), Json(change)) = (id?, change?);
    check(change.title.as_deref(), change.body.as_deref())?;
    let post = posts.update(id, change)?;
    live.publish(CHANNEL, &Change::PostUpdated { post: &post })
        .await?;
    live.publish(&format!("post-{id}"), &Change::Updated { post: &post })
        .await?;
    Ok(Saved::new(post))
}

fn check(title: Option<&str>, body: Option<&str>) -> Result<(), ApiError> {
    if let Some(title) = title
        && (title.trim().is_empty() || title.chars().count() > TITLE)
    {
        let message = format!("a title has 1 to {TITLE} characters");
        return Err(ApiError::Invalid(message));
    }
    if let Some(body) = body
        && body.chars().count() > BODY
    {
        let message = format!("a body has at most {BODY} characters");
        return Err(ApiError::Invalid(message));
    }
    Ok(())
}

/// The posts, in memory, by id.
#[derive(Clone, Debug, Default)]
struct Posts(Arc<Mutex<BTreeMap<u64, Post>>>);

impl Posts {
    fn newest_first(&self) -> Vec<Post> {
        let posts = self.0.lock();
        posts.values().rev().take(LISTED).cloned().collect()
    }

    fn create(&self, title: String, body: String, author: User) -> Result<Post, ApiError> {
        let mut posts = self.0.lock();
        if posts.len() >= POSTS {
            return Err(ApiError::TooManyPosts);
        }
        let now = Timestamp::now();
        let post = Post {
            id: posts.last_key_value().map_or(1, |(id, _)| id + 1),
            title,
            body,
            author,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        posts.insert(post.id, post.clone());
        Ok(post)
    }

    fn update(&self, id: u64, change: PostChange) -> Result<Post, ApiError> {
        let mut posts = self.0.lock();
        let post = posts.get_mut(&id).ok_or(ApiError::NoSuchPost(id))?;
        if let Some(title) = change.title {
            post.title = title;
        }
        if let Some(body) = change.body {
            post.body = body;
        }
        post.updated_at = Timestamp::now();
        post.version += 1;
        Ok(post.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_posts_are_listed() {
        let posts = Posts::default();
        let author = User {
            id: 1.into(),
            email: "ada@example.com".into(),
        };
        for number in 1..=101 {
            posts
                .create(number.to_string(), String::new(), author.clone())
                .unwrap();
        }
        let listed: Vec<_> = posts.newest_first().iter().map(|post| post.id).collect();
        let expected: Vec<_> = (2..=101).rev().collect();
        assert_eq!(listed, expected);
    }
}
