//! Posts: a small HTTP API whose changes are published to `/live`.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use nextrush::broker::HistoryQuery;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::message::Timestamp;
use nextrush::topic::PublishError;
use nextrush::{Authenticated, ErrorCode, Handle, LiveUpdates, User};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::error::StartError;

/// The channel to which every change of a post is published.
const CHANNEL: &str = "posts";
/// The highest number of posts.
const POSTS: u64 = 10_000;
/// The number of posts that are listed, the newest: all could be hundreds of megabytes.
const LISTED: usize = 100;
/// The largest body of a request: the longest post in any script, and more.
const REQUEST_BYTES: usize = 64 * 1024;
/// The longest title in characters.
const TITLE: usize = 200;
/// The longest body in characters.
const BODY: usize = 10_000;

/// The routes below `/api/posts`, which publish to the channels of `live`.
pub(crate) fn router(posts: Posts, live: LiveUpdates) -> Router {
    Router::new()
        .route("/api/posts", get(list).post(create))
        .route("/api/posts/{id}", put(update))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .with_state(Blog { posts, live })
}

#[derive(Clone)]
struct Blog {
    posts: Posts,
    live: LiveUpdates,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: u64,
    title: String,
    body: String,
    author: User,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The number of the change, by which a reader tells which of two states is newer.
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

/// The publication of a change.
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

async fn list(State(Blog { posts, .. }): State<Blog>, _: Authenticated) -> Json<List> {
    Json(List {
        posts: posts.newest_first(),
    })
}

async fn create(
    State(Blog { posts, live }): State<Blog>,
    Authenticated { claims: author, .. }: Authenticated,
    post: Result<Json<NewPost>, JsonRejection>,
) -> Result<Json<Saved>, Refusal> {
    let Json(NewPost { title, body }) = post?;
    check(Some(&title), Some(&body))?;
    whole(async move {
        let post = posts.create(title, body, author).await?;
        live.publish(CHANNEL, &Change::NewPost { post: &post })
            .await
            .map_err(not_published)?;
        Ok(Saved::new(post))
    })
    .await
}

async fn update(
    State(Blog { posts, live }): State<Blog>,
    _: Authenticated,
    id: Result<Path<u64>, PathRejection>,
    change: Result<Json<PostChange>, JsonRejection>,
) -> Result<Json<Saved>, Refusal> {
    let (Path(id), Json(change)) = (id?, change?);
    check(change.title.as_deref(), change.body.as_deref())?;
    whole(async move {
        let post = posts.update(id, change).await?;
        live.publish(CHANNEL, &Change::PostUpdated { post: &post })
            .await
            .map_err(not_published)?;
        live.publish(&format!("post-{id}"), &Change::Updated { post: &post })
            .await
            .map_err(not_published)?;
        Ok(Saved::new(post))
    })
    .await
}

/// Completes a change even if its client disconnects, which drops the request's future: a
/// saved change is published, and memory agrees with the disk.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(change).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is ending, and this task with it.
            Err(_) => pending().await,
        },
    }
}

fn not_saved(error: PublishError) -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal::new(
        status,
        ErrorCode::NotStored,
        "the change could not be saved",
    )
    .because(error)
}

fn not_published(error: PublishError) -> Refusal {
    let message = "the change is saved but could not be published";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal::new(status, ErrorCode::Unavailable, message).because(error)
}

fn check(title: Option<&str>, body: Option<&str>) -> Result<(), Refusal> {
    if let Some(title) = title
        && (title.trim().is_empty() || title.chars().count() > TITLE)
    {
        let message = format!("a title has 1 to {TITLE} characters");
        return Err(Refusal::invalid(message));
    }
    if let Some(body) = body
        && body.chars().count() > BODY
    {
        let message = format!("a body has at most {BODY} characters");
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

/// The posts by id: in memory, and on disk if there is a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Posts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    posts: Mutex<BTreeMap<u64, Post>>,
    records: Option<Records>,
    /// The lock of whoever writes a change, so that ids have no holes and no change is lost.
    writing: tokio::sync::Mutex<()>,
}

impl Posts {
    /// Reads the posts on disk.
    pub(crate) async fn load(records: Option<Records>) -> Result<Self, StartError> {
        let mut posts = BTreeMap::new();
        if let Some(records) = &records {
            for id in 1.. {
                let read = records.read(id).await;
                match read.map_err(|source| StartError::Post { id, source })? {
                    Some(post) => posts.insert(id, post),
                    None => break,
                };
            }
        }
        Ok(Self(Arc::new(Inner {
            posts: Mutex::new(posts),
            records,
            writing: tokio::sync::Mutex::default(),
        })))
    }

    fn newest_first(&self) -> Vec<Post> {
        let posts = self.0.posts.lock();
        posts.values().rev().take(LISTED).cloned().collect()
    }

    async fn create(&self, title: String, body: String, author: User) -> Result<Post, Refusal> {
        let _writing = self.0.writing.lock().await;
        let last = self
            .0
            .posts
            .lock()
            .last_key_value()
            .map_or(0, |(id, _)| *id);
        // Ids count from 1, and no post is ever removed.
        if last >= POSTS {
            let status = StatusCode::INSUFFICIENT_STORAGE;
            return Err(Refusal::new(status, ErrorCode::NotStored, "too many posts"));
        }
        let now = Timestamp::now();
        let post = Post {
            id: last + 1,
            title,
            body,
            author,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        self.keep(post).await
    }

    async fn update(&self, id: u64, change: PostChange) -> Result<Post, Refusal> {
        let _writing = self.0.writing.lock().await;
        let mut post = self.0.posts.lock().get(&id).cloned().ok_or_else(|| {
            let message = format!("no post has the id {id}");
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
        })?;
        if let Some(title) = change.title {
            post.title = title;
        }
        if let Some(body) = change.body {
            post.body = body;
        }
        post.updated_at = Timestamp::now();
        post.version += 1;
        self.keep(post).await
    }

    /// Stores a post on disk, then shows it to readers.
    async fn keep(&self, post: Post) -> Result<Post, Refusal> {
        if let Some(records) = &self.0.records {
            records.write(&post).await.map_err(not_saved)?;
        }
        self.0.posts.lock().insert(post.id, post.clone());
        Ok(post)
    }
}

/// The posts on disk. Each is the last publication of a channel of its own, to which no client
/// can subscribe.
#[derive(Clone, Debug)]
pub(crate) struct Records(LiveUpdates);

impl Records {
    pub(crate) fn new(app: &Handle) -> Self {
        let newest = ChannelPolicy::new().history(1, Duration::MAX);
        let channels = ChannelPolicies::new().policy(":id", newest);
        Self(
            LiveUpdates::builder()
                .policies(channels)
                .build(app, "posts"),
        )
    }

    async fn read(&self, id: u64) -> Result<Option<Post>, PublishError> {
        let history = self
            .0
            .history(&id.to_string(), HistoryQuery::Latest(1))
            .await?;
        let newest = history.publications.last();
        let post = newest.map(|newest| serde_json::from_slice(&newest.data));
        Ok(post.transpose()?)
    }

    async fn write(&self, post: &Post) -> Result<(), PublishError> {
        self.0.publish(&post.id.to_string(), post).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nextrush::App;

    use super::*;

    fn author() -> User {
        User::new(1, "ada@example.com")
    }

    async fn create(posts: &Posts, title: &str) -> Post {
        let created = posts.create(title.to_owned(), String::new(), author());
        created.await.unwrap()
    }

    #[tokio::test]
    async fn the_newest_posts_are_listed() {
        let posts = Posts::default();
        for number in 1..=101 {
            create(&posts, &number.to_string()).await;
        }
        let listed: Vec<_> = posts.newest_first().iter().map(|post| post.id).collect();
        let expected: Vec<_> = (2..=101).rev().collect();
        assert_eq!(listed, expected);
    }

    #[tokio::test]
    async fn recorded_posts_are_there_again_with_their_last_change() {
        let app: App = App::new();
        let records = Records::new(app.handle());
        let posts = Posts::load(Some(records.clone())).await.unwrap();
        create(&posts, "first").await;
        let second = create(&posts, "second").await;
        let change = PostChange {
            title: Some("changed".into()),
            body: None,
        };
        let changed = posts.update(second.id, change).await.unwrap();
        assert_eq!((&*changed.title, changed.version), ("changed", 2));

        let again = Posts::load(Some(records)).await.unwrap();
        assert_eq!(again.newest_first(), posts.newest_first());
        assert_eq!(create(&again, "third").await.id, 3);
    }

    #[tokio::test]
    async fn posts_created_at_once_have_ids_without_a_hole() {
        let app: App = App::new();
        let posts = Posts::load(Some(Records::new(app.handle()))).await.unwrap();
        let creating = (0..20).map(|_| {
            let posts = posts.clone();
            tokio::spawn(async move { create(&posts, "a").await.id })
        });
        let creating: Vec<_> = creating.collect();
        let mut ids = Vec::new();
        for created in creating {
            ids.push(created.await.unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, (1..=20).collect::<Vec<_>>());
    }
}
