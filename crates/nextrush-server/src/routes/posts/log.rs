//! The posts of a node: a log that all nodes write and apply.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use nextrush::broker::{
    Broker, BrokerError, Epoch, HistoryQuery, Interrupt, Publication, Retention, Sink, TopicName,
};
use nextrush::limits::Exceeded;
use nextrush::message::Timestamp;
use nextrush::topic::{PublishError, Topic};
use nextrush::{ErrorCode, Handle, User, UserId};
use nextrush_admin::Refusal;
use parking_lot::Mutex;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::entry::{Draft, What};
use super::kept::{ENTRIES, Kept};
use super::records::{Place, Records};
use super::{LISTED, Post, PostChange, no_post, not_saved};
use crate::error::StartError;

/// The topic of the log.
const TOPIC: &str = "posts";
/// The highest number of posts of one user, on each node as far as it knows.
const POSTS_OF_USER: usize = 1_000;
/// The time after which a user with so many posts may ask again: others' posts may have taken the
/// place of the oldest by then.
const POSTS_RETRY: Duration = Duration::from_secs(60 * 60);
/// The most posts that are published again after a change.
pub(super) const KEPT_AT_ONCE: usize = 4;
/// The number of entries that are read at once.
const PAGE: usize = 1_000;
/// The number of records of an old store that are moved at once.
const MOVED_AT_ONCE: usize = 64;
/// The number of times that a change is tried which another node overtakes.
const ATTEMPTS: usize = 5;
/// The longest time that a request waits for the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time that an entry of another node is waited for, and the number of entries that may be
/// before it.
const SOON: Duration = Duration::from_secs(1);
const AHEAD: u64 = 1_000;
/// The pause after a failure to read the log.
const PAUSE: Duration = Duration::from_secs(1);

/// The posts by id, as the log says that all nodes share.
#[derive(Clone, Debug)]
pub(crate) struct Posts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Topic,
    state: Mutex<State>,
    /// The offset of the last entry that was applied; `None` while the log is read.
    top: watch::Sender<Option<u64>>,
    runtime: runtime::Handle,
    /// True if other nodes write the log too.
    is_shared: bool,
    /// The lock of whoever writes a change on this node, so that none overtakes another.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    kept: Kept,
    /// The entries that came while the log is read; `None` while it is not.
    held: Option<Held>,
}

#[derive(Debug, Default)]
struct Held {
    told: Vec<Told>,
    /// True if the log was interrupted once more.
    is_stale: bool,
}

#[derive(Debug)]
enum Told {
    Entry(Arc<Publication>),
    Deleted(Vec<u64>),
}

impl Posts {
    /// Follows the log of an application from now on, and moves the records of an old store to it.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the log or a record cannot be read, or not be moved.
    pub(crate) async fn load(app: &Handle, records: Option<Records>) -> Result<Self, StartError> {
        let retention = Retention::count(usize::try_from(ENTRIES).unwrap_or(usize::MAX));
        let posts = Self(Arc::new(Inner {
            log: app.topic(TOPIC).retain(retention),
            state: Mutex::new(State {
                kept: Kept::default(),
                held: Some(Held::default()),
            }),
            top: watch::channel(None).0,
            runtime: runtime::Handle::current(),
            is_shared: app.broker().bus().is_some(),
            writing: tokio::sync::Mutex::default(),
        }));
        let inner = &posts.0;
        let broker: &Arc<dyn Broker> = app.broker();
        let name = inner.log.stored_name().clone();
        broker.attach(Arc::new(Follower {
            posts: Arc::downgrade(inner),
            name: name.clone(),
        }));
        broker.subscribe(&name).await.map_err(StartError::Posts)?;
        while !inner.read().await.map_err(StartError::Posts)? {}
        if let Some(records) = records {
            posts.take_over(&records).await?;
        }
        Ok(posts)
    }

    /// Moves the posts that an old store has as records into the log.
    async fn take_over(&self, records: &Records) -> Result<(), StartError> {
        let places: Vec<_> = Records::places().collect();
        let mut moved = Vec::new();
        let mut last = 0;
        'all: for some in places.chunks(MOVED_AT_ONCE) {
            let read = join_all(some.iter().map(|place| records.read(*place))).await;
            for (place, read) in some.iter().zip(read) {
                let failed = |source| StartError::Post { id: *place, source };
                match read.map_err(failed)? {
                    Place::Post(post) => {
                        last = last.max(post.id);
                        moved.push((*place, post));
                    }
                    // Its id is not given again.
                    Place::Deleted => last = last.max(*place),
                    Place::Unused => break 'all,
                }
            }
        }
        self.0.state.lock().kept.raise(last);
        for some in moved.chunks(MOVED_AT_ONCE) {
            let moving = some.iter().map(async |(place, post)| {
                let failed = |source| StartError::Post {
                    id: post.id,
                    source,
                };
                let is_in_log = self.0.state.lock().kept.get(post.id).is_some();
                if !is_in_log {
                    let post = post.clone();
                    let author = post.author.id.clone();
                    let kept = self.0.publish(What::Kept { post }, &author).await;
                    kept.map_err(failed)?;
                }
                records.delete(*place).await.map_err(failed)
            });
            join_all(moving)
                .await
                .into_iter()
                .collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    /// The newest posts, the newest first.
    pub(super) fn newest_first(&self) -> Vec<Post> {
        let state = self.0.state.lock();
        state.kept.newest_first().take(LISTED).cloned().collect()
    }

    pub(super) async fn create(
        &self,
        title: String,
        body: String,
        author: User,
    ) -> Result<Post, Refusal> {
        let _writing = self.0.writing.lock().await;
        self.0.ready().await?;
        if self.0.state.lock().kept.count_of(&author.id) >= POSTS_OF_USER {
            let message = format!("A user has at most {POSTS_OF_USER} posts");
            return Err(Refusal::later(message, Exceeded::new(POSTS_RETRY)));
        }
        let draft = Draft {
            title,
            body,
            author,
            created_at: Timestamp::now(),
        };
        let what = What::Created(draft.clone());
        let offset = self.0.publish(what, &draft.author.id).await;
        let id = self.0.state.lock().kept.id_of(offset.map_err(not_saved)?);
        self.keep_the_oldest().await;
        Ok(draft.into_post(id))
    }

    /// Changes a post, for its author only.
    pub(super) async fn update(
        &self,
        id: u64,
        user: &User,
        change: &PostChange,
    ) -> Result<Post, Refusal> {
        self.0.arrives(id).await;
        let _writing = self.0.writing.lock().await;
        self.0.ready().await?;
        for _ in 0..ATTEMPTS {
            let post = self.0.state.lock().kept.get(id).cloned();
            let post = post.ok_or_else(no_post)?;
            if post.author.id != user.id {
                let message = "only its author changes a post";
                let status = StatusCode::FORBIDDEN;
                return Err(Refusal::new(status, ErrorCode::Forbidden, message));
            }
            let post = change.of(post);
            let what = What::Changed { post: post.clone() };
            self.0.publish(what, &user.id).await.map_err(not_saved)?;
            self.0.ready().await?;
            let now = self.0.state.lock().kept.get(id).cloned();
            if now.ok_or_else(no_post)? == post {
                self.keep_the_oldest().await;
                return Ok(post);
            }
            // The author has changed it on another node at the same time.
        }
        let error = BrokerError::Unavailable("other changes came first".into());
        Err(not_saved(error.into()))
    }

    /// Publishes posts again that the log would forget soon. After a failure the next change does.
    async fn keep_the_oldest(&self) {
        let falling = self.0.state.lock().kept.falling(KEPT_AT_ONCE);
        let kept = falling.into_iter().map(async |post| {
            let author = post.author.id.clone();
            self.0.publish(What::Kept { post }, &author).await
        });
        for kept in join_all(kept).await {
            if let Err(error) = kept {
                tracing::debug!(%error, "an old post could not be kept");
            }
        }
    }
}

impl PostChange {
    /// The post with this change.
    fn of(&self, mut post: Post) -> Post {
        if let Some(title) = &self.title {
            post.title.clone_from(title);
        }
        if let Some(body) = &self.body {
            post.body.clone_from(body);
        }
        post.updated_at = Timestamp::now();
        post.version += 1;
        post
    }
}

impl Inner {
    /// Publishes an entry; its offset. It has been applied then, or waits for the log to be read.
    async fn publish(&self, what: What, author: &UserId) -> Result<u64, PublishError> {
        let entry = self.state.lock().kept.entry(what);
        let position = self.log.clone().by(author).publish(&entry).await?;
        Ok(position.offset)
    }

    /// Waits while the log is read.
    async fn ready(&self) -> Result<(), Refusal> {
        let mut top = self.top.subscribe();
        match timeout(PATIENCE, top.wait_for(Option::is_some)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                let error = BrokerError::Unavailable("the log of posts is not in step".into());
                Err(not_saved(error.into()))
            }
        }
    }

    /// Waits for a post that another node may have just created: the entry is on its way then.
    async fn arrives(&self, id: u64) {
        let (top, next) = {
            let state = self.state.lock();
            (state.kept.top, state.kept.id_of(state.kept.top) + 1)
        };
        if !self.is_shared || !(next..next + AHEAD).contains(&id) {
            return;
        }
        let offset = top + 1 + (id - next);
        let mut top = self.top.subscribe();
        let is_there = |top: &Option<u64>| top.is_some_and(|top| top >= offset);
        // If it does not come, there is no such post.
        let _ = timeout(SOON, top.wait_for(is_there)).await;
    }

    fn told(self: &Arc<Self>, told: Told) {
        let mut state = self.state.lock();
        match &mut state.held {
            Some(held) => held.told.push(told),
            None => {
                state.kept.take(&told);
                self.top.send_replace(Some(state.kept.top));
            }
        }
    }

    /// Reads the log anew, as its entries do not follow on those that were applied.
    fn interrupted(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if let Some(held) = &mut state.held {
            held.told.clear();
            held.is_stale = true;
            return;
        }
        state.held = Some(Held::default());
        self.top.send_replace(None);
        drop(state);
        let posts = Arc::downgrade(self);
        self.runtime.spawn(async move {
            while let Some(posts) = posts.upgrade() {
                match posts.read().await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::debug!(%error, "the log of posts cannot be read yet");
                        drop(posts);
                        sleep(PAUSE).await;
                    }
                }
            }
        });
    }

    /// Reads the log; `false` if it was interrupted meanwhile and is to be read again.
    async fn read(&self) -> Result<bool, BrokerError> {
        let mut kept = Kept::default();
        let mut epoch = None;
        loop {
            let query = HistoryQuery::After {
                offset: kept.top,
                limit: PAGE,
            };
            let page = self.log.history(query).await?;
            if *epoch.get_or_insert(page.position.epoch) != page.position.epoch {
                return Ok(false);
            }
            for entry in &page.publications {
                kept.apply(entry);
            }
            if page.publications.is_empty() || kept.top >= page.position.offset {
                // Also if the log has forgotten everything.
                kept.top = kept.top.max(page.position.offset);
                break;
            }
        }
        let mut state = self.state.lock();
        if let Some(held) = &mut state.held {
            if held.is_stale {
                held.is_stale = false;
                return Ok(false);
            }
            for told in &held.told {
                kept.take(told);
            }
        }
        state.held = None;
        kept.follow(&state.kept);
        self.top.send_replace(Some(kept.top));
        state.kept = kept;
        Ok(true)
    }
}

impl Kept {
    /// Applies what the broker told of the log, unless it was read before.
    fn take(&mut self, told: &Told) {
        match told {
            Told::Entry(entry) if entry.offset > self.top => self.apply(entry),
            Told::Entry(_) => {}
            Told::Deleted(offsets) => self.forget(offsets),
        }
    }
}

/// The receiver of the log's entries.
struct Follower {
    posts: Weak<Inner>,
    name: TopicName,
}

impl Follower {
    fn posts(&self, topic: &TopicName) -> Option<Arc<Inner>> {
        (*topic == self.name).then(|| self.posts.upgrade())?
    }
}

impl Sink for Follower {
    fn deliver(&self, topic: &TopicName, _: Epoch, publication: &Arc<Publication>) {
        if let Some(posts) = self.posts(topic) {
            posts.told(Told::Entry(Arc::clone(publication)));
        }
    }

    fn deleted(&self, topic: &TopicName, _: Epoch, offsets: &[u64]) {
        if let Some(posts) = self.posts(topic) {
            posts.told(Told::Deleted(offsets.to_vec()));
        }
    }

    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        if let Interrupt::Continued { .. } = interrupt {
            return;
        }
        if let Some(posts) = self.posts(topic) {
            posts.interrupted();
        }
    }
}

#[cfg(test)]
mod tests {
    use nextrush::App;
    use nextrush::broker::simulated::{SimulatedFaults, SimulatedServer};
    use nextrush::broker::{NodeName, SequencerOptions};

    use super::*;

    async fn posts_of(app: &App) -> Posts {
        Posts::load(app.handle(), None).await.unwrap()
    }

    /// A node that shares a store.
    fn node(server: &SimulatedServer) -> App {
        let options = SequencerOptions::default().seed(7);
        let node = server.join(NodeName::random(), options);
        App::builder().broker(node).build()
    }

    fn author() -> User {
        User::new(1, "ada@example.com")
    }

    async fn create(posts: &Posts, title: &str) -> Post {
        let created = posts.create(title.to_owned(), String::new(), author());
        created.await.unwrap()
    }

    fn titled(title: &str) -> PostChange {
        PostChange {
            title: Some(title.to_owned()),
            body: None,
        }
    }

    /// Waits until the posts are these, the newest first.
    async fn until_titles(posts: &Posts, expected: &[&str]) {
        let mut top = posts.0.top.subscribe();
        let are_there = |_: &Option<u64>| {
            let now = posts.newest_first();
            now.iter()
                .map(|post| &*post.title)
                .eq(expected.iter().copied())
        };
        let reached = timeout(Duration::from_secs(60), top.wait_for(are_there)).await;
        assert!(reached.is_ok(), "{:?}", posts.newest_first());
    }

    #[tokio::test]
    async fn the_newest_posts_are_listed() {
        let app: App = App::new();
        let posts = posts_of(&app).await;
        for number in 1..=101 {
            create(&posts, &number.to_string()).await;
        }
        let listed: Vec<_> = posts.newest_first().iter().map(|post| post.id).collect();
        let expected: Vec<_> = (2..=101).rev().collect();
        assert_eq!(listed, expected);
    }

    #[tokio::test]
    async fn only_the_author_changes_a_post() {
        let app: App = App::new();
        let posts = posts_of(&app).await;
        let post = create(&posts, "mine").await;
        let change = titled("yours");
        let other = User::new("1", "ada@example.com");
        let refused = posts.update(post.id, &other, &change).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Forbidden);
        assert_eq!(posts.newest_first()[0].title, "mine");
        let changed = posts.update(post.id, &author(), &change).await.unwrap();
        assert_eq!((&*changed.title, changed.version), ("yours", 2));
    }

    #[tokio::test]
    async fn a_user_has_a_thousand_posts_and_beyond_ten_thousand_the_oldest_go() {
        let app: App = App::new();
        let posts = posts_of(&app).await;
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
        let first = User::new(0, "a@example.com");
        let gone = posts.update(2, &first, &titled("b")).await;
        assert_eq!(gone.unwrap_err().code(), ErrorCode::NotFound);
        assert!(posts.update(3, &first, &titled("b")).await.is_ok());

        let again = posts_of(&app).await;
        assert!(again.0.state.lock().kept == posts.0.state.lock().kept);
    }

    #[tokio::test]
    async fn posts_are_there_again_with_their_last_change() {
        let app: App = App::new();
        let posts = posts_of(&app).await;
        create(&posts, "first").await;
        let second = create(&posts, "second").await;
        posts
            .update(second.id, &author(), &titled("changed"))
            .await
            .unwrap();

        let again = posts_of(&app).await;
        assert_eq!(again.newest_first(), posts.newest_first());
        assert_eq!(again.newest_first()[0].title, "changed");
        assert!(create(&again, "third").await.id > second.id);
    }

    #[tokio::test]
    async fn posts_created_at_once_have_ids_of_their_own() {
        let app: App = App::new();
        let posts = posts_of(&app).await;
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

    #[tokio::test]
    async fn the_records_of_an_old_store_move_to_the_log_and_their_ids_are_not_given_again() {
        let app: App = App::new();
        let records = Records::new(app.handle());
        let old = |id: u64| {
            let draft = Draft {
                title: id.to_string(),
                body: String::new(),
                author: author(),
                created_at: Timestamp::from_unix_ms(7),
            };
            Post {
                version: 3,
                ..draft.into_post(id)
            }
        };
        // The newest has the place of one that is gone.
        for id in [10_001, 2, 3] {
            records.write(&old(id)).await.unwrap();
        }
        let posts = Posts::load(app.handle(), Some(records.clone()))
            .await
            .unwrap();
        let expected = [old(10_001), old(3), old(2)];
        assert_eq!(posts.newest_first(), expected);
        let gone = records.read(1).await.unwrap();
        assert!(matches!(gone, Place::Deleted), "{gone:?}");

        // Also after another start, at which the records are gone.
        let again = Posts::load(app.handle(), Some(records)).await.unwrap();
        assert_eq!(again.newest_first(), expected);
        let next = create(&again, "next").await.id;
        assert!(next > 10_001, "{next}");
        let changed = again.update(2, &author(), &titled("changed")).await;
        assert_eq!(changed.unwrap().version, 4);
        assert_eq!(posts.newest_first(), again.newest_first());
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_write_at_once_have_the_same_posts_and_no_id_twice() {
        let server = SimulatedServer::new(7);
        let apps = [node(&server), node(&server)];
        let [here, there] = [posts_of(&apps[0]).await, posts_of(&apps[1]).await];
        let create_some = |posts: &Posts| {
            let posts = posts.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..50 {
                    ids.push(create(&posts, "a").await.id);
                }
                ids
            })
        };
        let creating = [create_some(&here), create_some(&there)];
        let mut ids = Vec::new();
        for created in creating {
            ids.extend(created.await.unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, (1..=100).collect::<Vec<_>>());
        // Neither of two changes at once is lost.
        let change = PostChange {
            title: None,
            body: Some("changed".into()),
        };
        let ada = author();
        let title = titled("b");
        let (one, other) =
            tokio::join!(here.update(1, &ada, &title), there.update(1, &ada, &change));
        let versions = [one.unwrap().version, other.unwrap().version];
        assert!(versions == [2, 3] || versions == [3, 2], "{versions:?}");
        for posts in [&here, &there] {
            let mut top = posts.0.top.subscribe();
            let all = top.wait_for(|top| top.is_some_and(|top| top >= 103)).await;
            all.unwrap();
        }
        assert!(here.0.state.lock().kept == there.0.state.lock().kept);
        let post = here.0.state.lock().kept.get(1).cloned().unwrap();
        assert_eq!((&*post.title, &*post.body), ("b", "changed"));
    }

    #[tokio::test(start_paused = true)]
    async fn posts_that_a_failover_took_back_are_gone_on_all_nodes() {
        let server = SimulatedServer::new(7);
        let apps = [node(&server), node(&server)];
        let [here, there] = [posts_of(&apps[0]).await, posts_of(&apps[1]).await];
        create(&here, "kept").await;
        server.detach_replica();
        let lost = create(&there, "lost").await;
        until_titles(&here, &["lost", "kept"]).await;
        server.fail_over();
        until_titles(&here, &["kept"]).await;
        until_titles(&there, &["kept"]).await;
        let new = create(&here, "new").await;
        until_titles(&there, &["new", "kept"]).await;
        server.restart_empty();
        until_titles(&here, &[]).await;
        until_titles(&there, &[]).await;
        let first = create(&there, "first").await;
        until_titles(&here, &["first"]).await;
        // No id is given twice by nodes that have lived through it.
        assert!(lost.id < new.id && new.id < first.id);
        assert_eq!(here.newest_first(), [first]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_post_that_another_node_has_just_created_can_be_changed() {
        let server = SimulatedServer::new(7);
        let apps = [node(&server), node(&server)];
        let [here, there] = [posts_of(&apps[0]).await, posts_of(&apps[1]).await];
        // The other node does not hear of it before it is asked.
        let slow = SimulatedFaults::default().push_delay(Duration::from_millis(500));
        server.set_faults(slow);
        let post = create(&here, "a").await;
        assert_eq!(there.newest_first(), []);
        let changed = there.update(post.id, &author(), &titled("b")).await;
        assert_eq!(changed.unwrap().version, 2);
    }

    #[tokio::test]
    async fn the_posts_of_a_purged_user_are_gone_and_others_stay() {
        let app: App = App::new();
        let posts = posts_of(&app).await;
        create(&posts, "of ada").await;
        let bob = User::new(2, "bob@example.com");
        let of_bob = posts.create("of bob".into(), String::new(), bob).await;
        posts
            .update(1, &author(), &titled("changed"))
            .await
            .unwrap();
        app.handle().purge_user(&author().id).await.unwrap();
        assert_eq!(posts.newest_first(), [of_bob.unwrap()]);
        assert_eq!(posts_of(&app).await.newest_first(), posts.newest_first());
        assert_eq!(posts.0.state.lock().kept.count_of(&author().id), 0);
    }
}
