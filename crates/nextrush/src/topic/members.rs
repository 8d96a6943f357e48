//! Members of topics, as others see them.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::message::User;
use crate::socket::Socket;

/// The form in which others see a user: any JSON value, by default exactly `{"id":…,"email":…}`.
///
/// A cheap handle that is written as the JSON it holds.
///
/// ```
/// use nextrush::User;
/// use nextrush::topic::Profile;
///
/// let ada = User::new(7, "ada@example.com");
/// assert_eq!(Profile::from(&ada).as_json(), r#"{"id":7,"email":"ada@example.com"}"#);
///
/// let named = Profile::new(&serde_json::json!({ "id": 7, "name": "Ada" }))?;
/// assert_eq!(serde_json::to_string(&named)?, r#"{"id":7,"name":"Ada"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile(Arc<RawValue>);

impl Profile {
    /// The JSON form of a value.
    ///
    /// # Errors
    ///
    /// Fails when the value cannot be written as JSON.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        let json = serde_json::value::to_raw_value(value)?;
        Ok(Self(json.into()))
    }

    /// The profile as JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    pub(crate) fn as_raw(&self) -> &RawValue {
        &self.0
    }
}

/// A user among the members of a topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UserSockets {
    /// The profile of the newest of its sockets.
    pub user: Profile,
    /// The number of its sockets.
    pub sockets: usize,
}

impl UserSockets {
    pub(super) fn none_of(user: &Profile) -> Self {
        Self {
            user: user.clone(),
            sockets: 0,
        }
    }
}

/// A page of the users of a topic; see [`Locked::users`](super::Locked::users).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UsersPage {
    /// The users, each once.
    pub users: Vec<UserSockets>,
    /// The number after which the next page begins; `None` behind the last page.
    pub next: Option<u64>,
}

/// A function that picks what others see of a user.
pub type ShowUser = Arc<dyn Fn(&Socket, &User) -> Profile + Send + Sync>;

/// A function of values that can be written as JSON, as one of profiles. Where one cannot,
/// others see `null`.
#[must_use]
pub fn show_user<F, T>(show: F) -> ShowUser
where
    F: Fn(&Socket, &User) -> T + Send + Sync + 'static,
    T: Serialize,
{
    Arc::new(move |socket, user| {
        Profile::new(&show(socket, user)).unwrap_or_else(|error| {
            tracing::error!(user = %user.id, %error, "what others see of a user is no JSON");
            Profile(RawValue::NULL.to_owned().into())
        })
    })
}

impl From<&User> for Profile {
    fn from(user: &User) -> Self {
        Self::new(user).expect("a user has string keys only")
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Profile {}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}
