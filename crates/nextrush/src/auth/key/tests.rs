use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::auth::Jwt;
use crate::message::User;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/keys/",
            $name
        ))
    };
}

const PRIVATE: &str = fixture!("private.pem");
const PUBLIC: &str = fixture!("public.pem");
const SET: &str = fixture!("set.json");
const ODD_SET: &str = fixture!("odd-set.json");
const TOKENS: &str = fixture!("tokens.json");
const SEC1: &str = fixture!("sec1.pem");
const SECRET: [u8; 64] = [7; 64];

fn tokens() -> BTreeMap<String, String> {
    serde_json::from_str(TOKENS).unwrap()
}

fn shown<'a>(keys: &'a [JwtKey]) -> Vec<(String, Option<&'a str>)> {
    let shown = |key: &'a JwtKey| (key.algorithm().to_string(), key.id());
    keys.iter().map(shown).collect()
}

#[test]
fn tokens_of_every_algorithm_by_another_implementation_are_accepted() {
    let jwt = Jwt::with_keys(JwtKey::read_all(SET).unwrap());
    let tokens = tokens();
    assert_eq!(tokens.len(), 12);
    for (algorithm, token) in tokens {
        let verified = jwt.verify::<User>(&token).unwrap();
        assert_eq!(verified.claims.id, 7.into(), "{algorithm}");
    }
}

#[test]
fn every_key_refuses_the_tokens_of_all_other_algorithms() {
    let keys = JwtKey::read_all(SET).unwrap();
    for key in keys {
        let algorithm = key.algorithm().to_string();
        // Under any name, with and without one.
        for (other, token) in tokens() {
            let jwt = Jwt::with_keys([key.clone().key_id(&*other)]);
            let is_accepted = jwt.verify::<User>(&token).is_ok();
            assert_eq!(is_accepted, other == algorithm, "{algorithm}, {other}");
        }
    }
}

#[test]
fn every_kind_of_private_key_signs_what_its_public_key_accepts() {
    let private = JwtKey::read_all(PRIVATE).unwrap();
    let expected = [
        ("RS256", Some("rsa")),
        ("ES256", Some("p256")),
        ("ES384", Some("p384")),
        ("EdDSA", Some("ed")),
    ];
    let expected = expected.map(|(algorithm, id)| (algorithm.to_owned(), id));
    assert_eq!(shown(&private), expected);
    let public = JwtKey::read_all(PUBLIC).unwrap();
    let mut all = Vec::new();
    for (private, public) in private.into_iter().zip(public) {
        assert!(private.can_sign() && !public.can_sign());
        if private.algorithm() == Algorithm::Rs256 {
            for name in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
                let of = |key: &JwtKey| key.clone().for_algorithm(name.parse().unwrap()).unwrap();
                all.push((of(&private), of(&public)));
            }
        }
        all.push((private, public));
    }
    for name in ["HS256", "HS384", "HS512"] {
        let key = JwtKey::from_secret(name.parse().unwrap(), SECRET).unwrap();
        all.push((key.clone(), key));
    }
    assert_eq!(all.len(), 12);
    for (private, public) in all {
        let claims = json!({ "id": "ada", "email": "a@example.com", "exp": 4_102_444_800_u64 });
        let token = Jwt::with_keys([private.clone()]).sign(&claims).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, public.algorithm().of_jsonwebtoken());
        assert_eq!(header.kid.as_deref(), private.id());
        let jwt = Jwt::with_keys([public.key_id(private.id().unwrap_or_default())]);
        let verified = jwt.verify::<User>(&token).unwrap();
        assert_eq!(verified.claims.id, "ada".into());
    }
}

#[test]
fn of_a_set_the_keys_that_cannot_be_used_are_left_out() {
    let keys = JwtKey::read_all(ODD_SET).unwrap();
    assert_eq!(shown(&keys), [("RS256".to_owned(), Some("good"))]);
}

#[test]
fn each_key_that_cannot_be_used_says_why() {
    let set: Value = serde_json::from_str(ODD_SET).unwrap();
    let mut reasons = BTreeMap::new();
    for jwk in set["keys"].as_array().unwrap() {
        if let (Some(id), Err(error)) = (jwk["kid"].as_str(), JwtKey::from_jwk(jwk.to_string())) {
            reasons.insert(id.to_owned(), error);
        }
    }
    let short = |algorithm| KeyError::ShortSecret { algorithm };
    let expected = [
        ("enc", KeyError::Purpose),
        ("exponent-1", KeyError::Invalid("RSA")),
        ("long-rsa", KeyError::Long(4248)),
        ("new", KeyError::UnknownType),
        ("no-e", KeyError::NoKey),
        ("no-point", KeyError::Invalid("ES256")),
        ("oaep", KeyError::UnknownAlgorithm),
        ("other-alg", KeyError::Algorithm(Algorithm::Es256)),
        ("other-curve", KeyError::Invalid("ES384")),
        ("p521", KeyError::UnknownAlgorithm),
        ("short-ed", KeyError::Invalid("EdDSA")),
        ("short-for-512", short(Algorithm::Hs512)),
        ("short-rsa", KeyError::Short(1024)),
        ("short-secret", short(Algorithm::Hs256)),
        ("wrap", KeyError::Purpose),
        ("x25519", KeyError::Curve),
    ];
    let expected = expected.map(|(id, error)| (id.to_owned(), error));
    assert_eq!(reasons, BTreeMap::from(expected));
}

#[test]
fn a_file_that_is_no_key_says_what_is_wrong() {
    let pem = |label: &str| format!("-----BEGIN {label}-----\nMIIB\n-----END {label}-----\n");
    let cut = &PUBLIC[..100];
    for (file, expected) in [
        ("", KeyError::NoKey),
        ("no key", KeyError::NoKey),
        ("{}", KeyError::NoKey),
        (r#"{"keys":[]}"#, KeyError::NoKey),
        (r#"{"keys":[{"kty":"new"}]}"#, KeyError::NoKey),
        (cut, KeyError::NoKey),
        (&pem("PUBLIC KEY"), KeyError::NoKey),
        (&pem("OPENSSH PRIVATE KEY"), KeyError::NoKey),
        (&pem("CERTIFICATE"), KeyError::Certificate),
        (&pem("ENCRYPTED PRIVATE KEY"), KeyError::Encrypted),
        (SEC1, KeyError::Sec1),
        (&format!("alg: ES512\n{PUBLIC}"), KeyError::UnknownAlgorithm),
        (
            &format!("alg: ES256\n{PUBLIC}"),
            KeyError::Algorithm(Algorithm::Es256),
        ),
    ] {
        assert_eq!(JwtKey::read_all(file).unwrap_err(), expected, "{file}");
    }
    assert_eq!(JwtKey::from_pem(PUBLIC).unwrap_err(), KeyError::Several);
    assert_eq!(JwtKey::from_pem([0xff]).unwrap_err(), KeyError::NoKey);
}

#[test]
fn a_secret_is_as_long_as_the_hash_of_its_algorithm() {
    for (algorithm, bytes) in [
        (Algorithm::Hs256, 32),
        (Algorithm::Hs384, 48),
        (Algorithm::Hs512, 64),
    ] {
        assert!(JwtKey::from_secret(algorithm, &SECRET[..bytes]).is_ok());
        let refused = JwtKey::from_secret(algorithm, &SECRET[..bytes - 1]).unwrap_err();
        assert_eq!(refused, KeyError::ShortSecret { algorithm });
        assert_eq!(
            refused.to_string(),
            format!("a secret for {algorithm} needs at least {bytes} bytes")
        );
    }
    let short = JwtKey::from_secret(Algorithm::Hs256, &SECRET[..32]).unwrap();
    assert!(short.for_algorithm(Algorithm::Hs512).is_err());
    let public = JwtKey::from_secret(Algorithm::Rs256, SECRET).unwrap_err();
    assert_eq!(public, KeyError::Algorithm(Algorithm::Rs256));
}

#[test]
fn no_key_shows_in_debug() {
    let texts: Vec<_> = [SET, PRIVATE]
        .iter()
        .flat_map(|file| JwtKey::read_all(file).unwrap())
        .map(|key| format!("{key:?} {:?}", Jwt::with_keys([key.clone()])))
        .collect();
    assert!(texts[0].contains("RS256"), "{}", texts[0]);
    // The beginnings of numbers, of which Debug would show all.
    for text in texts {
        assert!(text.len() < 400, "{text}");
    }
}
