//! Keys in PEM form (RFC 7468).

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::JwtKey;
use crate::auth::algorithm::Algorithm;
use crate::auth::error::KeyError;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The keys of a text, one at least.
pub(super) fn read(text: &str) -> Result<Vec<JwtKey>, KeyError> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((notes, block)) = rest.find(BEGIN).map(|start| rest.split_at(start)) {
        let label = block[BEGIN.len()..]
            .split(DASHES)
            .next()
            .unwrap_or_default();
        let end = format!("-----END {label}-----");
        let start_of_end = block.find(&end).ok_or(KeyError::NoKey)?;
        let (block, after) = block.split_at(start_of_end + end.len());
        rest = after;
        // `openssl ecparam -genkey` writes the curve in front of the key.
        if label != "EC PARAMETERS" {
            keys.push(annotated(key(label, block)?, notes)?);
        }
    }
    match keys.is_empty() {
        true => Err(KeyError::NoKey),
        false => Ok(keys),
    }
}

/// The key with the name and the algorithm that the text in front of it says (RFC 7468 §2).
fn annotated(mut key: JwtKey, notes: &str) -> Result<JwtKey, KeyError> {
    for line in notes.lines() {
        match line
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()))
        {
            Some(("kid", id)) if !id.is_empty() => key = key.key_id(id),
            Some(("alg", name)) => key = key.for_algorithm(name.parse()?)?,
            _ => {}
        }
    }
    Ok(key)
}

fn key(label: &str, block: &str) -> Result<JwtKey, KeyError> {
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => public(block.as_bytes()),
        "PRIVATE KEY" | "RSA PRIVATE KEY" => private(block.as_bytes()),
        "EC PRIVATE KEY" => Err(KeyError::Sec1),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        "CERTIFICATE" => Err(KeyError::Certificate),
        _ => Err(KeyError::NoKey),
    }
}

fn public(pem: &[u8]) -> Result<JwtKey, KeyError> {
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        return JwtKey::public(Algorithm::Rs256, key);
    }
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return JwtKey::public(Algorithm::EdDsa, key);
    }
    let key = DecodingKey::from_ec_pem(pem).map_err(|_| KeyError::NoKey)?;
    on_a_curve(|algorithm| JwtKey::public(algorithm, key.clone()).ok())
}

fn private(pem: &[u8]) -> Result<JwtKey, KeyError> {
    if let Ok(key) = EncodingKey::from_rsa_pem(pem) {
        return pair(Algorithm::Rs256, &key).ok_or(KeyError::Invalid("RSA"))?;
    }
    if let Ok(key) = EncodingKey::from_ed_pem(pem) {
        return pair(Algorithm::EdDsa, &key).ok_or(KeyError::Invalid("EdDSA"))?;
    }
    let key = EncodingKey::from_ec_pem(pem).map_err(|_| KeyError::NoKey)?;
    on_a_curve(|algorithm| pair(algorithm, &key)?.ok())
}

/// The key on the first curve that has it.
fn on_a_curve(key: impl Fn(Algorithm) -> Option<JwtKey>) -> Result<JwtKey, KeyError> {
    key(Algorithm::Es256)
        .or_else(|| key(Algorithm::Es384))
        .ok_or(KeyError::Curve)
}

/// A private key with its public one; `None` if it has none for the algorithm.
fn pair(algorithm: Algorithm, private: &EncodingKey) -> Option<Result<JwtKey, KeyError>> {
    super::choose_backend();
    let public = Jwk::from_encoding_key(private, algorithm.of_jsonwebtoken()).ok()?;
    let public = DecodingKey::from_jwk(&public).ok()?;
    Some(JwtKey::public(algorithm, public).map(|key| JwtKey {
        signing: Some(private.clone()),
        ..key
    }))
}
