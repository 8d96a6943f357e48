//! Reading TOML with the place of everything in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Place, Problem};

/// A reader of a file that notes what is wrong, and where.
pub(crate) struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    /// True if the files that the text names are read as well.
    pub(crate) reads_files: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            path,
            text,
            problems,
            reads_files: true,
        }
    }

    /// The place of a part of the file.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place::File {
            path: PathBuf::from(self.path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// Notes a fault.
    pub(crate) fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        let place = self.place(span);
        self.problems.push(Problem::at(&place, message));
    }

    /// Notes a name that there is not, and the one that may be meant.
    pub(crate) fn unknown(
        &mut self,
        span: Range<usize>,
        what: &str,
        name: &str,
        meant: Option<&str>,
    ) {
        let message = match meant {
            Some(meant) => format!("there is no {what} {name:?}: did you mean {meant:?}?"),
            None => format!("there is no {what} {name:?}"),
        };
        self.wrong(span, message);
    }

    /// Notes a fault of what begins at a place.
    pub(crate) fn wrong_at(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem::at(place, message));
    }
}

/// The entries of a table as they stand in the file.
pub(crate) fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(
    &'t Spanned<toml::de::DeString<'i>>,
    &'t Spanned<DeValue<'i>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A kind of value, as people call it.
pub(crate) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
