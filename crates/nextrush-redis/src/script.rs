//! The scripts, which the server knows by their hashes.

use std::sync::LazyLock;

use redis::{Cmd, ToRedisArgs, cmd};
use sha1::{Digest as _, Sha1};

/// A script in Lua.
pub(crate) struct Script {
    text: String,
    hash: String,
}

/// The scripts that this program runs.
pub(crate) struct Scripts {
    pub(crate) publish: Script,
    pub(crate) history: Script,
    pub(crate) tops: Script,
    pub(crate) purge: Script,
    pub(crate) restore: Script,
    pub(crate) claim: Script,
    pub(crate) answer: Script,
    pub(crate) nodes: Script,
    pub(crate) commit: Script,
    pub(crate) members: Script,
    pub(crate) revisions: Script,
}

/// The scripts, once for the process: texts and hashes never change.
pub(crate) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    publish: Script::writing(&[TOPIC, include_str!("scripts/publish.lua")]),
    // These read even when the server takes no writes, as long as nothing has to be written.
    history: Script::new(&[TOPIC, include_str!("scripts/history.lua")]),
    tops: Script::new(&[TOPIC, include_str!("scripts/tops.lua")]),
    purge: Script::writing(&[TOPIC, include_str!("scripts/purge.lua")]),
    restore: Script::writing(&[TOPIC, include_str!("scripts/restore.lua")]),
    claim: Script::writing(&[include_str!("scripts/claim.lua")]),
    answer: Script::writing(&[include_str!("scripts/answer.lua")]),
    nodes: Script::new(&[include_str!("scripts/nodes.lua")]),
    commit: Script::writing(&[ROSTER, include_str!("scripts/commit.lua")]),
    members: Script::new(&[ROSTER, include_str!("scripts/members.lua")]),
    revisions: Script::new(&[ROSTER, include_str!("scripts/revisions.lua")]),
});

const TOPIC: &str = include_str!("scripts/topic.lua");
const ROSTER: &str = include_str!("scripts/roster.lua");

impl Script {
    fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let hash = Sha1::digest(text.as_bytes());
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, hash }
    }

    /// A script that the server refuses as a whole when it takes no writes: it is asked for room,
    /// replicas and its role before the first line, not in the midst.
    fn writing(parts: &[&str]) -> Self {
        Self::new(&[&["#!lua\n"], parts].concat())
    }

    /// The call of the script by its text or by its hash.
    pub(crate) fn call_either(&self, keys: &[impl ToRedisArgs], in_full: bool) -> Cmd {
        if in_full {
            self.call_in_full(keys)
        } else {
            self.call(keys)
        }
    }

    /// The call of the script by its hash.
    pub(crate) fn call(&self, keys: &[impl ToRedisArgs]) -> Cmd {
        call("EVALSHA", &self.hash, keys)
    }

    /// The call of the script by its text, after which the server knows it by its hash.
    pub(crate) fn call_in_full(&self, keys: &[impl ToRedisArgs]) -> Cmd {
        call("EVAL", &self.text, keys)
    }
}

fn call(command: &str, script: &str, keys: &[impl ToRedisArgs]) -> Cmd {
    let mut call = cmd(command);
    call.arg(script).arg(keys.len()).arg(keys);
    call
}
