//! Posts: a small HTTP API whose changes are published to `/live`.

mod entry;
mod kept;
mod log;
mod records;

use std::future::pending;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use nextrush::broker::BrokerError;
use nextrush::limits::{KeyedLimit, SlidingWindow};
use nextrush::message::Timestamp;
use nextrush::topic::PublishError;
use nextrush::{Authenticated, ErrorCode, LiveUpdates, User, UserId};
use nextrush_admin::Refusal;
use serde::{Deserialize, Serialize};

pub(crate) use self::log::Posts;
pub(crate) use self::records::Records;

/// The channel to which every change of a post is published.
const CHANNEL: &str = "posts";
/// The writes of one user in a minute.
const WRITES: u32 = 60;
const WRITES_WINDOW: Duration = Duration::from_secs(60);
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
        .with_state(Blog {
            posts,
            live,
            writes: KeyedLimit::new(SlidingWindow::new(WRITES, WRITES_WINDOW)),
        })
}

#[derive(Clone)]
struct Blog {
    posts: Posts,
    live: LiveUpdates,
    /// The writes of each user.
    writes: KeyedLimit<UserId, SlidingWindow>,
}

impl Blog {
    /// Counts a write of a user.
    fn allow(&self, user: &User) -> Result<(), Refusal> {
        self.writes
            .allow(&user.id, Instant::now())
            .map_err(|exceeded| Refusal::later("Rate limit exceeded", exceeded))
    }
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
    State(blog): State<Blog>,
    Authenticated { claims: author, .. }: Authenticated,
    post: Result<Json<NewPost>, JsonRejection>,
) -> Result<Json<Saved>, Refusal> {
    blog.allow(&author)?;
    let Blog { posts, live, .. } = blog;
    let Json(NewPost { title, body }) = post?;
    check(Some(&title), Some(&body))?;
    whole(async move {
        let post = posts.create(title, body, author).await?;
        let author = &post.author.id;
        live.publish_by(author, CHANNEL, &Change::NewPost { post: &post })
            .await
            .map_err(not_published)?;
        Ok(Saved::new(post))
    })
    .await
}

async fn update(
    State(blog): State<Blog>,
    Authenticated { claims: user, .. }: Authenticated,
    id: Result<Path<String>, PathRejection>,
    change: Result<Json<PostChange>, JsonRejection>,
) -> Result<Json<Saved>, Refusal> {
    blog.allow(&user)?;
    let Blog { posts, live, .. } = blog;
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    let id: u64 = id.ok_or_else(no_post)?;
    let Json(change) = change?;
    check(change.title.as_deref(), change.body.as_deref())?;
    whole(async move {
        let post = posts.update(id, &user, &change).await?;
        let author = &post.author.id;
        live.publish_by(author, CHANNEL, &Change::PostUpdated { post: &post })
            .await
            .map_err(not_published)?;
        let channel = format!("post-{id}");
        live.publish_by(author, &channel, &Change::Updated { post: &post })
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

fn no_post() -> Refusal {
    let message = "no post has this id";
    Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
}

fn not_saved(error: PublishError) -> Refusal {
    let status = match &error {
        PublishError::Broker(BrokerError::Full(_)) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal::new(
        status,
        ErrorCode::NotStored,
        "the change could not be saved",
    )
    .because_of(error)
}

fn not_published(error: PublishError) -> Refusal {
    let message = "the change is saved but could not be published";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal::new(status, ErrorCode::Unavailable, message).because_of(error)
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

#[cfg(test)]
mod tests {
    use axum::http::header;
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn a_change_that_is_not_saved_says_why_and_when_to_try_again() {
        let why = || "no".into();
        for (error, status, code, retry) in [
            (
                BrokerError::Unavailable(why()),
                503,
                ErrorCode::NotStored,
                Some("2"),
            ),
            (
                BrokerError::InDoubt(why()),
                503,
                ErrorCode::InDoubt,
                Some("2"),
            ),
            (BrokerError::Full(why()), 507, ErrorCode::NotStored, None),
            (BrokerError::Damaged(why()), 503, ErrorCode::NotStored, None),
        ] {
            let refusal = not_saved(error.into());
            assert_eq!(refusal.code(), code);
            let answer = refusal.into_response();
            assert_eq!(answer.status(), status, "{code}");
            let after = answer.headers().get(header::RETRY_AFTER);
            assert_eq!(after.map(|after| after.to_str().unwrap()), retry, "{code}");
        }
    }
}
