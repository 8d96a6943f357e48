//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1), read in one pass over the bytes.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::list;

/// The most offers that are read.
const MAX_EXTENSIONS: usize = 64;
/// The most parameters of an extension; permessage-deflate has four.
const MAX_PARAMETERS: usize = 16;

/// An extension that is offered or chosen.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Extension<'h> {
    pub(super) name: &'h str,
    pub(super) parameters: Vec<Parameter<'h>>,
}

/// The name of a parameter and its value, if it has one, without quotes.
pub(super) type Parameter<'h> = (&'h str, Option<Cow<'h, str>>);

/// The error of an element that does not fit the grammar.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// The extensions in order, each valid or malformed by itself.
pub(super) fn extensions(
    headers: &HeaderMap,
) -> impl Iterator<Item = Result<Extension<'_>, Malformed>> {
    headers
        .get_all(SEC_WEBSOCKET_EXTENSIONS)
        .into_iter()
        .flat_map(|value| Elements(value.as_bytes()))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .take(MAX_EXTENSIONS)
        .map(|element| Cursor(element).extension().ok_or(Malformed))
}

/// The parts between the commas outside of quotes.
struct Elements<'h>(&'h [u8]);

impl<'h> Iterator for Elements<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let comma = self.0.iter().position(|byte| {
            let is_literal = std::mem::take(&mut escaped);
            match byte {
                b'\\' if quoted => escaped = !is_literal,
                b'"' if !is_literal => quoted = !quoted,
                _ => {}
            }
            *byte == b',' && !quoted
        });
        let (element, rest) = match comma {
            Some(comma) => (&self.0[..comma], &self.0[comma + 1..]),
            None => (self.0, &[][..]),
        };
        self.0 = rest;
        Some(element)
    }
}

/// The rest of an element.
struct Cursor<'h>(&'h [u8]);

impl<'h> Cursor<'h> {
    fn extension(mut self) -> Option<Extension<'h>> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        loop {
            self.skip_blanks();
            if self.0.is_empty() {
                return Some(Extension { name, parameters });
            }
            if !self.eat(b';') || parameters.len() == MAX_PARAMETERS {
                return None;
            }
            self.skip_blanks();
            parameters.push(self.parameter()?);
        }
    }

    fn parameter(&mut self) -> Option<Parameter<'h>> {
        let name = self.token()?;
        if !self.eat(b'=') {
            return Some((name, None));
        }
        let value = if self.eat(b'"') {
            self.quoted()?.into()
        } else {
            self.token()?.into()
        };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'h str> {
        let is_end = |byte: &u8| matches!(byte, b' ' | b'\t' | b';' | b'=');
        let end = self.0.iter().position(is_end).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        list::token(token)
    }

    /// The text up to the closing quote, without backslashes; it must be a token too.
    fn quoted(&mut self) -> Option<String> {
        let mut value = Vec::new();
        loop {
            match *self.0 {
                [b'"', ref rest @ ..] => {
                    self.0 = rest;
                    return list::token(&value).map(str::to_owned);
                }
                [b'\\', byte, ref rest @ ..] | [byte, ref rest @ ..] => {
                    value.push(byte);
                    self.0 = rest;
                }
                [] => return None,
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use http::header::SEC_WEBSOCKET_EXTENSIONS;
    use http::{HeaderMap, HeaderValue};

    use super::{Extension, Malformed, extensions};

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value);
        }
        headers
    }

    fn extension<'h>(name: &'h str, parameters: &[(&'h str, Option<&'h str>)]) -> Extension<'h> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| (*name, value.map(Into::into)))
            .collect();
        Extension { name, parameters }
    }

    #[test]
    fn extensions_are_read_from_all_headers_in_order() {
        let headers = headers(&["a; b;c=1 ,, d ; e=\"x\"", "f", ""]);
        let found: Vec<_> = extensions(&headers).collect();
        let expected = [
            extension("a", &[("b", None), ("c", Some("1"))]),
            extension("d", &[("e", Some("x"))]),
            extension("f", &[]),
        ];
        assert_eq!(found, expected.map(Ok));
    }

    #[test]
    fn a_comma_or_a_quote_within_quotes_ends_nothing() {
        let headers = headers(&[r#"a; b="x,y", c; d="\"", e; f="1\5""#]);
        let found: Vec<_> = extensions(&headers).collect();
        let last = extension("e", &[("f", Some("15"))]);
        assert_eq!(found, [Err(Malformed), Err(Malformed), Ok(last)]);
    }

    #[test]
    fn what_is_no_extension_is_malformed_and_the_next_one_is_found() {
        for bad in [
            ";",
            "a;",
            "a b",
            "a; b c",
            "a;;b",
            "a; =1",
            "a; b=",
            "a; b =1",
            "a; b= 1",
            "a; b=\"",
            "a; b=\"\"",
            "a; b=\"1\"2",
            "a; b=\"1\\",
            "a(b)",
            "é",
            "a; b=é",
        ] {
            let good = "good";
            let headers = headers(&[bad, good]);
            let found: Vec<_> = extensions(&headers).collect();
            assert_eq!(found, [Err(Malformed), Ok(extension(good, &[]))], "{bad}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let many = vec!["a"; 1000].join(",");
        assert_eq!(extensions(&headers(&[&many])).count(), 64);
        let many = format!("a{}", ";b".repeat(1000));
        assert_eq!(extensions(&headers(&[&many])).next(), Some(Err(Malformed)));
    }
}
