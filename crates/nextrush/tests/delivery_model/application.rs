//! The application behind the nodes: its data, its rules and its hooks, which take their time and
//! fail as the seed says.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use nextrush::broker::Clock;
use nextrush::live::{Accepted, PublishContext, SubscribeContext};
use nextrush::{ErrorCode, ErrorMessage};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::channels::Kind;
use super::once::{Again, Once};
use super::outbox::{How, Run};
use super::times::Times;

pub const ROWS_STORED: usize = 3;
/// The deadline of rules and hooks: some take longer.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// The state that all nodes share beside the broker. A cheap handle.
#[derive(Clone)]
pub struct Application(Arc<Parts>);

struct Parts {
    times: Times,
    access: Mutex<Access>,
    stored: Mutex<Stored>,
    /// The publications that the hook was asked about, by number.
    posts: Once,
    /// The requests that were executed, by number.
    runs: Once,
}

#[derive(Default)]
struct Access {
    barred: BTreeSet<String>,
    /// The number of times that a user was let in again.
    grants: BTreeMap<String, usize>,
    /// All that clients may be told of their access, in its order.
    verdicts: Vec<(String, &'static str)>,
}

#[derive(Default)]
struct Stored {
    posts: BTreeSet<u32>,
    /// The versions of the rows, 0 before the first.
    rows: [u64; ROWS_STORED],
    /// The versions that clients' posts have made, by number: a hook may be asked again.
    versions: BTreeMap<u32, u64>,
    /// The numbers of what must never be published.
    never: BTreeSet<u32>,
}

/// The answer to a client's publication.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    Accept,
    /// Something else is published instead.
    Replace,
    /// Refused before it is stored.
    Refuse,
    /// The store fails.
    Fail,
    Panic,
    /// The hook gives no answer in time; when it is asked again, it accepts.
    Hang,
}

/// A client's publication.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Post {
    pub number: u32,
    pub fate: Fate,
    /// The row, in a channel of rows.
    pub row: Option<usize>,
    pub padding: String,
}

/// A failure that the log need not show.
pub fn fail_on_purpose() -> ! {
    resume_unwind(Box::new("on purpose"))
}

impl Application {
    pub fn new(times: &Times, clock: &Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts {
            times: times.clone(),
            access: Mutex::default(),
            stored: Mutex::default(),
            posts: Once::new("the hook is asked about", Again::Unanswered, clock),
            runs: Once::new("the server executes", Again::Never, clock),
        }))
    }

    pub fn posts(&self) -> &Once {
        &self.0.posts
    }

    pub fn runs(&self) -> &Once {
        &self.0.runs
    }

    pub fn times(&self) -> &Times {
        &self.0.times
    }

    pub fn is_allowed(&self, user: &str) -> bool {
        !self.0.access.lock().barred.contains(user)
    }

    pub fn allow(&self, user: &str) {
        let mut access = self.0.access.lock();
        if access.barred.remove(user) {
            *access.grants.entry(user.to_owned()).or_default() += 1;
        }
    }

    pub fn bar(&self, user: &str) {
        self.0.access.lock().barred.insert(user.to_owned());
    }

    /// The number of times that a user was let in again.
    pub fn grants(&self, user: &str) -> usize {
        self.0.access.lock().grants.get(user).copied().unwrap_or(0)
    }

    /// Notes what each client of this user may be told so many times.
    pub fn note_verdict(&self, user: &str, code: &'static str, times: usize) {
        let mut access = self.0.access.lock();
        let verdict = (user.to_owned(), code);
        access.verdicts.extend(std::iter::repeat_n(verdict, times));
    }

    /// The number of verdicts up to now.
    pub fn verdicts(&self) -> usize {
        self.0.access.lock().verdicts.len()
    }

    /// The number of verdicts of a code about a user, after so many.
    pub fn count_verdicts(&self, user: &str, code: &str, after: usize) -> usize {
        let access = self.0.access.lock();
        let verdicts = access.verdicts[after..].iter();
        verdicts
            .filter(|(of, verdict)| of == user && *verdict == code)
            .count()
    }

    /// Stores a post of the server.
    pub fn store_post(&self, number: u32) {
        self.0.stored.lock().posts.insert(number);
    }

    /// Notes a number that must never be published.
    pub fn never(&self, number: u32) {
        self.0.stored.lock().never.insert(number);
    }

    pub fn is_never(&self, number: u32) -> bool {
        self.0.stored.lock().never.contains(&number)
    }

    /// Commits a change of a row; its version.
    pub fn commit_row(&self, row: usize) -> u64 {
        let mut stored = self.0.stored.lock();
        stored.rows[row] += 1;
        stored.rows[row]
    }

    pub fn rows(&self) -> [u64; ROWS_STORED] {
        self.0.stored.lock().rows
    }

    /// The rule of the team's channels.
    pub async fn may_subscribe(&self, context: SubscribeContext) -> bool {
        let user = user_of(context.user);
        let of = format!("rule of {user}");
        let times = &self.0.times;
        times.hesitate(&of).await;
        if times.fails(&of, 3) {
            self.note_verdict(&user, "internal", 1);
            fail_on_purpose();
        }
        if times.fails(&of, 2) {
            self.note_verdict(&user, "unavailable", 1);
            std::future::pending::<()>().await;
        }
        let is_allowed = self.is_allowed(&user);
        if !is_allowed {
            self.note_verdict(&user, "subscribe-refused", 1);
        }
        times.hesitate(&of).await;
        is_allowed
    }

    /// The hook that loads the state of a channel.
    pub async fn load(&self, kind: Kind, context: SubscribeContext) -> Result<Value, ErrorMessage> {
        let user = user_of(context.user);
        let of = format!("state of {user}");
        let times = &self.0.times;
        times.hesitate(&of).await;
        if times.fails(&of, 3) {
            self.note_verdict(&user, "internal", 1);
            fail_on_purpose();
        }
        if times.fails(&of, 2) {
            self.note_verdict(&user, "unavailable", 1);
            std::future::pending::<()>().await;
        }
        if times.fails(&of, 3) {
            self.note_verdict(&user, "not-now", 1);
            return Err(ErrorMessage::new("not-now", "Not now"));
        }
        let state = {
            let stored = self.0.stored.lock();
            match kind {
                Kind::Rows => json!(stored.rows),
                _ => json!(stored.posts),
            }
        };
        times.hesitate(&of).await;
        Ok(state)
    }

    /// The hook that sees what clients publish.
    pub async fn on_publish(&self, context: PublishContext) -> Result<Accepted, ErrorMessage> {
        let post: Post = serde_json::from_str(context.data.get()).expect("a post");
        let user = user_of(context.user);
        let asked = self.0.posts.begin(post.number);
        let of = format!("hook of {user}");
        self.0.times.hesitate(&of).await;
        let fate = match post.fate {
            Fate::Hang if !asked.is_first() => Fate::Accept,
            fate => fate,
        };
        let accepted = match fate {
            Fate::Accept | Fate::Replace => Ok(self.accept(&post, fate, &user)),
            Fate::Refuse => Err(ErrorMessage::new("not-now", "Not now")),
            Fate::Fail => Err(ErrorMessage::new("not-stored", "Not stored")),
            Fate::Panic => {
                asked.end();
                fail_on_purpose()
            }
            Fate::Hang => std::future::pending().await,
        };
        self.0.times.hesitate(&of).await;
        asked.end();
        accepted
    }

    /// The handler of requests.
    pub async fn run(&self, run: Run) -> Result<u32, ErrorMessage> {
        let Run { number, how, ms } = run;
        super::trace(|| format!("run {number} begins"));
        let running = self.0.runs.begin(number);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let answer = match how {
            How::Reply => Ok(number),
            How::Refuse => Err(ErrorMessage::new("refused", number.to_string())),
            How::Fail => Err(ErrorMessage::new(ErrorCode::Internal, "Internal error")),
            How::Panic => {
                running.end();
                fail_on_purpose()
            }
            How::Hang => std::future::pending().await,
        };
        running.end();
        answer
    }

    /// Stores a post, and says what is to be published.
    fn accept(&self, post: &Post, fate: Fate, user: &str) -> Accepted {
        let Some(row) = post.row else {
            self.store_post(post.number);
            return match fate {
                Fate::Replace => Accepted::data(&replacement(post, user)).expect("plain JSON"),
                _ => Accepted::new(),
            };
        };
        let known = self.0.stored.lock().versions.get(&post.number).copied();
        let version = known.unwrap_or_else(|| self.commit_row(row));
        self.0.stored.lock().versions.insert(post.number, version);
        let data = json!({ "number": post.number, "row": row, "version": version });
        let accepted = Accepted::data(&data).expect("plain JSON");
        accepted.version(version)
    }
}

/// The publication in place of a post that is replaced.
pub fn replacement(post: &Post, user: &str) -> Value {
    json!({ "number": post.number, "by": user, "padding": post.padding })
}

fn user_of(user: Option<nextrush::User>) -> String {
    user.expect("clients have tokens").id.to_string()
}
