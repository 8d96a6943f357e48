//! Reading an export.

use std::collections::HashSet;
use std::io::{BufRead, Read as _};

use super::error::ExportError;
use super::line::{FORMAT, Line, TopicLine};
use super::{ExportCounts, Exported, ExportedTopic};
use crate::topic_name::TopicName;

/// The longest line in bytes: far above the largest publication, with its bytes as base64.
const LINE_BYTES: u64 = 1 << 30;

/// A reader of the lines of an [`ExportWriter`](super::ExportWriter): an iterator over what they
/// hold, which ends with an error unless the export is whole.
///
/// It checks that each topic is there once, that its publications are an unbroken run up to its
/// position, and that keys and versions belong to topics before them.
#[derive(Debug)]
pub struct ExportReader<R> {
    input: R,
    /// The number of the last line that was read.
    line: u64,
    counts: ExportCounts,
    topics: HashSet<TopicName>,
    has_ended: bool,
}

impl<R: BufRead> ExportReader<R> {
    /// A reader of these lines.
    #[must_use]
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            counts: ExportCounts::default(),
            topics: HashSet::new(),
            has_ended: false,
        }
    }

    /// The items that were read so far.
    #[must_use]
    pub fn counts(&self) -> ExportCounts {
        self.counts
    }

    fn wrong(&self, what: impl Into<String>) -> ExportError {
        ExportError::Line {
            line: self.line,
            what: what.into(),
        }
    }

    fn read_line(&mut self) -> Result<Option<Line>, ExportError> {
        let mut text = Vec::new();
        self.line += 1;
        (&mut self.input)
            .take(LINE_BYTES)
            .read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        match serde_json::from_slice(&text) {
            Ok(line) => Ok(Some(line)),
            Err(_) if self.line == 1 => Err(self.wrong("this is no export of a store")),
            Err(error) => Err(self.wrong(error.to_string())),
        }
    }

    fn read(&mut self) -> Result<Option<Exported>, ExportError> {
        if self.line == 0 {
            match self.read_line()? {
                Some(Line::Export { format: FORMAT }) => {}
                Some(Line::Export { format }) => {
                    let what =
                        format!("the export has format {format}, this program reads {FORMAT}");
                    return Err(self.wrong(what));
                }
                _ => return Err(self.wrong("this is no export of a store")),
            }
        }
        let cut = "the export was cut off: its last line is missing";
        let line = self.read_line()?.ok_or_else(|| self.wrong(cut))?;
        let item = match line {
            Line::Unborn { epoch } => Exported::Unborn(epoch),
            Line::Topic(line) => Exported::Topic(self.topic(line)?),
            Line::Once(line) => {
                let once = line.into_once().map_err(|what| self.wrong(what))?;
                self.check_known(&once.topic)?;
                Exported::Once(once)
            }
            Line::Version(line) => {
                let version = line.into_version().map_err(|what| self.wrong(what))?;
                self.check_known(&version.topic)?;
                Exported::Version(version)
            }
            Line::Command(line) => {
                Exported::Command(line.into_command().map_err(|what| self.wrong(what))?)
            }
            Line::End {
                topics,
                publications,
            } => {
                let told = ExportCounts {
                    topics,
                    publications,
                };
                if told != self.counts {
                    return Err(self.wrong("lines are missing, or there are too many"));
                }
                return match self.read_line()? {
                    None => Ok(None),
                    Some(_) => Err(self.wrong("nothing may follow the end")),
                };
            }
            Line::Publication(_) => {
                return Err(self.wrong("a publication follows its topic, which counts them"));
            }
            Line::Export { .. } => return Err(self.wrong("an export begins once")),
        };
        self.counts.add(&item);
        Ok(Some(item))
    }

    fn topic(&mut self, line: TopicLine) -> Result<ExportedTopic, ExportError> {
        let count = line.publications;
        let mut topic = line.into_topic().map_err(|what| self.wrong(what))?;
        if !self.topics.insert(topic.topic.clone()) {
            return Err(self.wrong(format!("the topic {} is there twice", topic.topic)));
        }
        let top = topic.position.offset;
        let before = top.checked_sub(count);
        let before =
            before.ok_or_else(|| self.wrong("there are more publications than offsets"))?;
        for offset in before + 1..=top {
            let publication = match self.read_line()? {
                Some(Line::Publication(line)) if line.offset == offset => line.into_publication(),
                _ => Err(format!(
                    "publication {offset} of {} is missing",
                    topic.topic
                )),
            };
            let publication = publication.map_err(|what| self.wrong(what))?;
            topic.publications.push(publication);
        }
        Ok(topic)
    }

    fn check_known(&self, topic: &TopicName) -> Result<(), ExportError> {
        match self.topics.contains(topic) {
            true => Ok(()),
            false => Err(self.wrong(format!("the topic {topic} is not there before"))),
        }
    }
}

impl<R: BufRead> Iterator for ExportReader<R> {
    type Item = Result<Exported, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let read = self.read().transpose();
        self.has_ended = !matches!(read, Some(Ok(_)));
        read
    }
}
