//! The settings of a server, for commands that are about it.

use std::path::PathBuf;

use crate::document::ConfigError;
use crate::settings::{Environment, Flags, Layers, Settings};

/// The settings of the environment and the configuration file. What a server needs beside is not
/// asked for.
pub(super) fn configured(config: Option<PathBuf>) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let environment = Environment::of_process();
    let layers = Layers::gather(&Flags::of_file(config), &environment, &mut problems);
    Settings::read(&layers, &mut problems)
        .filter(|_| problems.is_empty())
        .ok_or(ConfigError { problems })
}
