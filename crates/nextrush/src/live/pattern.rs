//! Patterns of channel names.

use std::fmt;

/// A text that is no pattern of channels.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {problem}")]
pub struct InvalidPattern {
    pattern: String,
    problem: &'static str,
}

/// A pattern of channel names, as [`ChannelPolicies::policy`](super::ChannelPolicies::policy) takes
/// it: `posts`, `post-:id` or `user:{id}`.
#[derive(Clone, Debug)]
pub struct ChannelPattern(Pattern);

impl ChannelPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Fails on an empty text, and on parameters without a name, of one name, or side by side.
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        Pattern::new(pattern).map(Self)
    }

    /// Tells whether it fits the whole name of a channel.
    #[must_use]
    pub fn fits(&self, channel: &str) -> bool {
        self.0.matches(channel).is_some()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Parameter(String),
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Parameter(name) => write!(f, ":{name}"),
        })
    }
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let wrong = |problem| InvalidPattern {
            pattern: pattern.to_owned(),
            problem,
        };
        if pattern.is_empty() {
            return Err(wrong("it is empty"));
        }
        if pattern.contains(['{', '}']) {
            return Self::with_braces(pattern).map_err(wrong);
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut pieces = pattern.split(':');
        let first = pieces.next().unwrap_or_default();
        if !first.is_empty() {
            parts.push(Part::Text(first.to_owned()));
        }
        for piece in pieces {
            let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
            let end = piece.find(|char| !is_name(char)).unwrap_or(piece.len());
            let (name, text) = piece.split_at(end);
            if !name.starts_with(|char: char| char.is_ascii_alphabetic()) {
                return Err(wrong("a colon is followed by a parameter's name"));
            }
            if matches!(parts.last(), Some(Part::Parameter(_))) {
                return Err(wrong("a parameter is followed by a text"));
            }
            let has_name = |part: &Part| matches!(part, Part::Parameter(other) if other == name);
            if parts.iter().any(has_name) {
                return Err(wrong("a parameter is there twice"));
            }
            parts.push(Part::Parameter(name.to_owned()));
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
        }
        Ok(Self(parts))
    }

    /// A pattern whose parameters stand in braces, as in `user:{id}`.
    fn with_braces(pattern: &str) -> Result<Self, &'static str> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = pattern;
        while !rest.is_empty() {
            let (text, after) = rest.split_once('{').unwrap_or((rest, ""));
            if text.contains('}') {
                return Err("a brace is closed that was not opened");
            }
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            if text.len() == rest.len() {
                break;
            }
            let (name, after) = after.split_once('}').ok_or("a brace is not closed")?;
            let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
            if !name.starts_with(|char: char| char.is_ascii_alphabetic())
                || !name.chars().all(is_name)
            {
                return Err("braces hold a parameter's name");
            }
            if matches!(parts.last(), Some(Part::Parameter(_))) {
                return Err("a parameter is followed by a text");
            }
            let has_name = |part: &Part| matches!(part, Part::Parameter(other) if other == name);
            if parts.iter().any(has_name) {
                return Err("a parameter is there twice");
            }
            parts.push(Part::Parameter(name.to_owned()));
            rest = after;
        }
        Ok(Self(parts))
    }

    /// The number of parameters.
    pub(super) fn parameters(&self) -> usize {
        let is_parameter = |part: &&Part| matches!(part, Part::Parameter(_));
        self.0.iter().filter(is_parameter).count()
    }

    /// The name in which this value is that of each parameter.
    pub(super) fn with(&self, value: &str) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Parameter(_) => value,
        });
        parts.collect()
    }

    /// The values of the parameters, if the pattern fits.
    pub(super) fn matches<'a>(&'a self, name: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut rest = name;
        let mut found = Vec::new();
        let mut parts = self.0.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Parameter(parameter) => {
                    // One character at least.
                    let first = rest.chars().next()?.len_utf8();
                    let is_last = parts.len() == 1;
                    let end = match parts.peek() {
                        // The name ends with it, whatever stands before.
                        Some(Part::Text(text)) if is_last => {
                            first + rest[first..].strip_suffix(text.as_str())?.len()
                        }
                        Some(Part::Text(text)) => first + rest[first..].find(text.as_str())?,
                        _ => rest.len(),
                    };
                    found.push((parameter.as_str(), &rest[..end]));
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found<'a> = Option<&'a [(&'a str, &'a str)]>;

    #[test]
    fn a_pattern_fits_names_and_says_what_stands_for_its_parameters() {
        let cases: [(&str, &str, Found<'_>); 19] = [
            ("posts", "posts", Some(&[])),
            ("posts", "post", None),
            ("posts", "posts2", None),
            ("post-:id", "post-7", Some(&[("id", "7")])),
            ("post-:id", "post-", None),
            ("post-:id", "post-7/b é", Some(&[("id", "7/b é")])),
            (":a-:b", "x-y-z", Some(&[("a", "x"), ("b", "y-z")])),
            (":a-:b", "--z", Some(&[("a", "-"), ("b", "z")])),
            (":a-:b", "é-z", Some(&[("a", "é"), ("b", "z")])),
            (":a-:b", "x-", None),
            ("room/:id/news", "room/1/news", Some(&[("id", "1")])),
            ("room/:id/news", "room/1/newsroom", None),
            ("room/:id/news", "room/news", None),
            (
                "room/:id/news",
                "room/1/news/news",
                Some(&[("id", "1/news")]),
            ),
            (":a-:b-x", "1-x-x", Some(&[("a", "1"), ("b", "x")])),
            (":a-:b-x", "1-x", None),
            ("user:{id}", "user:7", Some(&[("id", "7")])),
            ("user:{id}", "user:", None),
            ("{a}-{b}:c", "x-y:c", Some(&[("a", "x"), ("b", "y")])),
        ];
        for (pattern, name, expected) in cases {
            let parsed = Pattern::new(pattern).unwrap();
            let found = parsed.matches(name);
            assert_eq!(found.as_deref(), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in [
            "", ":", "a-:", "a-:1", ":a:b", "a::b", ":a-:a", "a: b", "{", "a{", "a}", "{}", "{1}",
            "{a}{b}", "{a}-{a}", "{a", "x}{a}",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
