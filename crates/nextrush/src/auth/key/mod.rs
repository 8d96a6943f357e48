//! Keys of tokens, each with the one algorithm that it is for.

mod jwk;
mod pem;

use std::fmt;

use jsonwebtoken::crypto::{self, rust_crypto};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, EncodingKey};

use super::algorithm::{Algorithm, Family};
use super::error::KeyError;

/// A key of tokens, for one algorithm and with a name if it has one, for [`Jwt::with_keys`] and
/// [`Jwt::key`].
///
/// A secret and a private key sign and check tokens, a public key checks them. The algorithm is the
/// key's, whatever a token says.
///
/// ```
/// use nextrush::auth::{Algorithm, Jwt, JwtKey};
///
/// let new = JwtKey::from_secret(Algorithm::Hs256, "the new secret, of 32 bytes or more")?;
/// let old = JwtKey::from_secret(Algorithm::Hs256, "the old secret, of 32 bytes or more")?;
/// // Signs with the new one, and takes tokens of both.
/// let jwt = Jwt::with_keys([new.key_id("2026-11"), old.key_id("2026-05")]);
/// # let _ = jwt;
/// # Ok::<(), nextrush::auth::KeyError>(())
/// ```
///
/// [`Jwt::with_keys`]: crate::Jwt::with_keys
/// [`Jwt::key`]: crate::Jwt::key
#[derive(Clone)]
pub struct JwtKey {
    algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
    pub(super) signing: Option<EncodingKey>,
    id: Option<String>,
}

impl JwtKey {
    /// A secret for HS256, HS384 or HS512, of as many bytes as the hash has or more: 32, 48 or 64.
    ///
    /// # Errors
    ///
    /// Fails with a shorter secret, and with an algorithm that takes none.
    pub fn from_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        if algorithm.family() != Family::Secret {
            return Err(KeyError::Algorithm(algorithm));
        }
        if secret.len() < algorithm.secret_bytes() {
            return Err(KeyError::ShortSecret { algorithm });
        }
        Ok(Self::secret(algorithm, secret))
    }

    /// A private or public key in PEM form: PKCS #8, SPKI, and PKCS #1 for RSA. The algorithm is
    /// RS256, ES256, ES384 or EdDSA, as the key is.
    ///
    /// # Errors
    ///
    /// Fails when this is no such key, an RSA key of less than 2048 or more than 4096 bits,
    /// one on another curve, an encrypted one, and a certificate.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let text = str::from_utf8(pem.as_ref()).map_err(|_| KeyError::NoKey)?;
        one(pem::read(text)?)
    }

    /// A JSON Web Key (RFC 7517): `RSA`, `EC` on P-256 and P-384, `OKP` for Ed25519, and `oct`,
    /// which is a secret. The name is its `kid`; the algorithm its `alg`, and without one HS256, RS256
    /// or that of the curve. A private part is not looked at: give it as PEM.
    ///
    /// # Errors
    ///
    /// Fails when this is no such key or one for another purpose (`use`, `key_ops`).
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        jwk::read(json.as_ref())
    }

    /// The keys of a file: PEM, one or several, or a JSON Web Key, or a set of such (RFC 7517 §5).
    /// In front of a PEM key lines such as `kid: 2026-11` and `alg: PS256` say its name and its algorithm.
    ///
    /// Of a set those for another purpose are left out, and with a warning those that
    /// cannot be used.
    ///
    /// # Errors
    ///
    /// Fails where a key is none, and where no key is left.
    pub fn read_all(file: impl AsRef<[u8]>) -> Result<Vec<Self>, KeyError> {
        let text = str::from_utf8(file.as_ref()).map_err(|_| KeyError::NoKey)?;
        match text.trim_start().starts_with('{') {
            true => jwk::read_all(text.as_bytes()),
            false => pem::read(text),
        }
    }

    /// The same key for another algorithm of its kind, as PS256 in place of RS256.
    ///
    /// # Errors
    ///
    /// Fails with an algorithm for which the key is not.
    pub fn for_algorithm(mut self, algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.family() != self.algorithm.family() {
            return Err(KeyError::Algorithm(algorithm));
        }
        if let DecodingKeyKind::SecretOrDer(secret) = self.verifying.kind()
            && algorithm.family() == Family::Secret
            && secret.len() < algorithm.secret_bytes()
        {
            return Err(KeyError::ShortSecret { algorithm });
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Sets the name, which tokens of this key have as `kid` in their header.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The algorithm that the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name, if the key has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Tells whether tokens can be signed with it, and not only checked.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// A secret of any length.
    pub(super) fn secret(algorithm: Algorithm, secret: &[u8]) -> Self {
        choose_backend();
        Self {
            algorithm,
            verifying: DecodingKey::from_secret(secret),
            signing: Some(EncodingKey::from_secret(secret)),
            id: None,
        }
    }

    /// A public key, once it is known that the algorithm can use it.
    fn public(algorithm: Algorithm, key: DecodingKey) -> Result<Self, KeyError> {
        choose_backend();
        let invalid = KeyError::Invalid(algorithm.name());
        match algorithm.family() {
            Family::Rsa => check_rsa(&key)?,
            // jsonwebtoken takes the first 32 bytes, and panics where there are fewer.
            Family::Ed25519 if key.try_get_as_bytes().map_or(0, <[u8]>::len) != 32 => {
                return Err(invalid);
            }
            _ => {}
        }
        // Only the first use of a key tells whether it is a point of the curve.
        crypto::verify("", b"", &key, algorithm.of_jsonwebtoken()).map_err(|_| invalid)?;
        Ok(Self {
            algorithm,
            verifying: key,
            signing: None,
            id: None,
        })
    }
}

/// Chooses the cryptography: where another crate of the same program turns on a second backend,
/// jsonwebtoken panics at the first token unless one was chosen. If one was chosen already, that
/// choice stands.
fn choose_backend() {
    let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
}

/// The only key of a list.
fn one(keys: Vec<JwtKey>) -> Result<JwtKey, KeyError> {
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(KeyError::NoKey),
        (Some(_), Some(_)) => Err(KeyError::Several),
    }
}

/// RFC 7518 §3.3 asks for 2048 bits or more; beyond 4096 the cryptography refuses every signature.
fn check_rsa(key: &DecodingKey) -> Result<(), KeyError> {
    const INVALID: KeyError = KeyError::Invalid("RSA");
    let components = rust_crypto::DEFAULT_PROVIDER
        .key_utils
        .rsa_pub_components_from_public_key;
    let (modulus, exponent) = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => (n.clone(), e.clone()),
        DecodingKeyKind::SecretOrDer(der) => components(der).map_err(|_| INVALID)?,
    };
    let bits = bits_of(&modulus);
    if bits < 2048 {
        return Err(KeyError::Short(bits));
    }
    if bits > 4096 {
        return Err(KeyError::Long(bits));
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let is_usable = is_odd(&modulus) && is_odd(&exponent) && (2..=33).contains(&bits_of(&exponent));
    is_usable.then_some(()).ok_or(INVALID)
}

/// The bits of a number, most significant byte first.
fn bits_of(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0);
    first.map_or(0, |first| {
        (number.len() - first) * 8 - number[first].leading_zeros() as usize
    })
}

/// Shows everything but the key itself.
impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("algorithm", &format_args!("{}", self.algorithm))
            .field("id", &self.id)
            .field("can_sign", &self.can_sign())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
