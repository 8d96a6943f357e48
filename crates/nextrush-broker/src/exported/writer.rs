//! Writing an export.

use std::io::{self, Write};

use super::line::{FORMAT, Line};
use super::{ExportCounts, Exported};

/// A writer of a store's contents as lines of JSON, which every store reads.
///
/// The first line names the format and the last one counts, so that an export that was cut off is
/// no export. Epochs, offsets, times, owners, versions and keys go with the publications: clients
/// of the old store recover from the new one.
///
/// ```
/// use nextrush_broker::{Epoch, ExportReader, ExportWriter, Exported};
///
/// let mut writer = ExportWriter::new(Vec::new())?;
/// let item = Exported::Unborn(Epoch::begin(1_700_000_000_000));
/// writer.write(&item)?;
/// let (lines, counts) = writer.finish()?;
/// assert_eq!(counts.topics, 0);
///
/// let read: Result<Vec<_>, _> = ExportReader::new(&*lines).collect();
/// assert_eq!(read?, [item]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportWriter<W> {
    output: W,
    counts: ExportCounts,
}

impl<W: Write> ExportWriter<W> {
    /// Begins an export. Each line is written by itself: give it a buffered output.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn new(output: W) -> io::Result<Self> {
        let mut writer = Self {
            output,
            counts: ExportCounts::default(),
        };
        writer.line(&Line::Export { format: FORMAT })?;
        Ok(writer)
    }

    /// Writes an item. A topic comes before the keys and versions of its publications.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn write(&mut self, item: &Exported) -> io::Result<()> {
        self.counts.add(item);
        match item {
            Exported::Unborn(epoch) => self.line(&Line::Unborn { epoch: *epoch }),
            Exported::Topic(topic) => {
                self.line(&Line::Topic(topic.into()))?;
                topic
                    .publications
                    .iter()
                    .try_for_each(|kept| self.line(&Line::Publication((&**kept).into())))
            }
            Exported::Once(once) => self.line(&Line::Once(once.into())),
            Exported::Version(version) => self.line(&Line::Version(version.into())),
            Exported::Command(command) => self.line(&Line::Command(command.into())),
        }
    }

    /// Ends the export. Returns the output and what is in it.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn finish(mut self) -> io::Result<(W, ExportCounts)> {
        let ExportCounts {
            topics,
            publications,
        } = self.counts;
        self.line(&Line::End {
            topics,
            publications,
        })?;
        self.output.flush()?;
        Ok((self.output, self.counts))
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.output.write_all(&text)
    }
}
