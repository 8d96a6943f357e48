//! JSON Web Tokens (RFC 7519): keys of one algorithm each, strict rules.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Header, TokenData, Validation};
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::authenticated::{AskedAt, Authenticated};
use super::error::{AuthError, KeyError, SignError};
use super::jwks::Jwks;
use super::key::JwtKey;
use crate::message::{GivenUserId, UserId};

/// The keys and the rules by which tokens are accepted. A cheap handle.
///
/// The algorithm belongs to the key: a token that says another one is refused,
/// `none` above all (RFC 8725 §3.1). Of [several keys](Self::with_keys) a token is checked with those
/// that it names by `kid`, or with all of its algorithm, 8 at most, if it names none. Unless told otherwise `exp` is required, `exp`
/// and `nbf` are enforced with 5 seconds of leeway, a token for an audience (`aud`) is
/// refused, and so is one whose header names a key that there is not, or in which a claim is there twice. Nothing is ever fetched
/// because a token says so.
///
/// ```
/// use std::time::Duration;
/// use nextrush::{Jwt, User};
///
/// let jwt = Jwt::hs256("a secret of at least 32 bytes, from outside").issuer("example.com");
/// let user = User::new(7, "ada@example.com");
/// let token = jwt.sign_for(&user, Duration::from_secs(3600))?;
///
/// let verified = jwt.verify::<User>(&token)?;
/// assert_eq!(verified.claims, user);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Jwt(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    keys: Vec<JwtKey>,
    jwks: Option<Jwks>,
    /// The claim that names the user of tokens without `id`.
    id_claim: Option<Arc<str>>,
    /// The rules, with the algorithm of the first key.
    validation: Validation,
}

/// The most keys with which a token is checked that names none: each costs a signature.
const MOST_TRIED: usize = 8;

const DEFAULT_LEEWAY: u64 = 5;

/// Clocks that differ by more are broken; and a leeway beyond 1970 must not be
/// subtracted from the time.
const MAX_LEEWAY: u64 = 300;

impl Jwt {
    /// The longest token that is looked at, in bytes.
    pub const MAX_TOKEN: usize = 8 * 1024;

    /// Tokens signed and checked with one secret (HMAC with SHA-256).
    ///
    /// Take at least 32 bytes from a random source (RFC 7518 §3.2): a token is
    /// all that somebody needs to try secrets at home.
    ///
    /// # Panics
    ///
    /// Panics if the secret is empty, as anybody could then sign.
    #[must_use]
    pub fn hs256(secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        assert!(!secret.is_empty(), "the secret for tokens is empty");
        Self::with_keys([JwtKey::secret(Algorithm::Hs256, secret)])
    }

    /// Tokens checked with an RSA public key in PEM form (PKCS #1 v1.5 signatures
    /// with SHA-256).
    ///
    /// # Errors
    ///
    /// Fails when this is no RSA public key or one of less than 2048 bits.
    pub fn rs256_pem(public_key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::public_pem(Algorithm::Rs256, public_key.as_ref())
    }

    /// Tokens checked with an elliptic-curve public key in PEM form (ECDSA on
    /// P-256 with SHA-256).
    ///
    /// # Errors
    ///
    /// Fails when this is no public key on P-256.
    pub fn es256_pem(public_key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::public_pem(Algorithm::Es256, public_key.as_ref())
    }

    fn public_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        match JwtKey::from_pem(pem) {
            Ok(key) if key.algorithm() == algorithm && !key.can_sign() => {
                Ok(Self::with_keys([key]))
            }
            Err(error @ (KeyError::Short(_) | KeyError::Long(_))) => Err(error),
            _ => Err(KeyError::Invalid(algorithm.name())),
        }
    }

    /// Tokens checked with these keys, each with its algorithm, and signed with the first that can
    /// sign. Several are for the time in which one takes the place of another, and for several
    /// issuers.
    ///
    /// ```
    /// use nextrush::auth::{Jwt, JwtKey};
    ///
    /// # fn jwt() -> Result<Jwt, Box<dyn std::error::Error>> {
    /// let file = std::fs::read("keys.pem")?;
    /// let jwt = Jwt::with_keys(JwtKey::read_all(file)?);
    /// # Ok(jwt)
    /// # }
    /// ```
    #[must_use]
    pub fn with_keys(keys: impl IntoIterator<Item = JwtKey>) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        let first = keys.first().map_or(Algorithm::Hs256, JwtKey::algorithm);
        let mut validation = Validation::new(first.of_jsonwebtoken());
        validation.leeway = DEFAULT_LEEWAY;
        validation.validate_nbf = true;
        // RFC 7519 §4.1.4: not accepted "on or after" `exp`; without this the second
        // of `exp` itself would still count.
        validation.reject_tokens_expiring_in_less_than = 1;
        let jwks = None;
        Self(Arc::new(Inner {
            keys,
            jwks,
            id_claim: None,
            validation,
        }))
    }

    /// Adds a key, behind those that are there.
    #[must_use]
    pub fn key(mut self, key: JwtKey) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        if inner.keys.is_empty() {
            inner.validation.algorithms = vec![key.algorithm().of_jsonwebtoken()];
        }
        inner.keys.push(key);
        self
    }

    /// Sets a set of keys that is fetched, beside the keys that are there.
    #[must_use]
    pub fn jwks(mut self, jwks: Jwks) -> Self {
        Arc::make_mut(&mut self.0).jwks = Some(jwks);
        self
    }

    /// The set of keys that is fetched, if there is one.
    pub(super) fn its_jwks(&self) -> Option<&Jwks> {
        self.0.jwks.as_ref()
    }

    /// Sets by how much the clocks of issuer and server may differ, in whole seconds: 5
    /// by default, at most 300.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.validation().leeway = leeway.as_secs().min(MAX_LEEWAY);
        self
    }

    /// Accepts tokens meant for this audience only; call again for a further one.
    /// A token then needs an `aud` that names one of them.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let validation = self.validation();
        validation
            .aud
            .get_or_insert_default()
            .insert(audience.into());
        validation.required_spec_claims.insert("aud".to_owned());
        self
    }

    /// Accepts tokens of this issuer only; call again for a further one. A token
    /// then needs an `iss` that is one of them.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        let validation = self.validation();
        validation.iss.get_or_insert_default().insert(issuer.into());
        validation.required_spec_claims.insert("iss".to_owned());
        self
    }

    /// Names the claim that says who the user is where a token has no `id`: `sub` (RFC 7519 §4.1.2) for
    /// those of an identity provider. Its value is then read as `id`, and where there is no `email`
    /// either, a text in `name`, or else the id, is read as that. A token with an `id` is read as it is.
    ///
    /// By default there is none, and a token without `id` names no [`User`](crate::User). An issuer that
    /// makes tokens for other purposes too, as to confirm an address, gives them a `sub`: let
    /// [`audience`](Self::audience) or [`issuer`](Self::issuer) tell them apart.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nextrush::{Jwt, User};
    /// use serde_json::json;
    ///
    /// let jwt = Jwt::hs256("a secret of at least 32 bytes, from outside").id_claim("sub");
    /// let token = jwt.sign_for(&json!({ "sub": "auth0|7", "name": "Ada" }), Duration::from_secs(60))?;
    /// assert_eq!(jwt.verify::<User>(&token)?.claims, User::new("auth0|7", "Ada"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id_claim(mut self, claim: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).id_claim = Some(claim.into());
        self
    }

    /// Sets whether a token needs an `exp`; by default it does. An `exp` that is there is
    /// enforced in both cases.
    #[must_use]
    pub fn require_expiry(mut self, required: bool) -> Self {
        let claims = &mut self.validation().required_spec_claims;
        if required {
            claims.insert("exp".to_owned());
        } else {
            claims.remove("exp");
        }
        self
    }

    /// The name of the key, of the first of several. Tokens whose header names one by `kid` that
    /// no key has are refused; those that name none are not.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        if let Some(first) = Arc::make_mut(&mut self.0).keys.first_mut() {
            *first = first.clone().key_id(key_id);
        }
        self
    }

    fn validation(&mut self) -> &mut Validation {
        &mut Arc::make_mut(&mut self.0).validation
    }

    /// Checks a token as [`verify`](Self::verify) does, after a fetch where it names a key that the
    /// [`Jwks`] does not have yet. [`Authenticated`] and
    /// [`Authenticate`](crate::auth::Authenticate) do so by themselves.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_or_fetch<C: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<Authenticated<C>, AuthError> {
        let refused = match self.verify(token) {
            Err(refused) if refused.is_for_want_of_a_key() => refused,
            checked => return checked,
        };
        match &self.0.jwks {
            Some(jwks) if jwks.renewed().await => self.verify(token),
            _ => Err(refused),
        }
    }

    /// Checks a token and reads its claims. It does not wait for a [`Jwks`]: the keys at hand count.
    ///
    /// # Errors
    ///
    /// Fails when any rule is broken, or when the claims do not fit `C`.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<Authenticated<C>, AuthError> {
        if token.len() > Self::MAX_TOKEN {
            return Err(AuthError::TooLong);
        }
        let TokenData { header, claims } = self.decode(token)?;
        check_header(&header)?;
        // Before they are read as a map, in which the last of a name would count.
        let Registered { exp, sid } = Registered::read(claims.get())?;
        let claims = &*self.identified(claims.get());
        Ok(Authenticated {
            // RFC 7519 §2 allows fractions; the conversion saturates.
            // Rounded as `jsonwebtoken` does, so that there is one notion of the end.
            expires: exp.map(|seconds| seconds.round() as u64),
            session: sid.and_then(|sid| sid.as_str().map(str::to_owned)),
            leeway: self.0.validation.leeway,
            asked_at: AskedAt::default(),
            claims: serde_json::from_str(claims).map_err(|error| unfit(claims, error))?,
        })
    }

    /// The claims with the `id` and `email` that they lack, by the [claim](Self::id_claim) for that.
    pub(super) fn identified<'a>(&self, claims: &'a str) -> Cow<'a, str> {
        let identified = || {
            let claim = self.0.id_claim.as_deref()?;
            let mut all: Map<String, Value> = serde_json::from_str(claims).ok()?;
            if all.contains_key("id") {
                return None;
            }
            let id = all
                .get(claim)
                .filter(|id| id.is_string() || id.is_number())?
                .clone();
            if !all.contains_key("email") {
                let name = all.get("name").filter(|name| name.is_string()).cloned();
                let shown = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                all.insert("email".to_owned(), name.unwrap_or(Value::from(shown)));
            }
            all.insert("id".to_owned(), id);
            serde_json::to_string(&all).ok()
        };
        identified().map_or(Cow::Borrowed(claims), Cow::Owned)
    }

    /// Checks a token with the keys that it may be signed with.
    fn decode(&self, token: &str) -> Result<TokenData<Box<RawValue>>, AuthError> {
        let header = jsonwebtoken::decode_header(token)?;
        let is_named = |key: &&JwtKey| header.kid.is_none() || header.kid.as_deref() == key.id();
        let jwks = self.0.jwks.as_ref();
        let fetched = jwks.map(Jwks::keys).unwrap_or_default();
        let awaits = jwks.is_some_and(|jwks| !jwks.was_fetched());
        let all = self.0.keys.iter().chain(&*fetched);
        let mut named = all.filter(is_named).peekable();
        let missing = match named.peek() {
            _ if awaits => AuthError::KeysUnavailable,
            Some(_) => AuthError::Algorithm,
            None => AuthError::UnknownKey,
        };
        // The token's algorithm chooses among keys, each of which is checked with its own.
        let fitting = named.filter(|key| key.algorithm().of_jsonwebtoken() == header.alg);
        let mut refused = missing;
        for key in fitting.take(MOST_TRIED) {
            let rules = self.rules(key.algorithm().of_jsonwebtoken());
            match jsonwebtoken::decode(token, &key.verifying, &rules).map_err(AuthError::from) {
                Err(AuthError::Signature) => refused = AuthError::Signature,
                checked => return checked,
            }
        }
        Err(refused)
    }

    /// The rules for a key of this algorithm.
    fn rules(&self, algorithm: jsonwebtoken::Algorithm) -> Cow<'_, Validation> {
        let rules = &self.0.validation;
        if rules.algorithms == [algorithm] {
            return Cow::Borrowed(rules);
        }
        let mut rules = rules.clone();
        rules.algorithms = vec![algorithm];
        Cow::Owned(rules)
    }

    /// Tells whether one of the keys can sign, and not only check.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.0.keys.iter().any(JwtKey::can_sign)
    }

    /// Makes a token of these claims as they are. Unless it is among them, the
    /// token has no `exp` and is not accepted; see [`sign_for`](Self::sign_for).
    ///
    /// # Errors
    ///
    /// Fails with a public key, and when the claims cannot be written as JSON.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, SignError> {
        let mut pairs = self.0.keys.iter().map(|key| (key, key.signing.as_ref()));
        let first = pairs.find_map(|(key, private)| Some((key, private?)));
        let (key, private) = first.ok_or(SignError::PublicKey)?;
        let mut header = Header::new(key.algorithm().of_jsonwebtoken());
        header.kid = key.id().map(str::to_owned);
        jsonwebtoken::encode(&header, claims, private).map_err(SignError::Claims)
    }

    /// Makes a token that is valid from now for `lifetime`, in whole seconds:
    /// these claims, which must be a map or struct without `iat`, `exp`, `iss` and
    /// `aud`, and those four as this `Jwt` demands them.
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_for<C: Serialize>(
        &self,
        claims: &C,
        lifetime: Duration,
    ) -> Result<String, SignError> {
        #[derive(Serialize)]
        struct Lasting<'a, C> {
            #[serde(flatten)]
            claims: &'a C,
            iat: u64,
            exp: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            iss: Option<&'a String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            aud: Option<&'a String>,
        }

        let Validation { iss, aud, .. } = &self.0.validation;
        let now = jsonwebtoken::get_current_timestamp();
        self.sign(&Lasting {
            claims,
            iat: now,
            exp: now.saturating_add(lifetime.as_secs()),
            // Any of those accepted.
            iss: iss.iter().flatten().next(),
            aud: aud.iter().flatten().next(),
        })
    }
}

fn check_header(header: &Header) -> Result<(), AuthError> {
    let unsupported = [
        ("jwk", header.jwk.is_some()),
        ("jku", header.jku.is_some()),
        ("x5c", header.x5c.is_some()),
        ("x5u", header.x5u.is_some()),
        ("crit", header.crit.is_some()),
    ];
    match unsupported.into_iter().find(|(_, present)| *present) {
        Some((name, _)) => Err(AuthError::Header(name)),
        None => Ok(()),
    }
}

/// The error of claims that do not fit: one of its own for the user's id.
fn unfit(claims: &str, error: serde_json::Error) -> AuthError {
    #[derive(Deserialize)]
    struct Identified {
        id: GivenUserId,
    }

    let id = serde_json::from_str(claims).map(|Identified { id }| UserId::try_from(id));
    match id {
        Ok(Err(inexact)) => inexact.into(),
        Ok(Ok(_)) | Err(_) => AuthError::Claims(error),
    }
}

/// The claims that are read of each token. No claim may be there twice (RFC 7519 §4): who signed the
/// token may have looked at the other one. Values are nested as deep as `serde_json` reads.
#[derive(Default)]
struct Registered {
    exp: Option<f64>,
    /// The session (OpenID Connect Front-Channel Logout 1.0 §3), if it is a text.
    sid: Option<Value>,
}

impl<'de> Deserialize<'de> for Registered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Claims;

        impl<'de> Visitor<'de> for Claims {
            type Value = Registered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Registered, A::Error> {
                let mut registered = Registered::default();
                let mut names = HashSet::new();
                while let Some(name) = claims.next_key::<String>()? {
                    match name.as_str() {
                        "exp" => registered.exp = claims.next_value()?,
                        "sid" => registered.sid = claims.next_value()?,
                        _ => drop(claims.next_value::<Value>()?),
                    }
                    if !names.insert(name) {
                        return Err(A::Error::custom("a claim is there twice"));
                    }
                }
                Ok(registered)
            }
        }

        deserializer.deserialize_map(Claims)
    }
}

impl Registered {
    fn read(claims: &str) -> Result<Self, AuthError> {
        serde_json::from_str(claims).map_err(|_| AuthError::Malformed)
    }
}

/// Shows the rules, never the key.
impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Validation {
            leeway,
            aud,
            iss,
            required_spec_claims,
            ..
        } = &self.0.validation;
        f.debug_struct("Jwt")
            .field("keys", &self.0.keys)
            .field("leeway", leeway)
            .field("audience", aud)
            .field("issuer", iss)
            .field("required", required_spec_claims)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
