//! JSON Web Tokens (RFC 7519): one key, one algorithm, strict rules.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::crypto::{self, rust_crypto};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::authenticated::{AskedAt, Authenticated};
use super::error::{AuthError, KeyError, SignError};
use crate::message::{GivenUserId, UserId};

/// The key and the rules by which tokens are accepted. A cheap handle.
///
/// The algorithm belongs to the key: a token that says another one is refused,
/// `none` above all (RFC 8725 §3.1). Unless told otherwise `exp` is required, `exp`
/// and `nbf` are enforced with 5 seconds of leeway, a token for an audience (`aud`) is
/// refused, and so is one whose header names a key by `kid`. Nothing is ever fetched
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
    algorithm: Algorithm,
    verifying: DecodingKey,
    signing: Option<EncodingKey>,
    key_id: Option<String>,
    validation: Validation,
}

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
        Self::new(
            Algorithm::HS256,
            DecodingKey::from_secret(secret),
            Some(EncodingKey::from_secret(secret)),
        )
    }

    /// Tokens checked with an RSA public key in PEM form (PKCS #1 v1.5 signatures
    /// with SHA-256).
    ///
    /// # Errors
    ///
    /// Fails when this is no RSA public key or one of less than 2048 bits.
    pub fn rs256_pem(public_key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        const INVALID: KeyError = KeyError::Invalid("RS256");
        let key = DecodingKey::from_rsa_pem(public_key.as_ref()).map_err(|_| INVALID)?;
        let der = key.try_get_as_bytes().map_err(|_| INVALID)?;
        let components = rust_crypto::DEFAULT_PROVIDER
            .key_utils
            .rsa_pub_components_from_public_key;
        let (modulus, _) = components(der).map_err(|_| INVALID)?;
        let bits = modulus.len() * 8;
        if bits < 2048 {
            return Err(KeyError::Short(bits));
        }
        Ok(Self::new(Algorithm::RS256, key, None))
    }

    /// Tokens checked with an elliptic-curve public key in PEM form (ECDSA on
    /// P-256 with SHA-256).
    ///
    /// # Errors
    ///
    /// Fails when this is no public key on P-256.
    pub fn es256_pem(public_key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        const INVALID: KeyError = KeyError::Invalid("ES256");
        let key = DecodingKey::from_ec_pem(public_key.as_ref()).map_err(|_| INVALID)?;
        let jwt = Self::new(Algorithm::ES256, key, None);
        // The PEM may hold a point of another curve; only the first use of the key tells.
        crypto::verify("", b"", &jwt.0.verifying, Algorithm::ES256).map_err(|_| INVALID)?;
        Ok(jwt)
    }

    fn new(algorithm: Algorithm, verifying: DecodingKey, signing: Option<EncodingKey>) -> Self {
        // Where another crate of the same program turns on a second backend,
        // jsonwebtoken panics at the first token unless one was chosen. If one was
        // chosen already, that choice stands.
        let _ = rust_crypto::DEFAULT_PROVIDER.install_default();

        let mut validation = Validation::new(algorithm);
        validation.leeway = DEFAULT_LEEWAY;
        validation.validate_nbf = true;
        // RFC 7519 §4.1.4: not accepted "on or after" `exp`; without this the second
        // of `exp` itself would still count.
        validation.reject_tokens_expiring_in_less_than = 1;
        Self(Arc::new(Inner {
            algorithm,
            verifying,
            signing,
            key_id: None,
            validation,
        }))
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

    /// The name of the key. Tokens whose header names another one by `kid` are
    /// refused; those that name none are not.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).key_id = Some(key_id.into());
        self
    }

    fn validation(&mut self) -> &mut Validation {
        &mut Arc::make_mut(&mut self.0).validation
    }

    /// Checks a token and reads its claims.
    ///
    /// # Errors
    ///
    /// Fails when any rule is broken, or when the claims do not fit `C`.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<Authenticated<C>, AuthError> {
        if token.len() > Self::MAX_TOKEN {
            return Err(AuthError::TooLong);
        }
        let Inner {
            verifying,
            validation,
            ..
        } = &*self.0;
        let token = jsonwebtoken::decode::<Box<RawValue>>(token, verifying, validation)?;
        self.check_header(&token.header)?;
        let claims = token.claims.get();
        let Registered { exp, sid } = Registered::read(claims)?;
        Ok(Authenticated {
            // RFC 7519 §2 allows fractions; the conversion saturates.
            // Rounded as `jsonwebtoken` does, so that there is one notion of the end.
            expires: exp.map(|seconds| seconds.round() as u64),
            session: sid.and_then(|sid| sid.as_str().map(str::to_owned)),
            leeway: validation.leeway,
            asked_at: AskedAt::default(),
            claims: serde_json::from_str(claims).map_err(|error| unfit(claims, error))?,
        })
    }

    fn check_header(&self, header: &Header) -> Result<(), AuthError> {
        if header.kid.is_some() && header.kid != self.0.key_id {
            return Err(AuthError::UnknownKey);
        }
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

    /// Makes a token of these claims as they are. Unless it is among them, the
    /// token has no `exp` and is not accepted; see [`sign_for`](Self::sign_for).
    ///
    /// # Errors
    ///
    /// Fails with a public key, and when the claims cannot be written as JSON.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, SignError> {
        let key = self.0.signing.as_ref().ok_or(SignError::PublicKey)?;
        let mut header = Header::new(self.0.algorithm);
        header.kid.clone_from(&self.0.key_id);
        jsonwebtoken::encode(&header, claims, key).map_err(SignError::Claims)
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

/// The `exp` of claims that were validated: absent or a number.
/// The claims that are read of each token.
#[derive(Deserialize)]
struct Registered {
    exp: Option<f64>,
    /// The session (OpenID Connect Front-Channel Logout 1.0 §3), if it is a text.
    sid: Option<Value>,
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
            .field("algorithm", &self.0.algorithm)
            .field("key_id", &self.0.key_id)
            .field("leeway", leeway)
            .field("audience", aud)
            .field("issuer", iss)
            .field("required", required_spec_claims)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
