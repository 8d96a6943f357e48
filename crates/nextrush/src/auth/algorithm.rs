//! The algorithms by which tokens are signed.

use std::fmt;
use std::str::FromStr;

use super::error::KeyError;

/// An algorithm by which tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// ES512 is not among them: no P-521 is fit for use in the cryptography that is built here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
    /// RSA (PKCS #1 v1.5) with SHA-384.
    Rs384,
    /// RSA (PKCS #1 v1.5) with SHA-512.
    Rs512,
    /// RSA (PSS) with SHA-256.
    Ps256,
    /// RSA (PSS) with SHA-384.
    Ps384,
    /// RSA (PSS) with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// The kind of keys that algorithms share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

const ALL: [(Algorithm, &str, jsonwebtoken::Algorithm, Family); 12] = {
    use jsonwebtoken::Algorithm as Theirs;
    [
        (Algorithm::Hs256, "HS256", Theirs::HS256, Family::Secret),
        (Algorithm::Hs384, "HS384", Theirs::HS384, Family::Secret),
        (Algorithm::Hs512, "HS512", Theirs::HS512, Family::Secret),
        (Algorithm::Rs256, "RS256", Theirs::RS256, Family::Rsa),
        (Algorithm::Rs384, "RS384", Theirs::RS384, Family::Rsa),
        (Algorithm::Rs512, "RS512", Theirs::RS512, Family::Rsa),
        (Algorithm::Ps256, "PS256", Theirs::PS256, Family::Rsa),
        (Algorithm::Ps384, "PS384", Theirs::PS384, Family::Rsa),
        (Algorithm::Ps512, "PS512", Theirs::PS512, Family::Rsa),
        (Algorithm::Es256, "ES256", Theirs::ES256, Family::P256),
        (Algorithm::Es384, "ES384", Theirs::ES384, Family::P384),
        (Algorithm::EdDsa, "EdDSA", Theirs::EdDSA, Family::Ed25519),
    ]
};

impl Algorithm {
    /// The name in the header of tokens, such as `ES256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    pub(super) fn of_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        self.row().2
    }

    pub(super) fn family(self) -> Family {
        self.row().3
    }

    /// The least bytes of a secret: as many as the hash has (RFC 7518 §3.2).
    pub(super) fn secret_bytes(self) -> usize {
        match self {
            Self::Hs384 => 48,
            Self::Hs512 => 64,
            _ => 32,
        }
    }

    fn row(self) -> (Self, &'static str, jsonwebtoken::Algorithm, Family) {
        let row = ALL.into_iter().find(|row| row.0 == self);
        row.expect("the table has all algorithms")
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let row = ALL.into_iter().find(|row| row.1 == name);
        Ok(row.ok_or(KeyError::UnknownAlgorithm)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_read_by_its_name_in_that_spelling_alone() {
        for name in [
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            "ES256", "ES384", "EdDSA",
        ] {
            let algorithm: Algorithm = name.parse().unwrap();
            assert_eq!(algorithm.to_string(), name);
            let theirs = algorithm.of_jsonwebtoken();
            assert_eq!(format!("{theirs:?}"), name);
        }
        for name in ["", "none", "hs256", "ES512", "EDDSA", "RSA-OAEP"] {
            let refused = name.parse::<Algorithm>();
            assert_eq!(refused, Err(KeyError::UnknownAlgorithm), "{name}");
        }
    }
}
