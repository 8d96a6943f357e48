//! The place of a store: as an argument, or as in the configuration.

use std::path::PathBuf;

use clap::Args;
use nextrush_redis::{RedisOptions, RedisUrl};

use super::error::StoreError;
use crate::commands::configured::configured;
use crate::document::{ConfigError, Problem};

/// A directory with a store.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct StoreDirectory {
    /// The directory of the store; that of the configuration without it.
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A store or a Redis.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct StorePlace {
    /// The directory of the store; what the configuration names without it.
    #[arg(value_name = "DIR", conflicts_with = "redis")]
    pub directory: Option<PathBuf>,

    /// The address of a Redis in place of a store, as that of the server.
    #[arg(long, value_name = "URL")]
    pub redis: Option<RedisUrl>,

    /// The start of all keys in the Redis; that of the configuration without it.
    #[arg(long, value_name = "PREFIX")]
    pub redis_prefix: Option<String>,

    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A place that was found.
pub(super) enum Found {
    Directory(PathBuf),
    Redis(Box<RedisUrl>, RedisOptions),
}

impl StoreDirectory {
    pub(super) fn find(&self) -> Result<PathBuf, StoreError> {
        if let Some(directory) = &self.directory {
            return Ok(directory.clone());
        }
        let settings = configured(self.config.clone())?;
        match (settings.store, settings.redis) {
            (Some(directory), _) => Ok(directory),
            (None, Some(_)) => Err(StoreError::Redis("this")),
            (None, None) => Err(StoreError::Nowhere),
        }
    }
}

impl StorePlace {
    pub(super) fn find(&self) -> Result<Found, StoreError> {
        if let Some(directory) = &self.directory {
            return Ok(Found::Directory(directory.clone()));
        }
        let settings = configured(self.config.clone())?;
        let prefix = self.redis_prefix.as_ref().unwrap_or(&settings.redis_prefix);
        let options = || RedisOptions::default().prefix(prefix);
        if let Some(url) = &self.redis {
            return Ok(Found::Redis(Box::new(url.clone()), options()));
        }
        match (settings.store, settings.redis) {
            (Some(directory), _) => Ok(Found::Directory(directory)),
            (None, Some(address)) => match address.expose().trim().parse() {
                Ok(url) => Ok(Found::Redis(Box::new(url), options())),
                Err(error) => {
                    let error: nextrush_redis::RedisUrlError = error;
                    let problems = vec![Problem::missing(error.to_string())];
                    Err(ConfigError { problems }.into())
                }
            },
            (None, None) => Err(StoreError::Nowhere),
        }
    }
}
