//! Posts: a small HTTP API whose changes are published to `/live`.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use nextrush::broker::HistoryQuery;
use nextrush::limits::{Exceeded, KeyedLimit, SlidingWindow};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::message::Timestamp;
use nextrush::topic::PublishError;
use nextrush::{Authenticated, ErrorCode, Handle, LiveUpdates, User, UserId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::error::StartError;

/// The channel to which every change of a post is published.
const CHANNEL: &str = "posts";
/// The highest number of posts; the oldest go.
const POSTS: u64 = 10_000;
/// The highest number of posts of one user.
const POSTS_OF_USER: usize = 1_000;
/// The time after which a user with so many posts may ask again: others' posts may have taken the
/// place of the oldest by then.
const POSTS_RETRY: Duration = Duration::from_secs(60 * 60);
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
        let post = posts.update(id, &user, change).await?;
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
    kept: Mutex<Kept>,
    records: Option<Records>,
    /// The lock of whoever writes a change, so that ids have no holes and no change is lost.
    writing: tokio::sync::Mutex<()>,
}

/// The newest posts.
#[derive(Debug, Default)]
struct Kept {
    posts: BTreeMap<u64, Post>,
    /// The highest id that was given.
    last: u64,
    /// The number of posts of each author.
    counts: HashMap<UserId, usize>,
}

impl Kept {
    /// Adds or changes a post, in place of the oldest if there are too many.
    fn insert(&mut self, post: Post) {
        let author = post.author.id.clone();
        self.last = self.last.max(post.id);
        if self.posts.insert(post.id, post).is_none() {
            *self.counts.entry(author).or_default() += 1;
        }
        while self.posts.len() as u64 > POSTS
            && let Some((_, oldest)) = self.posts.pop_first()
        {
            let count = self.counts.get_mut(&oldest.author.id);
            if let Some(count) = count.filter(|count| **count > 1) {
                *count -= 1;
            } else {
                self.counts.remove(&oldest.author.id);
            }
        }
    }

    /// Removes the posts of an author.
    /// Removes the posts of a user; returns their number.
    fn remove_by(&mut self, author: &UserId) -> usize {
        self.posts.retain(|_, post| post.author.id != *author);
        self.counts.remove(author).unwrap_or_default()
    }

    fn count_of(&self, author: &UserId) -> usize {
        self.counts.get(author).copied().unwrap_or_default()
    }
}

impl Posts {
    /// Reads the posts on disk.
    pub(crate) async fn load(records: Option<Records>) -> Result<Self, StartError> {
        let mut kept = Kept::default();
        if let Some(records) = &records {
            for place in 1..=POSTS {
                let read = records.read(place).await;
                match read.map_err(|source| StartError::Post { id: place, source })? {
                    Place::Post(post) => kept.insert(post),
                    // Its id is not given again.
                    Place::Deleted => kept.last = kept.last.max(place),
                    Place::Unused => break,
                }
            }
        }
        Ok(Self(Arc::new(Inner {
            kept: Mutex::new(kept),
            records,
            writing: tokio::sync::Mutex::default(),
        })))
    }

    fn newest_first(&self) -> Vec<Post> {
        let kept = self.0.kept.lock();
        kept.posts.values().rev().take(LISTED).cloned().collect()
    }

    async fn create(&self, title: String, body: String, author: User) -> Result<Post, Refusal> {
        let _writing = self.0.writing.lock().await;
        let last = {
            let kept = self.0.kept.lock();
            if kept.count_of(&author.id) >= POSTS_OF_USER {
                let message = format!("A user has at most {POSTS_OF_USER} posts");
                return Err(Refusal::later(message, Exceeded::new(POSTS_RETRY)));
            }
            kept.last
        };
        // Ids count from 1.
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

    /// Changes a post, for its author only.
    async fn update(&self, id: u64, user: &User, change: PostChange) -> Result<Post, Refusal> {
        let _writing = self.0.writing.lock().await;
        let post = self.0.kept.lock().posts.get(&id).cloned();
        let mut post = post.ok_or_else(no_post)?;
        if post.author.id != user.id {
            let message = "only its author changes a post";
            let status = StatusCode::FORBIDDEN;
            return Err(Refusal::new(status, ErrorCode::Forbidden, message));
        }
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

    /// Forgets the posts of a user, whose records have been deleted. Returns the number of those
    /// that had no record.
    pub(super) async fn forget_by(&self, author: &UserId) -> usize {
        let _writing = self.0.writing.lock().await;
        let forgotten = self.0.kept.lock().remove_by(author);
        if self.0.records.is_some() {
            0
        } else {
            forgotten
        }
    }

    /// Stores a post on disk, then shows it to readers.
    async fn keep(&self, post: Post) -> Result<Post, Refusal> {
        if let Some(records) = &self.0.records {
            records.write(&post).await.map_err(not_saved)?;
        }
        self.0.kept.lock().insert(post.clone());
        Ok(post)
    }
}

/// The posts on disk. Each is the last publication of one of [`POSTS`] channels, to which no
/// client can subscribe; a new post takes the channel of the oldest.
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

    async fn read(&self, place: u64) -> Result<Place, PublishError> {
        let history = self
            .0
            .history(&place.to_string(), HistoryQuery::Latest(1))
            .await?;
        Ok(match history.publications.last() {
            Some(newest) if newest.is_deleted => Place::Deleted,
            Some(newest) => Place::Post(serde_json::from_slice(&newest.data)?),
            None if history.position.offset > 0 => Place::Deleted,
            None => Place::Unused,
        })
    }

    async fn write(&self, post: &Post) -> Result<(), PublishError> {
        let place = (post.id - 1) % POSTS + 1;
        let author = &post.author.id;
        self.0.publish_by(author, &place.to_string(), post).await?;
        Ok(())
    }
}

/// The contents of one of the places.
enum Place {
    Post(Post),
    /// Its author's posts were deleted.
    Deleted,
    Unused,
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
    async fn only_the_author_changes_a_post() {
        let posts = Posts::default();
        let post = create(&posts, "mine").await;
        let change = || PostChange {
            title: Some("yours".into()),
            body: None,
        };
        let other = User::new("1", "ada@example.com");
        let refused = posts.update(post.id, &other, change()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Forbidden);
        assert_eq!(posts.newest_first()[0].title, "mine");
        assert!(posts.update(post.id, &author(), change()).await.is_ok());
    }

    #[tokio::test]
    async fn a_user_has_a_thousand_posts_and_beyond_ten_thousand_the_oldest_go() {
        let app: App = App::new();
        let records = Records::new(app.handle());
        let posts = Posts::load(Some(records.clone())).await.unwrap();
        let by = async |user: u32| {
            let author = User::new(user, "a@example.com");
            posts.create("a".into(), String::new(), author).await
        };
        for user in 0..10 {
            for _ in 0..1_000 {
                by(user).await.unwrap();
            }
            assert_eq!(by(user).await.unwrap_err().code(), ErrorCode::RateLimited);
        }
        // Others' posts take the place of the first user's oldest, who may write again then.
        assert_eq!(by(10).await.unwrap().id, 10_001);
        assert_eq!(by(0).await.unwrap().id, 10_002);
        let ids =
            |posts: &Posts| -> Vec<u64> { posts.0.kept.lock().posts.keys().copied().collect() };
        assert_eq!(ids(&posts), (3..=10_002).collect::<Vec<_>>());
        let first = User::new(0, "a@example.com");
        let nothing = PostChange {
            title: None,
            body: None,
        };
        let gone = posts.update(2, &first, nothing);
        assert_eq!(gone.await.unwrap_err().code(), ErrorCode::NotFound);

        let again = Posts::load(Some(records)).await.unwrap();
        assert_eq!(ids(&again), ids(&posts));
        assert_eq!(again.0.kept.lock().counts, posts.0.kept.lock().counts);
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
        let changed = posts.update(second.id, &author(), change).await.unwrap();
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
