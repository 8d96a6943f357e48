//! `nextrush token`: minting a token from the command line.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use nextrush::auth::{GivenUserId, InvalidUserId, SignError, UserId};
use serde_json::{Map, Value};

use crate::config::Reading;
use crate::document::ConfigError;
use crate::settings::{Environment, Flags};

/// The claims that are said otherwise than with `--claims`.
const OWN: [&str; 5] = ["id", "iat", "exp", "iss", "aud"];

/// Mints a token for a user, and prints it.
///
/// It is signed with the first private key of --jwt-key or, without one, with --jwt-secret, as the server's
/// configuration has them: the flags of the server are taken, too.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Token {
    /// The id of the user. A whole number is a number, unless it stands in quotes, as '"7"'.
    #[arg(long)]
    pub id: String,

    /// The name of the user, the claim `name`.
    #[arg(long)]
    pub name: Option<String>,

    /// The mail address of the user, which others see; the name or the id without it.
    #[arg(long)]
    pub email: Option<String>,

    /// Further claims, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub claims: Option<String>,

    /// The lifetime: a whole number with s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    pub ttl: Duration,

    /// The flags of the server.
    #[command(flatten)]
    pub flags: Flags,
}

/// The reason why no token was minted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The keys of the configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration has no key, or public ones only.
    #[error(
        "no key that can sign: the configured ones only check tokens, which are signed elsewhere. Name a \
         private key in PEM form with --jwt-key, or set JWT_SECRET"
    )]
    CannotSign,
    /// The id is none.
    #[error("--id: {0}")]
    Id(#[from] InvalidUserId),
    /// The claims are no JSON object.
    #[error("--claims: expected a JSON object, as '{{\"role\":\"admin\"}}'")]
    Claims(#[source] serde_json::Error),
    /// A claim that has a flag of its own, or that the server's configuration says.
    #[error(
        "--claims: {0} is not said here: id by --id, exp by --ttl, and iss and aud by the configuration"
    )]
    OwnClaim(&'static str),
    /// The token cannot be signed.
    #[error("the token cannot be signed")]
    Sign(#[source] SignError),
    /// The token is longer than servers take.
    #[error(
        "the token is longer than {} bytes, which no server takes",
        nextrush::Jwt::MAX_TOKEN
    )]
    TooLong,
    /// The output cannot be written.
    #[error("cannot write the token")]
    Output(#[from] io::Error),
}

impl Token {
    /// Mints the token, and writes it to `output` as a line.
    ///
    /// # Errors
    ///
    /// See [`TokenError`].
    pub fn run(&self, mut output: impl Write) -> Result<(), TokenError> {
        let token = self.mint(&Environment::of_process())?;
        Ok(writeln!(output, "{token}")?)
    }

    fn mint(&self, environment: &Environment) -> Result<String, TokenError> {
        let claims = self.all_claims()?;
        let jwt = Reading::signing_keys(&self.flags, environment)?;
        let token = jwt
            .sign_for(&claims, self.ttl)
            .map_err(|error| match error {
                SignError::PublicKey => TokenError::CannotSign,
                error => TokenError::Sign(error),
            })?;
        match token.len() > nextrush::Jwt::MAX_TOKEN {
            true => Err(TokenError::TooLong),
            false => Ok(token),
        }
    }

    fn all_claims(&self) -> Result<Map<String, Value>, TokenError> {
        let mut claims: Map<String, Value> = match &self.claims {
            Some(json) => serde_json::from_str(json).map_err(TokenError::Claims)?,
            None => Map::new(),
        };
        if let Some(own) = OWN.into_iter().find(|own| claims.contains_key(*own)) {
            return Err(TokenError::OwnClaim(own));
        }
        let given = match serde_json::from_str(&self.id) {
            Ok(number @ Value::Number(_)) => number,
            Ok(Value::String(text)) => Value::String(text),
            _ => Value::String(self.id.clone()),
        };
        let shown = given.as_str().unwrap_or(&self.id).to_owned();
        if let Ok(id) = serde_json::from_value::<GivenUserId>(given.clone()) {
            UserId::try_from(id)?;
        }
        claims.insert("id".to_owned(), given);
        if let Some(name) = &self.name {
            claims.insert("name".to_owned(), Value::String(name.clone()));
        }
        let email = self.email.as_ref().or(self.name.as_ref());
        let email = email.unwrap_or(&shown).clone();
        if self.email.is_some() || !claims.contains_key("email") {
            claims.insert("email".to_owned(), Value::String(email));
        }
        Ok(claims)
    }
}

/// Reads a lifetime.
fn lifetime(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => 0,
    };
    let number: Option<u64> = number.parse().ok();
    let seconds = number.and_then(|number| number.checked_mul(seconds));
    match seconds {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("a lifetime is a whole number with s, m, h or d, such as 90s or 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use nextrush::auth::JwtKey;
    use nextrush::{Jwt, User};

    use super::*;
    use crate::cli::{Cli, Command};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const KEYS: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../nextrush/tests/fixtures/keys/"
    );

    fn mint(arguments: &[&str]) -> Result<String, String> {
        let line = ["nextrush", "token"].iter().chain(arguments);
        let cli = Cli::try_parse_from(line).map_err(|error| error.to_string())?;
        let Some(Command::Token(mut token)) = cli.command else {
            unreachable!("the command is there");
        };
        token.flags.places = Some(Vec::new());
        let minted = token.mint(&Environment::default());
        minted.map_err(|error| error.to_string())
    }

    #[test]
    fn a_minted_token_has_the_claims_that_were_asked_for() {
        let secret = ["--jwt-secret", SECRET];
        for (arguments, id, email) in [
            (&["--id", "ada"][..], "\"ada\"", "ada"),
            (&["--id", "7"], "7", "7"),
            (&["--id", "\"7\""], "\"7\"", "7"),
            (&["--id", "true", "--name", "Ada"], "\"true\"", "Ada"),
            (
                &["--id", "a", "--name", "Ada", "--email", "a@b"],
                "\"a\"",
                "a@b",
            ),
            (
                &["--id", "a", "--claims", r#"{"email":"c@d"}"#],
                "\"a\"",
                "c@d",
            ),
        ] {
            let token = mint(&[arguments, &secret].concat()).unwrap();
            let verified = Jwt::hs256(SECRET).verify::<User>(&token).unwrap();
            let id_shown = serde_json::to_string(&verified.claims.id).unwrap();
            assert_eq!((&*id_shown, &*verified.claims.email), (id, email));
        }
        let claims = ["--claims", r#"{"role":["admin"],"sid":"s"}"#, "--ttl", "2m"];
        let name = ["--id", "a", "--name", "Ada", "--jwt-issuer", "me"];
        let token = mint(&[&claims[..], &name, &secret].concat()).unwrap();
        let verified = Jwt::hs256(SECRET).verify::<Value>(&token).unwrap();
        assert_eq!(verified.claims["role"], serde_json::json!(["admin"]));
        assert_eq!(verified.claims["name"], "Ada");
        assert_eq!(verified.claims["iss"], "me");
        let lifetime = verified.expires.unwrap() - verified.claims["iat"].as_u64().unwrap();
        assert_eq!(lifetime, 120);
    }

    #[test]
    fn a_private_key_signs_where_one_is_given_and_a_public_one_is_refused_clearly() {
        let file = |name| format!("{KEYS}{name}");
        let (public, private) = (file("public.pem"), file("private.pem"));
        let keys = ["--jwt-key", &*public, "--jwt-key", &*private];
        let id = ["--id", "ada"];
        let with_secret = ["--jwt-secret", SECRET];
        let keys_of = |name| JwtKey::read_all(std::fs::read(file(name)).unwrap()).unwrap();
        for arguments in [
            &[&id[..], &keys].concat(),
            &[&id[..], &keys, &with_secret].concat(),
        ] {
            let token = mint(arguments).unwrap();
            let public = keys_of("public.pem")
                .into_iter()
                .map(|key| key.key_id("rsa"));
            assert!(Jwt::with_keys(public).verify::<User>(&token).is_ok());
        }
        // Of a public key and a secret the secret signs.
        let token = mint(&[&id[..], &keys[..2], &with_secret].concat()).unwrap();
        assert!(Jwt::hs256(SECRET).verify::<User>(&token).is_ok());
        for arguments in [
            &[&id[..], &keys[..2]].concat()[..],
            &["--id", "a", "--jwks-url", "https://example.com/keys"],
            &["--id", "a"],
        ] {
            let refused = mint(arguments).unwrap_err();
            assert!(refused.starts_with("no key that can sign"), "{refused}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (arguments, expected) in [
            (
                &["--id", "1.5"][..],
                "--id: a user id is a text or an integer",
            ),
            (&["--id", "a\u{200b}"], "--id: a user id has no invisible"),
            (
                &["--id", "a", "--claims", "[]"],
                "--claims: expected a JSON object",
            ),
            (
                &["--id", "a", "--claims", r#"{"exp":1}"#],
                "--claims: exp is not said here",
            ),
            (&["--id", "a", "--ttl", "0s"], "error: invalid value '0s'"),
            (&["--id", "a", "--ttl", "5"], "error: invalid value '5'"),
            (
                &["--id", "a", "--jwt-key", "/nowhere"],
                "--jwt-key: cannot read /nowhere",
            ),
        ] {
            let refused = mint(&[arguments, &["--jwt-secret", SECRET]].concat()).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
            assert!(!refused.contains(SECRET), "{refused}");
        }
        let long = format!(r#"{{"x":"{}"}}"#, "a".repeat(9000));
        let refused = mint(&["--id", "a", "--claims", &long, "--jwt-secret", SECRET]);
        assert!(refused.unwrap_err().starts_with("the token is longer"));
    }
}
