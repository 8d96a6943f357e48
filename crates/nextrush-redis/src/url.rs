//! Addresses of Redis servers.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The port of a Redis server.
const SERVER_PORT: u16 = 6379;
/// The port of a Sentinel.
const SENTINEL_PORT: u16 = 26379;

/// The address of a Redis or Valkey, with the credentials for it.
///
/// | | |
/// |---|---|
/// | `redis://[user[:password]@]host[:6379][/db]` | one server |
/// | `redis+sentinel://[user[:password]@]host[:26379],…/name[/db]` | the master that Sentinels know by this name |
/// | `redis+cluster://[user[:password]@]host[:6379],…` | a cluster, of which these are some members |
///
/// With `rediss` in place of `redis` the connections are encrypted with TLS, those to Sentinels
/// too. Users and passwords are percent-encoded; `:password@` is the password of the user
/// `default`. An IPv6 address stands in brackets.
///
/// Settings follow a question mark: `ca` is a PEM file with the authorities that may vouch for
/// the server, in place of the system's; `sentinel-user` and `sentinel-password` are the
/// credentials for Sentinels, which have none without them.
///
/// Neither `Debug` nor `Display` nor an error shows a password.
///
/// ```
/// use nextrush_redis::RedisUrl;
///
/// let url: RedisUrl = "redis+sentinel://app:s3cret@10.0.0.1,10.0.0.2/main".parse()?;
/// assert_eq!(url.to_string(), "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/main");
/// assert!(!format!("{url:?}").contains("s3cret"));
/// # Ok::<(), nextrush_redis::RedisUrlError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedisUrl {
    pub(crate) service: Service,
    pub(crate) is_encrypted: bool,
    pub(crate) credentials: Credentials,
    pub(crate) database: u16,
    /// A PEM file with the authorities to trust in place of the system's.
    pub(crate) authorities: Option<PathBuf>,
}

/// The way from an address to the server that is written to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Service {
    Standalone(Address),
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
        credentials: Credentials,
    },
    Cluster(Vec<Address>),
}

/// A host and a port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// A user and a password.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The reason why a text is not the address of a Redis. It shows no part of the text that may be
/// a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisUrlError {
    /// The scheme is none of those that are known.
    #[error(
        "the address of a Redis starts with redis://, rediss://, redis+sentinel://, \
         rediss+sentinel://, redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    /// There is no host, or not exactly one where one is wanted.
    #[error("the address of a Redis has one host, that of Sentinels or a cluster one or more")]
    Hosts,
    /// A host is empty, or a port is not one.
    #[error("host number {number} of the Redis's address is not a host with an optional port")]
    Host {
        /// The number of the host, from 1.
        number: usize,
    },
    /// A user or password is not percent-encoded UTF-8.
    #[error(
        "the user or password in the Redis's address is not percent-encoded; `@`, `:`, `/`, `?` \
         and `%` have to be"
    )]
    Credentials,
    /// The path is not that of this kind of address.
    #[error(
        "the path of the Redis's address is a database from 0 to 65535, that of Sentinels the \
         name of a master and a database, and a cluster has none"
    )]
    Path,
    /// A setting is unknown or has no value.
    #[error(
        "setting number {number} of the Redis's address is not one of ca, sentinel-user and \
         sentinel-password with a value"
    )]
    Setting {
        /// The number of the setting, from 1.
        number: usize,
    },
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisUrlError::Scheme)?;
        let (kind, is_encrypted) = Kind::of(scheme).ok_or(RedisUrlError::Scheme)?;
        let (rest, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let settings = Settings::parse(settings, kind)?;
        // A password may hold an unencoded slash by mistake: the path starts after the last `@`.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (parse_credentials(credentials)?, rest),
            None => (Credentials::default(), rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = parse_hosts(hosts, kind.port())?;
        let (service, database) = match kind {
            Kind::Standalone => {
                let [address] =
                    <[Address; 1]>::try_from(hosts).map_err(|_| RedisUrlError::Hosts)?;
                (Service::Standalone(address), parse_database(path)?)
            }
            Kind::Sentinel => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(RedisUrlError::Path);
                }
                let sentinel = Service::Sentinel {
                    sentinels: hosts,
                    master: decode(master).map_err(|_| RedisUrlError::Path)?,
                    credentials: settings.sentinel,
                };
                (sentinel, parse_database(database)?)
            }
            Kind::Cluster if path.is_empty() => (Service::Cluster(hosts), 0),
            Kind::Cluster => return Err(RedisUrlError::Path),
        };
        Ok(Self {
            service,
            is_encrypted,
            credentials,
            database,
            authorities: settings.authorities,
        })
    }
}

/// The kind of an address, as its scheme says.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Standalone,
    Sentinel,
    Cluster,
}

impl Kind {
    fn of(scheme: &str) -> Option<(Self, bool)> {
        Some(match scheme {
            "redis" => (Self::Standalone, false),
            "rediss" => (Self::Standalone, true),
            "redis+sentinel" => (Self::Sentinel, false),
            "rediss+sentinel" => (Self::Sentinel, true),
            "redis+cluster" => (Self::Cluster, false),
            "rediss+cluster" => (Self::Cluster, true),
            _ => return None,
        })
    }

    const fn port(self) -> u16 {
        match self {
            Self::Standalone | Self::Cluster => SERVER_PORT,
            Self::Sentinel => SENTINEL_PORT,
        }
    }
}

#[derive(Default)]
struct Settings {
    authorities: Option<PathBuf>,
    sentinel: Credentials,
}

impl Settings {
    fn parse(text: &str, kind: Kind) -> Result<Self, RedisUrlError> {
        let mut settings = Self::default();
        let parts = text.split('&').filter(|part| !part.is_empty());
        for (index, part) in parts.enumerate() {
            let error = RedisUrlError::Setting { number: index + 1 };
            let (name, value) = part.split_once('=').ok_or_else(|| error.clone())?;
            let value = decode(value).map_err(|_| error.clone())?;
            match name {
                _ if value.is_empty() => return Err(error),
                "ca" => settings.authorities = Some(value.into()),
                "sentinel-user" if kind == Kind::Sentinel => settings.sentinel.user = Some(value),
                "sentinel-password" if kind == Kind::Sentinel => {
                    settings.sentinel.password = Some(value);
                }
                _ => return Err(error),
            }
        }
        Ok(settings)
    }
}

fn parse_credentials(text: &str) -> Result<Credentials, RedisUrlError> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    // Encoded text has neither; a password with one of them was most likely cut in two.
    if password.is_some_and(|password| password.contains(['@', ':', '/'])) {
        return Err(RedisUrlError::Credentials);
    }
    Ok(Credentials {
        user: (!user.is_empty()).then(|| decode(user)).transpose()?,
        password: password.map(decode).transpose()?,
    })
}

fn decode(text: &str) -> Result<String, RedisUrlError> {
    let is_encoded = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(decoded) if is_encoded => Ok(decoded.into_owned()),
        _ => Err(RedisUrlError::Credentials),
    }
}

fn parse_hosts(text: &str, port: u16) -> Result<Vec<Address>, RedisUrlError> {
    if text.is_empty() {
        return Err(RedisUrlError::Hosts);
    }
    let host = |(index, host)| {
        let number = index + 1;
        parse_host(host, port).ok_or(RedisUrlError::Host { number })
    };
    text.split(',').enumerate().map(host).collect()
}

/// Reads a host and its port, or the port `otherwise`.
fn parse_host(text: &str, otherwise: u16) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (host, rest) = text.split_once(']')?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':')?),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        Some(port) => port.parse().ok().filter(|_| is_digits(port))?,
        None => otherwise,
    };
    let host = (!host.is_empty()).then(|| host.to_owned())?;
    Some(Address { host, port })
}

fn parse_database(text: &str) -> Result<u16, RedisUrlError> {
    match text {
        "" => Ok(0),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| RedisUrlError::Path)
        }
        _ => Err(RedisUrlError::Path),
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "rediss" } else { "redis" };
        let list = |addresses: &[Address]| {
            let texts: Vec<_> = addresses.iter().map(Address::to_string).collect();
            texts.join(",")
        };
        match &self.service {
            Service::Standalone(address) => write!(f, "{scheme}://{address}")?,
            Service::Sentinel {
                sentinels, master, ..
            } => write!(f, "{scheme}+sentinel://{}/{master}", list(sentinels))?,
            Service::Cluster(seeds) => write!(f, "{scheme}+cluster://{}", list(seeds))?,
        }
        match self.database {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RedisUrl, RedisUrlError> {
        text.parse()
    }

    #[test]
    fn an_address_shows_everything_but_its_credentials() {
        let cases = [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://h:1/3", "redis://h:1/3"),
            ("redis://u:p@h/0", "redis://h:6379"),
            ("rediss://:p@[::1]:7000/15", "rediss://[::1]:7000/15"),
            ("redis://[fe80::1]", "redis://[fe80::1]:6379"),
            (
                "redis+sentinel://u:p@a,b:1,[::2]/main?sentinel-password=x",
                "redis+sentinel://a:26379,b:1,[::2]:26379/main",
            ),
            (
                "rediss+sentinel://a/main/2",
                "rediss+sentinel://a:26379/main/2",
            ),
            (
                "redis+cluster://u:p@a:7000,b",
                "redis+cluster://a:7000,b:6379",
            ),
            (
                "rediss+cluster://a?ca=%2Fetc%2Fca.pem",
                "rediss+cluster://a:6379",
            ),
        ];
        for (text, shown) in cases {
            assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn users_and_passwords_are_percent_encoded() {
        let url = parse("redis://us%40er:p%3A%2F%25%C3%A9@h").unwrap();
        assert_eq!(url.credentials.user.as_deref(), Some("us@er"));
        assert_eq!(url.credentials.password.as_deref(), Some("p:/%é"));
        let url = parse("redis://:secret@h").unwrap();
        assert_eq!(url.credentials.user, None);
        assert_eq!(url.credentials.password.as_deref(), Some("secret"));
        let url = parse("redis+sentinel://h/m?sentinel-user=a%26b&sentinel-password=c").unwrap();
        let Service::Sentinel { credentials, .. } = url.service else {
            panic!("an address of Sentinels");
        };
        assert_eq!(credentials.user.as_deref(), Some("a&b"));
        assert_eq!(credentials.password.as_deref(), Some("c"));
    }

    #[test]
    fn an_error_says_what_is_wrong_and_shows_no_password() {
        let cases = [
            ("", RedisUrlError::Scheme),
            ("hunter2@h", RedisUrlError::Scheme),
            ("http://hunter2@h", RedisUrlError::Scheme),
            ("redis://", RedisUrlError::Hosts),
            ("redis://u:hunter2@", RedisUrlError::Hosts),
            ("redis://a,b", RedisUrlError::Hosts),
            ("redis://u:hunter2@h:x", RedisUrlError::Host { number: 1 }),
            ("redis://h:+1", RedisUrlError::Host { number: 1 }),
            ("redis://h:70000", RedisUrlError::Host { number: 1 }),
            ("redis+cluster://a,,b", RedisUrlError::Host { number: 2 }),
            ("redis://[::1", RedisUrlError::Host { number: 1 }),
            ("redis://:hunter2%zz@h", RedisUrlError::Credentials),
            ("redis://:hunter2%ff@h", RedisUrlError::Credentials),
            ("redis://:hun@ter2@h", RedisUrlError::Credentials),
            ("redis://:hun/ter2@h", RedisUrlError::Credentials),
            ("redis://h/x", RedisUrlError::Path),
            ("redis://h/65536", RedisUrlError::Path),
            ("redis+sentinel://h", RedisUrlError::Path),
            ("redis+sentinel://h/", RedisUrlError::Path),
            ("redis+sentinel://h/m/x", RedisUrlError::Path),
            ("redis+cluster://h/1", RedisUrlError::Path),
            ("redis://h?hunter2", RedisUrlError::Setting { number: 1 }),
            (
                "redis://h?ca=x&sentinel-user=hunter2",
                RedisUrlError::Setting { number: 2 },
            ),
            ("redis://h?ca=", RedisUrlError::Setting { number: 1 }),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error.clone()), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let url = parse("redis+sentinel://u:hunter2@h/m?sentinel-password=hunter2").unwrap();
        assert!(!format!("{url:?} {url}").contains("hunter2"));
    }
}
