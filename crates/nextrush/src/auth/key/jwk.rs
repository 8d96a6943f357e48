//! JSON Web Keys and sets of them (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::JwtKey;
use crate::auth::algorithm::Algorithm;
use crate::auth::error::KeyError;

/// The members of a key that count; those of other purposes may have any type.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    alg: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The key of a JSON text.
pub(super) fn read(json: &[u8]) -> Result<JwtKey, KeyError> {
    let jwk: Jwk = serde_json::from_slice(json).map_err(|_| KeyError::NoKey)?;
    key(jwk)
}

/// The keys of a JSON text that is a key or a set of them, one at least.
pub(super) fn read_all(json: &[u8]) -> Result<Vec<JwtKey>, KeyError> {
    let Ok(Set { keys }) = serde_json::from_slice(json) else {
        return Ok(vec![read(json)?]);
    };
    let keys = of_set(keys);
    match keys.is_empty() {
        true => Err(KeyError::NoKey),
        false => Ok(keys),
    }
}

/// The keys that can be used (RFC 7517 §5 has the others ignored).
fn of_set(keys: Vec<Value>) -> Vec<JwtKey> {
    let mut usable = Vec::new();
    for value in keys {
        let id = value["kid"].as_str().map(str::to_owned);
        let read = serde_json::from_value(value).map_err(|_| KeyError::NoKey);
        match read.and_then(key) {
            Ok(key) => usable.push(key),
            Err(KeyError::Purpose) => {}
            Err(error) => tracing::warn!(kid = ?id, %error, "a key of a set is left out"),
        }
    }
    usable
}

fn key(jwk: Jwk) -> Result<JwtKey, KeyError> {
    let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
    if jwk.purpose.as_ref().is_some_and(|of| of != "sig")
        || jwk.key_ops.as_ref().is_some_and(|ops| !verifies(ops))
    {
        return Err(KeyError::Purpose);
    }
    let named = jwk.alg.as_deref().map(str::parse).transpose()?;
    let given = |member: &Option<String>| member.clone().ok_or(KeyError::NoKey);
    let key = match (&*jwk.kty, jwk.crv.as_deref()) {
        ("oct", _) => {
            let secret = URL_SAFE_NO_PAD.decode(given(&jwk.k)?.trim_end_matches('='));
            let secret = secret.map_err(|_| KeyError::NoKey)?;
            let algorithm = named.unwrap_or(Algorithm::Hs256);
            return Ok(identified(JwtKey::from_secret(algorithm, secret)?, jwk.kid));
        }
        ("RSA", _) => {
            let key = DecodingKey::from_rsa_components(&given(&jwk.n)?, &given(&jwk.e)?);
            JwtKey::public(Algorithm::Rs256, key.map_err(|_| KeyError::Invalid("RSA"))?)?
        }
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            let algorithm = match curve {
                "P-256" => Algorithm::Es256,
                _ => Algorithm::Es384,
            };
            let key = DecodingKey::from_ec_components(&given(&jwk.x)?, &given(&jwk.y)?);
            let invalid = |_| KeyError::Invalid(algorithm.name());
            JwtKey::public(algorithm, key.map_err(invalid)?)?
        }
        ("OKP", Some("Ed25519")) => {
            let key = DecodingKey::from_ed_components(&given(&jwk.x)?);
            JwtKey::public(
                Algorithm::EdDsa,
                key.map_err(|_| KeyError::Invalid("EdDSA"))?,
            )?
        }
        ("EC" | "OKP", _) => return Err(KeyError::Curve),
        _ => return Err(KeyError::UnknownType),
    };
    let key = match named {
        Some(algorithm) => key.for_algorithm(algorithm)?,
        None => key,
    };
    Ok(identified(key, jwk.kid))
}

fn identified(key: JwtKey, id: Option<String>) -> JwtKey {
    match id {
        Some(id) => key.key_id(id),
        None => key,
    }
}
