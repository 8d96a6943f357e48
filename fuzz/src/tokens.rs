use std::sync::OnceLock;

use nextrush::User;
use nextrush::auth::{Jwt, JwtKey};

const SET: &str = include_str!("../../crates/nextrush/tests/fixtures/keys/set.json");

/// Any text as a token, and as a file of keys.
///
/// Promises: a token that is accepted has the claims of one that was signed; keys that are read can
/// be used, and show nothing of themselves but their algorithm and name.
///
/// An input is the token's or the file's bytes.
pub fn tokens(input: &[u8]) {
    static JWT: OnceLock<Jwt> = OnceLock::new();
    let jwt = JWT.get_or_init(|| Jwt::with_keys(JwtKey::read_all(SET).expect("the set is right")));
    if let Ok(token) = str::from_utf8(input)
        && let Ok(user) = jwt.verify::<User>(token)
    {
        assert_eq!(user.claims, User::new(7, "ada@example.com"));
        assert_eq!(user.expires, Some(4_102_444_800));
    }
    if let Ok(keys) = JwtKey::read_all(input) {
        assert!(!keys.is_empty());
        for key in keys.into_iter().take(4) {
            assert!(format!("{key:?}").starts_with("JwtKey {"));
            let can_sign = key.can_sign();
            let jwt = Jwt::with_keys([key]);
            let user = User::new(7, "");
            let signed = jwt.sign_for(&user, std::time::Duration::from_secs(600));
            assert_eq!(signed.is_ok(), can_sign);
            if let Ok(token) = signed {
                // A long name of the key makes a token that is too long.
                let checked = jwt.verify::<User>(&token);
                assert_eq!(checked.is_ok(), token.len() <= Jwt::MAX_TOKEN);
            }
        }
    }
}
