use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;
use crate::message::{ErrorCode, User};

const SECRET: &str = "a secret of thirty-two bytes, no less";

const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuB3/KUkfmThq/lUw98h/
owWrVaIZMEdNYxzGufMnYoSmadxNsLgYb0PXxNpjQLzCX93KLTYfyMFl7k2OLcmt
VoAYFH4/Xh2ifMoXBTcQ0QkNX096i1bAjtixX94cbZKnJ+YmgYiMmTJVcs17wfMz
PAxUB+pSmsG0BfN5EPvEjwUCfS8fVY4SGX0aFn9OG/sUa69UKNUY8gvRld84wSne
8ctqNFRdt1Jg/CgfEh3cAMYxOaAN3i3F4wb0U4DKaOBgGH1O2owGVPqCgpZIhzIR
5H+lXv8LQQvvKdJK7I3dZ4NY8KzKU/7OrlWBo+P9RTX+uXgDaIvo/3/LB3Cg9IKe
WQIDAQAB
-----END PUBLIC KEY-----
";

const RSA_PUBLIC_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDLxZ3VV/WEb3Yh3JpBybuZ5ipd
0NF2lc8d3FvYi7YyjWHpkR5If2F9KuJSvvpC4WLAkx+mnkb923S0ep9nN63l/1sb
LwofcT68MA/mCfKooDzBuPpyK5f1zJY3ARzvtd9w6+jhdAbI4KCXEsKHeYG0Wcw1
1yRfzcFy2K4Kdf8gUwIDAQAB
-----END PUBLIC KEY-----
";

const P256_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE0dzSxwYQ1DQUgVsTM5EUH7wLqVnT
dKR/S3AGIkSSdvxC3LwYxnGikK6RK6Qb1psUv76AgvQ6qFCWYvvX0Qo+FQ==
-----END PUBLIC KEY-----
";

const P384_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEJTqaSzsgEfDbbD2ChejedrBtUYbve6Zr
gEcPgMc5IKLSxE7BjPkKjKzbN+rd5Q2iLJCV7GZ22UtRRhs7m06XnkmKQQ8a/CPR
qrZb4516T6aG1KadLWhVR2Diiz6ilAdH
-----END PUBLIC KEY-----
";

// Signed by OpenSSL with the private halves, which nobody has any more:
// {"id":7,"email":"ada@example.com","exp":4102444800}
const RS256_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6NywiZW1haWwiOiJhZGFAZXhhbXBsZS5jb20\
    iLCJleHAiOjQxMDI0NDQ4MDB9.GtCg8go7ZQ0404NV3QCizkuf-fVneARKLdALrdHugTSKnSA4jTILSP\
    x_DkO-z1ORkTrrgpVLhA7ebZdxUlUqsaplayeuQjMkXn3A4eqfG5lhyHtNrIo8uvQg9pO9nNfvGdAsbC\
    8l9L3WKUkcHVqlNXn9cqIMo2QcUy1uyZuyW038SATtnE16leN9Ty3-9GTTt5j7yiBRyIu59k42yqa4q1\
    dPXfVTUSYPrYT4RV3EWV7kqp9sAHMeGGn4K1sm0nQmIFSLZo6lfVGtHMZ5qBZzpVJ-dGripFOjslllRJ\
    -aT-54x2IFWNCk6y3_kYL-JXDYtvYaJDc_MMwFb6THimvxnA";

const ES256_TOKEN: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6NywiZW1haWwiOiJhZGFAZXhhbXBsZS5jb20\
    iLCJleHAiOjQxMDI0NDQ4MDB9.0KAFQ07Qz1nOKlDVMCdNtFzWCDVGpBNKuKAQeMi3D6EWdm_2JnXKdh\
    qYzDguksMSM7OdpOQksKOn0kZ3z9RgIg";

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

/// Claims that are fine, with some of them replaced; `null` removes one.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "id": 7, "email": "ada@example.com", "exp": now() + 3600 });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A token whose header and payload are exactly these texts, signed with `secret`.
fn forged(header: &str, payload: &str, secret: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let key = EncodingKey::from_secret(secret);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn with_header(header: &str) -> String {
    forged(header, &claims(&json!({})).to_string(), SECRET.as_bytes())
}

fn with_payload(payload: &str) -> String {
    forged(r#"{"alg":"HS256"}"#, payload, SECRET.as_bytes())
}

fn verify(jwt: &Jwt, token: &str) -> Result<Authenticated<User>, AuthError> {
    jwt.verify(token)
}

fn verify_claims(jwt: &Jwt, changes: &Value) -> Result<Authenticated<User>, AuthError> {
    verify(jwt, &jwt.sign(&claims(changes)).unwrap())
}

#[test]
fn a_signed_token_is_accepted_with_its_claims_and_expiry() {
    let jwt = Jwt::hs256(SECRET);
    let exp = now() + 3600;
    let verified = verify_claims(&jwt, &json!({ "exp": exp, "more": true })).unwrap();
    assert_eq!(verified.claims.id, 7.into());
    assert_eq!(verified.claims.email, "ada@example.com");
    assert_eq!(verified.expires, Some(exp));
}

#[test]
fn a_session_is_the_claim_sid_if_that_is_a_text() {
    let jwt = Jwt::hs256(SECRET);
    for (sid, session) in [
        (json!("s-1"), Some("s-1")),
        (json!(7), None),
        (json!(null), None),
    ] {
        let verified = verify_claims(&jwt, &json!({ "sid": sid })).unwrap();
        assert_eq!(verified.session.as_deref(), session, "{sid}");
    }
}

#[test]
fn a_token_without_an_id_names_its_user_by_the_claim_for_that() {
    let plain = Jwt::hs256(SECRET);
    let by_sub = plain.clone().id_claim("sub");
    let user = |jwt: &Jwt, mut claims: Value| {
        claims["exp"] = json!(now() + 60);
        let found = verify(jwt, &plain.sign(&claims).unwrap());
        found.map(|found| found.claims)
    };
    let auth0 = json!({ "sub": "auth0|7", "scope": "openid" });
    let keycloak = json!({ "sub": "f1", "name": "Ada", "email": "ada@example.com" });
    for (claims, id, email) in [
        (auth0.clone(), "auth0|7", "auth0|7"),
        (json!({ "sub": "f1", "name": "Ada" }), "f1", "Ada"),
        (json!({ "sub": "f1", "name": 7 }), "f1", "f1"),
        (keycloak.clone(), "f1", "ada@example.com"),
        // With both, the id.
        (
            json!({ "id": "ada", "sub": "f1", "email": "a" }),
            "ada",
            "a",
        ),
    ] {
        let expected = User::new(id, email);
        assert_eq!(user(&by_sub, claims.clone()).unwrap(), expected, "{claims}");
    }
    let number = user(&by_sub, json!({ "sub": 7 })).unwrap();
    assert_eq!(number, User::new(7, "7"));
    for claims in [
        json!({ "id": null, "sub": "f1", "email": "a" }),
        json!({ "id": "ada", "sub": "f1" }),
        json!({ "sub": ["f1"] }),
        json!({ "sub": "a\u{200b}" }),
        json!({ "other": "f1" }),
    ] {
        assert!(user(&by_sub, claims.clone()).is_err(), "{claims}");
    }
    for claims in [auth0, keycloak] {
        assert!(user(&plain, claims.clone()).is_err(), "{claims}");
    }
}

#[test]
fn claims_of_any_type_can_be_read_with_the_registered_ones_among_them() {
    #[derive(serde::Deserialize)]
    struct Claims {
        sub: String,
        exp: u64,
    }
    let jwt = Jwt::hs256(SECRET);
    let exp = now() + 3600;
    let token = jwt.sign(&json!({ "sub": "ada", "exp": exp })).unwrap();
    let verified = jwt.verify::<Claims>(&token).unwrap();
    assert_eq!(
        (verified.claims.sub.as_str(), verified.claims.exp),
        ("ada", exp)
    );
}

#[test]
fn tokens_of_another_implementation_are_accepted() {
    for (jwt, token) in [
        (Jwt::rs256_pem(RSA_PUBLIC).unwrap(), RS256_TOKEN),
        (Jwt::es256_pem(P256_PUBLIC).unwrap(), ES256_TOKEN),
    ] {
        let verified = verify(&jwt, token).unwrap();
        assert_eq!(verified.claims.id, 7.into());
        assert_eq!(verified.expires, Some(4_102_444_800));
    }
}

#[test]
fn a_changed_byte_anywhere_breaks_the_token() {
    let token = Jwt::hs256(SECRET).sign(&claims(&json!({}))).unwrap();
    let cases = [
        (Jwt::hs256(SECRET), token.as_str()),
        (Jwt::rs256_pem(RSA_PUBLIC).unwrap(), RS256_TOKEN),
        (Jwt::es256_pem(P256_PUBLIC).unwrap(), ES256_TOKEN),
    ];
    for (jwt, token) in cases {
        // RSA is slow without optimisation: a sample.
        for at in (0..token.len()).step_by(7) {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&jwt, &changed).is_err(), "{at}");
        }
        for end in (0..token.len()).step_by(7) {
            assert!(verify(&jwt, &token[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn a_token_of_another_secret_is_refused() {
    let token = Jwt::hs256("another secret")
        .sign(&claims(&json!({})))
        .unwrap();
    let refused = verify(&Jwt::hs256(SECRET), &token);
    assert!(matches!(refused, Err(AuthError::Signature)), "{refused:?}");
}

#[test]
fn no_algorithm_but_the_configured_one_is_accepted() {
    let payload = claims(&json!({})).to_string();
    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS999"] {
        let header = json!({ "alg": alg }).to_string();
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(&header),
            URL_SAFE_NO_PAD.encode(&payload)
        );
        for token in [unsigned, with_header(&header)] {
            let refused = verify(&Jwt::hs256(SECRET), &token);
            assert!(
                matches!(refused, Err(AuthError::Malformed)),
                "{alg}: {refused:?}"
            );
        }
    }
    for alg in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA"] {
        let token = with_header(&json!({ "alg": alg }).to_string());
        let refused = verify(&Jwt::hs256(SECRET), &token);
        assert!(
            matches!(refused, Err(AuthError::Algorithm)),
            "{alg}: {refused:?}"
        );
    }
}

#[test]
fn an_empty_signature_is_refused() {
    let token = Jwt::hs256(SECRET).sign(&claims(&json!({}))).unwrap();
    let unsigned = &token[..=token.rfind('.').unwrap()];
    let refused = verify(&Jwt::hs256(SECRET), unsigned);
    assert!(matches!(refused, Err(AuthError::Signature)), "{refused:?}");
}

#[test]
fn a_public_key_is_no_secret() {
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let payload = claims(&json!({})).to_string();
    for (jwt, public) in [
        (Jwt::rs256_pem(RSA_PUBLIC).unwrap(), RSA_PUBLIC),
        (Jwt::es256_pem(P256_PUBLIC).unwrap(), P256_PUBLIC),
    ] {
        for secret in [public, public.trim_end()] {
            let token = forged(header, &payload, secret.as_bytes());
            let refused = verify(&jwt, &token);
            assert!(matches!(refused, Err(AuthError::Algorithm)), "{refused:?}");
        }
    }
}

#[test]
fn keys_that_do_not_fit_the_algorithm_are_refused_at_once() {
    let rs256 = |pem: &str| Jwt::rs256_pem(pem).unwrap_err();
    assert_eq!(rs256(RSA_PUBLIC_1024), KeyError::Short(1024));
    for pem in [
        "",
        "no key",
        SECRET,
        P256_PUBLIC,
        P384_PUBLIC,
        &RSA_PUBLIC[..200],
    ] {
        assert_eq!(rs256(pem), KeyError::Invalid("RS256"), "{pem}");
    }
    for pem in [
        "",
        "no key",
        SECRET,
        RSA_PUBLIC,
        P384_PUBLIC,
        &P256_PUBLIC[..90],
    ] {
        let refused = Jwt::es256_pem(pem).unwrap_err();
        assert_eq!(refused, KeyError::Invalid("ES256"), "{pem}");
    }
}

#[test]
fn nothing_can_be_signed_with_a_public_key() {
    let refused = Jwt::rs256_pem(RSA_PUBLIC)
        .unwrap()
        .sign(&claims(&json!({})));
    assert!(matches!(refused, Err(SignError::PublicKey)), "{refused:?}");
}

#[test]
#[should_panic(expected = "the secret for tokens is empty")]
fn an_empty_secret_is_not_taken() {
    let _ = Jwt::hs256("");
}

#[test]
fn an_end_between_two_seconds_is_the_same_for_requests_and_sockets() {
    let jwt = Jwt::hs256(SECRET).leeway(Duration::ZERO);
    for (exp, end) in [(0.4, 0), (0.5, 1), (0.9, 1)] {
        let second = now() + 60;
        let verified = verify_claims(&jwt, &json!({ "exp": second as f64 + exp })).unwrap();
        assert_eq!(verified.valid_until(), Some(second + end));
    }
}

#[test]
fn expiry_is_required_and_enforced() {
    let jwt = Jwt::hs256(SECRET);
    for exp in [
        json!(now() - 3600),
        json!(now() - 6),
        json!(1),
        json!((now() - 60) as f64 + 0.5),
    ] {
        let refused = verify_claims(&jwt, &json!({ "exp": exp }));
        assert!(
            matches!(refused, Err(AuthError::Expired)),
            "{exp}: {refused:?}"
        );
    }
    for exp in [
        Value::Null,
        json!((now() + 3600).to_string()),
        json!(-1),
        json!(-1.5),
        json!(true),
    ] {
        let refused = verify_claims(&jwt, &json!({ "exp": exp }));
        assert!(
            matches!(&refused, Err(AuthError::Claim(name)) if name == "exp"),
            "{exp}: {refused:?}"
        );
    }
    for payload in [
        r#"{"id":7,"email":"e","exp":null}"#,
        r#"{"id":7,"email":"e","exp":[4102444800]}"#,
        r#"{"id":7,"email":"e","exp":{"$":4102444800}}"#,
        r#"{"id":7,"email":"e","exp":1e400}"#,
        r#"{"id":7,"email":"e","exp":-1e400}"#,
        r#"{"id":7,"email":"e","exp":1e300}"#,
        r#"{"id":7,"email":"e","exp":1,"exp":4102444800}"#,
        r#"{"id":7,"email":"e","exp":4102444800,"exp":1}"#,
        r#"{"id":7,"email":"e","EXP":4102444800}"#,
    ] {
        let refused = verify(&jwt, &with_payload(payload));
        assert!(refused.is_err(), "{payload}: {refused:?}");
    }
}

#[test]
fn a_token_is_not_accepted_in_the_second_it_expires() {
    let jwt = Jwt::hs256(SECRET).leeway(Duration::ZERO);
    let refused = verify_claims(&jwt, &json!({ "exp": now() }));
    assert!(matches!(refused, Err(AuthError::Expired)), "{refused:?}");
}

#[test]
fn leeway_is_five_seconds_unless_set_and_never_endless() {
    let outdated = json!({ "exp": now() - 100 });
    assert!(verify_claims(&Jwt::hs256(SECRET), &outdated).is_err());
    let lenient = Jwt::hs256(SECRET).leeway(Duration::from_secs(200));
    assert!(verify_claims(&lenient, &outdated).is_ok());
    let endless = Jwt::hs256(SECRET).leeway(Duration::MAX);
    assert!(verify_claims(&endless, &json!({ "exp": now() - 200 })).is_ok());
    assert!(verify_claims(&endless, &json!({ "exp": now() - 400 })).is_err());
    assert!(verify_claims(&endless, &json!({ "nbf": now() + 400 })).is_err());
}

#[test]
fn expiry_can_be_left_out_where_allowed_but_counts_where_present() {
    let jwt = Jwt::hs256(SECRET).require_expiry(false);
    let verified = verify_claims(&jwt, &json!({ "exp": null })).unwrap();
    assert_eq!(verified.expires, None);
    assert!(verify_claims(&jwt, &json!({ "exp": now() - 60 })).is_err());
    assert!(verify_claims(&jwt, &json!({ "exp": "soon" })).is_err());
    let strict = jwt.require_expiry(true);
    assert!(verify_claims(&strict, &json!({ "exp": null })).is_err());
}

#[test]
fn a_token_is_not_accepted_before_its_time() {
    let jwt = Jwt::hs256(SECRET);
    assert!(verify_claims(&jwt, &json!({ "nbf": now() - 60 })).is_ok());
    let refused = verify_claims(&jwt, &json!({ "nbf": now() + 60 }));
    assert!(
        matches!(refused, Err(AuthError::NotYetValid)),
        "{refused:?}"
    );
    for nbf in [json!("0"), json!(-1), json!([])] {
        let refused = verify_claims(&jwt, &json!({ "nbf": nbf }));
        assert!(
            matches!(&refused, Err(AuthError::Claim(name)) if name == "nbf"),
            "{refused:?}"
        );
    }
}

#[test]
fn audience_and_issuer_must_be_among_the_configured_ones() {
    let jwt = Jwt::hs256(SECRET)
        .audience("chat")
        .audience("live")
        .issuer("https://id.example");
    let fine = json!({ "aud": "chat", "iss": "https://id.example" });
    let several = json!({ "aud": ["else", "live"], "iss": "https://id.example" });
    for changes in [fine, several] {
        assert!(verify_claims(&jwt, &changes).is_ok(), "{changes}");
    }
    for changes in [
        json!({ "iss": "https://id.example" }),
        json!({ "aud": "chat" }),
        json!({ "aud": "Chat", "iss": "https://id.example" }),
        json!({ "aud": [], "iss": "https://id.example" }),
        json!({ "aud": 1, "iss": "https://id.example" }),
        json!({ "aud": "chat", "iss": "https://id.example/" }),
        json!({ "aud": "chat", "iss": {} }),
    ] {
        assert!(verify_claims(&jwt, &changes).is_err(), "{changes}");
    }
}

#[test]
fn a_token_for_others_is_refused_where_no_audience_is_configured() {
    let refused = verify_claims(&Jwt::hs256(SECRET), &json!({ "aud": "billing" }));
    assert!(matches!(refused, Err(AuthError::Audience)), "{refused:?}");
}

#[test]
fn only_the_configured_key_may_be_named() {
    let named = Jwt::hs256(SECRET).key_id("2026-01");
    for kid in ["2026-02", "../../../../dev/null", "' OR 1=1 --", ""] {
        let token = with_header(&json!({ "alg": "HS256", "kid": kid }).to_string());
        for jwt in [&named, &Jwt::hs256(SECRET)] {
            let refused = verify(jwt, &token);
            assert!(
                matches!(refused, Err(AuthError::UnknownKey)),
                "{kid}: {refused:?}"
            );
        }
    }
    let token = with_header(r#"{"alg":"HS256","kid":7}"#);
    assert!(verify(&named, &token).is_err());
    assert!(verify_claims(&named, &json!({})).is_ok());
    assert!(verify(&named, &with_header(r#"{"alg":"HS256"}"#)).is_ok());
}

/// A key by a name, or without one, and the secret that it is.
fn secret(byte: u8, id: Option<&str>) -> JwtKey {
    let key = JwtKey::secret(super::Algorithm::Hs256, &[byte; 32]);
    match id {
        Some(id) => key.key_id(id),
        None => key,
    }
}

#[test]
fn of_several_keys_the_named_one_counts_and_all_where_none_is_named() {
    let jwt = Jwt::with_keys([secret(1, Some("new")), secret(2, Some("old"))]);
    let payload = claims(&json!({})).to_string();
    for (kid, byte, is_accepted) in [
        (json!("new"), 1, true),
        (json!("old"), 2, true),
        (json!("new"), 2, false),
        (json!("old"), 1, false),
        (json!("other"), 1, false),
        (json!(null), 1, true),
        (json!(null), 2, true),
        (json!(null), 3, false),
    ] {
        let header = json!({ "alg": "HS256", "kid": kid }).to_string();
        let token = forged(&header, &payload, &[byte; 32]);
        let checked = verify(&jwt, &token);
        assert_eq!(checked.is_ok(), is_accepted, "{kid} {byte}: {checked:?}");
    }
}

#[test]
fn tokens_are_signed_with_the_first_key_that_can() {
    let public = JwtKey::from_pem(P256_PUBLIC).unwrap();
    let jwt = Jwt::with_keys([public, secret(1, Some("new"))]).key(secret(2, Some("old")));
    let token = jwt.sign(&claims(&json!({}))).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.kid.as_deref(), Some("new"));
    assert!(verify(&Jwt::with_keys([secret(1, Some("new"))]), &token).is_ok());
}

#[test]
fn an_expired_token_is_said_to_be_one_also_among_several_keys() {
    let jwt = Jwt::with_keys([secret(1, None), secret(2, None)]);
    let payload = claims(&json!({ "exp": 1 })).to_string();
    let token = forged(r#"{"alg":"HS256"}"#, &payload, &[2; 32]);
    let refused = verify(&jwt, &token);
    assert!(matches!(refused, Err(AuthError::Expired)), "{refused:?}");
}

#[test]
fn a_token_that_names_no_key_costs_eight_signatures_at_most() {
    let keys: Vec<_> = (1..=9).map(|byte| secret(byte, None)).collect();
    let jwt = Jwt::with_keys(keys);
    let payload = claims(&json!({})).to_string();
    for (byte, is_accepted) in [(8, true), (9, false)] {
        let token = forged(r#"{"alg":"HS256"}"#, &payload, &[byte; 32]);
        assert_eq!(verify(&jwt, &token).is_ok(), is_accepted, "{byte}");
    }
}

#[test]
fn without_keys_no_token_is_accepted() {
    let token = Jwt::hs256(SECRET).sign(&claims(&json!({}))).unwrap();
    let refused = verify(&Jwt::with_keys([]), &token);
    assert!(matches!(refused, Err(AuthError::UnknownKey)), "{refused:?}");
}

#[test]
fn a_header_that_brings_its_own_key_or_extension_is_refused() {
    let jwk = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode("attacker") });
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["b64"])),
    ] {
        let header = json!({ "alg": "HS256", name: value }).to_string();
        let refused = verify(&Jwt::hs256(SECRET), &with_header(&header));
        assert!(
            matches!(refused, Err(AuthError::Header(n)) if n == name),
            "{refused:?}"
        );
        let forged = forged(&header, &claims(&json!({})).to_string(), b"attacker");
        let refused = verify(&Jwt::hs256(SECRET), &forged);
        assert!(matches!(refused, Err(AuthError::Signature)), "{refused:?}");
    }
}

#[test]
fn a_token_over_8_kib_is_refused_unread() {
    let jwt = Jwt::hs256(SECRET);
    for length in [8 * 1024 + 1, 1024 * 1024] {
        let refused = verify(&jwt, &"a".repeat(length));
        assert!(matches!(refused, Err(AuthError::TooLong)), "{refused:?}");
    }
    let refused = verify(&jwt, &"a".repeat(8 * 1024));
    assert!(matches!(refused, Err(AuthError::Malformed)), "{refused:?}");
}

#[test]
fn claims_that_are_there_twice_or_too_deep_are_refused_whatever_type_is_read() {
    let exp = now() + 3600;
    let of = |more: &str| {
        with_payload(&format!(
            r#"{{"id":7,"email":"ada@example.com","exp":{exp}{more}}}"#
        ))
    };
    let deep = |levels| format!(r#","x":{}{}"#, "[".repeat(levels), "]".repeat(levels));
    for (more, is_accepted) in [
        (String::new(), true),
        (r#","x":{"a":1,"b":[{"a":1}]}"#.to_owned(), true),
        (deep(100), true),
        (deep(2_000), false),
        (r#","id":8"#.to_owned(), false),
        (r#","\u0069d":8"#.to_owned(), false),
        (format!(r#","exp":{exp}"#), false),
        (r#","sid":"a","sid":"b""#.to_owned(), false),
        (r#","role":"user","role":"admin""#.to_owned(), false),
    ] {
        let token = of(&more);
        let jwt = Jwt::hs256(SECRET);
        assert_eq!(verify(&jwt, &token).is_ok(), is_accepted, "{more}");
        let all = jwt.verify::<Value>(&token);
        assert_eq!(all.is_ok(), is_accepted, "{more}: {all:?}");
    }
    // Nor does a claim in the place of the id hide that it is there twice.
    let jwt = Jwt::hs256(SECRET).id_claim("sub");
    for (subjects, is_accepted) in [
        (r#""sub":"ada""#, true),
        (r#""sub":"ada","sub":"bob""#, false),
    ] {
        let token = with_payload(&format!(r#"{{{subjects},"exp":{exp}}}"#));
        assert_eq!(verify(&jwt, &token).is_ok(), is_accepted, "{subjects}");
    }
}

#[test]
fn malformed_tokens_are_refused() {
    let deep = format!(
        r#"{{"id":7,"email":"e","exp":4102444800,"x":{}"#,
        "[".repeat(4000)
    );
    let closed = format!("{deep}{}}}", "]".repeat(1000));
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        &with_payload(""),
        &with_payload("null"),
        &with_payload("7"),
        &with_payload("{}{}"),
        &with_payload("[]"),
        &with_payload(&deep),
        &with_payload(&closed),
        &with_header(""),
        &with_header("null"),
        &with_header("{}"),
        &with_header(&"[".repeat(4000)),
    ] {
        assert!(verify(&Jwt::hs256(SECRET), token).is_err(), "{token}");
    }
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    for payload in [
        r#"{"email":"e","exp":4102444800}"#,
        r#"{"id":7,"exp":4102444800}"#,
        r#"{"id":[],"email":"e","exp":4102444800}"#,
    ] {
        let refused = verify(&Jwt::hs256(SECRET), &with_payload(payload));
        assert!(
            matches!(refused, Err(AuthError::Claims(_))),
            "{payload}: {refused:?}"
        );
    }
}

#[test]
fn an_id_that_two_users_could_share_is_refused_by_its_name() {
    for id in ["9007199254740992", "9007199254740993", "-1e300", "1.5"] {
        let payload = format!(r#"{{"id":{id},"email":"e","exp":4102444800}}"#);
        let refused = verify(&Jwt::hs256(SECRET), &with_payload(&payload)).unwrap_err();
        assert!(
            matches!(refused, AuthError::InexactId(_)),
            "{id}: {refused:?}"
        );
        assert_eq!(refused.code(), ErrorCode::IdNotExact);
    }
    let exact = with_payload(r#"{"id":9007199254740991,"email":"e","exp":4102444800}"#);
    let user = verify(&Jwt::hs256(SECRET), &exact).unwrap().claims;
    assert_eq!(user.id.to_string(), "9007199254740991");
}

#[test]
fn a_minted_token_is_what_its_maker_accepts() {
    let jwt = Jwt::hs256(SECRET).audience("chat").issuer("id").key_id("k");
    let user = User::new("ada", "ada@example.com");
    let before = now();
    let token = jwt.sign_for(&user, Duration::from_secs(600)).unwrap();
    let verified = jwt.verify::<User>(&token).unwrap();
    assert_eq!(verified.claims, user);
    let expires = verified.expires.unwrap();
    assert!((before + 600..=now() + 600).contains(&expires), "{expires}");
    let endless = jwt.sign_for(&user, Duration::MAX).unwrap();
    assert!(jwt.verify::<User>(&endless).is_ok());
}

#[test]
fn options_set_on_a_clone_leave_the_original_alone() {
    let jwt = Jwt::hs256(SECRET);
    let strict = jwt.clone().issuer("id");
    assert!(verify_claims(&jwt, &json!({})).is_ok());
    assert!(verify_claims(&strict, &json!({})).is_err());
}

#[test]
fn neither_key_nor_token_shows_in_debug_or_error_texts() {
    let jwt = Jwt::hs256(SECRET);
    let debug = format!("{jwt:?} {jwt:#?}");
    assert!(debug.contains("HS256"), "{debug}");
    assert!(!debug.contains("thirty-two"), "{debug}");

    let expired = jwt.sign(&claims(&json!({ "exp": 1 }))).unwrap();
    let unfit = with_payload(r#"{"id":7,"exp":4102444800}"#);
    let header = with_header(r#"{"alg":"SECRET-ALG"}"#);
    for token in [
        expired.as_str(),
        &unfit,
        &header,
        "SECRET-ALG.SECRET-ALG.SECRET-ALG",
    ] {
        let error = verify(&jwt, token).unwrap_err();
        let texts = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!texts.contains("SECRET-ALG"), "{texts}");
        for part in token.split('.') {
            assert!(!texts.contains(part), "{texts}");
        }
    }
}
