//! The form of the lines.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ExportedCommand, ExportedOnce, ExportedTopic, ExportedVersion};
use crate::answer::{CommandKey, Fingerprint};
use crate::clock::whole_ms;
use crate::owner::Owner;
use crate::position::{Epoch, Position};
use crate::publication::Publication;
use crate::retention::Retention;
use crate::topic_name::TopicName;

/// The version of the form.
pub(super) const FORMAT: u32 = 1;

/// A line of an export.
#[derive(Debug, Deserialize, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Line {
    Export { format: u32 },
    Unborn { epoch: Epoch },
    Topic(TopicLine),
    Publication(PublicationLine),
    Once(OnceLine),
    Version(VersionLine),
    Command(CommandLine),
    End { topics: u64, publications: u64 },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TopicLine {
    topic: String,
    position: Position,
    published_ms: u64,
    /// `None` for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Numbered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier: Option<Position>,
    /// The number of the lines of publications that follow.
    pub(super) publications: u64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    number: u64,
    offset: u64,
}

impl From<&ExportedTopic> for TopicLine {
    fn from(topic: &ExportedTopic) -> Self {
        let Retention { count, age, bytes } = topic.retention;
        let count = (count != usize::MAX).then_some(count as u64);
        Self {
            topic: topic.topic.as_str().to_owned(),
            position: topic.position,
            published_ms: topic.published_ms,
            count,
            age_ms: age.map(whole_ms),
            bytes: bytes.map(|bytes| bytes as u64),
            version: topic
                .version
                .map(|(number, offset)| Numbered { number, offset }),
            earlier: topic.earlier,
            publications: topic.publications.len() as u64,
        }
    }
}

impl TopicLine {
    /// The topic without its publications.
    pub(super) fn into_topic(self) -> Result<ExportedTopic, String> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let retention = Retention {
            count: self.count.map_or(usize::MAX, size),
            age: self.age_ms.map(Duration::from_millis),
            bytes: self.bytes.map(size),
        };
        let topic = topic(&self.topic)?;
        let mut read = ExportedTopic::new(topic, self.position, self.published_ms, retention);
        read.version = self.version.map(|version| (version.number, version.offset));
        read.earlier = self.earlier;
        Ok(read)
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PublicationLine {
    pub(super) offset: u64,
    time_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl From<&Publication> for PublicationLine {
    fn from(publication: &Publication) -> Self {
        let owner = publication.owner.as_ref();
        let (text, base64) = match publication.is_deleted {
            true => (None, None),
            false => shown(&publication.data),
        };
        Self {
            offset: publication.offset,
            time_ms: publication.time_ms,
            owner: owner.map(|owner| owner.as_str().to_owned()),
            deleted: publication.is_deleted,
            text,
            base64,
        }
    }
}

impl PublicationLine {
    pub(super) fn into_publication(self) -> Result<Arc<Publication>, String> {
        let data = data(self.text, self.base64)?;
        let new = |data: Bytes| Publication::new(self.offset, self.time_ms, data);
        Ok(Arc::new(match (data, self.deleted) {
            (Some(data), false) => new(data).by(self.owner.as_deref().map(Owner::new)),
            (None, true) => new(Bytes::new()).deleted(),
            _ => return Err("a publication has data, or it is deleted".to_owned()),
        }))
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OnceLine {
    topic: String,
    key: String,
    position: Position,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    ends_ms: u64,
}

impl From<&ExportedOnce> for OnceLine {
    fn from(once: &ExportedOnce) -> Self {
        Self {
            topic: once.topic.as_str().to_owned(),
            key: once.key.as_str().to_owned(),
            position: once.position,
            fingerprint: once.fingerprint.map(hexadecimal),
            ends_ms: once.ends_ms,
        }
    }
}

impl OnceLine {
    pub(super) fn into_once(self) -> Result<ExportedOnce, String> {
        let topic = topic(&self.topic)?;
        let mut once = ExportedOnce::new(topic, key(&self.key)?, self.position, self.ends_ms);
        once.fingerprint = self.fingerprint.map(fingerprint).transpose()?;
        Ok(once)
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VersionLine {
    topic: String,
    key: String,
    number: u64,
    position: Position,
    ends_ms: u64,
}

impl From<&ExportedVersion> for VersionLine {
    fn from(version: &ExportedVersion) -> Self {
        Self {
            topic: version.topic.as_str().to_owned(),
            key: version.key.as_str().to_owned(),
            number: version.number,
            position: version.position,
            ends_ms: version.ends_ms,
        }
    }
}

impl VersionLine {
    pub(super) fn into_version(self) -> Result<ExportedVersion, String> {
        let (topic, key) = (topic(&self.topic)?, key(&self.key)?);
        let Self {
            number,
            position,
            ends_ms,
            ..
        } = self;
        Ok(ExportedVersion::new(topic, key, number, position, ends_ms))
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CommandLine {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    ends_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl From<&ExportedCommand> for CommandLine {
    fn from(command: &ExportedCommand) -> Self {
        let (text, base64) = command.answer.as_deref().map_or((None, None), shown);
        Self {
            key: command.key.as_str().to_owned(),
            fingerprint: command.fingerprint.map(hexadecimal),
            ends_ms: command.ends_ms,
            text,
            base64,
        }
    }
}

impl CommandLine {
    pub(super) fn into_command(self) -> Result<ExportedCommand, String> {
        let answer = data(self.text, self.base64)?;
        let mut command = ExportedCommand::new(key(&self.key)?, answer, self.ends_ms);
        command.fingerprint = self.fingerprint.map(fingerprint).transpose()?;
        Ok(command)
    }
}

/// The data as a text, or encoded where it is none.
fn shown(data: &[u8]) -> (Option<String>, Option<String>) {
    match str::from_utf8(data) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(data))),
    }
}

fn data(text: Option<String>, base64: Option<String>) -> Result<Option<Bytes>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err("data is text or base64, and not both".to_owned()),
        (Some(text), None) => Ok(Some(text.into())),
        (None, Some(encoded)) => match STANDARD.decode(encoded) {
            Ok(data) => Ok(Some(data.into())),
            Err(error) => Err(format!("data is no base64: {error}")),
        },
        (None, None) => Ok(None),
    }
}

fn topic(name: &str) -> Result<TopicName, String> {
    TopicName::try_from(name).map_err(|error| error.to_string())
}

fn key(text: &str) -> Result<CommandKey, String> {
    CommandKey::try_from(text).map_err(|error| error.to_string())
}

fn hexadecimal(fingerprint: Fingerprint) -> String {
    format!("{:016x}", u64::from_be_bytes(fingerprint.to_bytes()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over an option")]
fn fingerprint(text: String) -> Result<Fingerprint, String> {
    let number = u64::from_str_radix(&text, 16).ok();
    let number = number.filter(|_| text.len() == 16);
    let number = number.ok_or("a fingerprint has 16 hexadecimal digits")?;
    Ok(Fingerprint::from_bytes(number.to_be_bytes()))
}
