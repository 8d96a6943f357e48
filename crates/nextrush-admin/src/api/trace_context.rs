//! The trace that a request belongs to.

use axum::http::HeaderMap;
#[cfg(feature = "otlp")]
use opentelemetry::Context;
#[cfg(feature = "otlp")]
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
#[cfg(feature = "otlp")]
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header (W3C Trace Context §3.2).
const TRACEPARENT: &str = "traceparent";

/// The trace of a request, and the place in it that the request was made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TraceContext<'a> {
    trace_id: &'a str,
    parent_id: &'a str,
    is_sampled: bool,
}

impl<'a> TraceContext<'a> {
    /// The trace that the headers name; `None` without one, and if it is not well-formed, as the
    /// standard has it.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?.to_str().ok()?;
        match values.next() {
            None => Self::read(value),
            Some(_) => None,
        }
    }

    fn read(value: &'a str) -> Option<Self> {
        let mut fields = value.split('-');
        let version = hex(fields.next()?, 2).filter(|version| *version != "ff")?;
        let trace_id = hex(fields.next()?, 32).filter(|id| !is_zero(id))?;
        let parent_id = hex(fields.next()?, 16).filter(|id| !is_zero(id))?;
        let flags = u8::from_str_radix(hex(fields.next()?, 2)?, 16).ok()?;
        // Later versions may have more.
        if version == "00" && fields.next().is_some() {
            return None;
        }
        Some(Self {
            trace_id,
            parent_id,
            is_sampled: flags & 1 == 1,
        })
    }

    /// A span of this trace: whatever is logged in it has the ids.
    pub(super) fn span(&self) -> Span {
        let Self {
            trace_id,
            parent_id,
            is_sampled,
        } = self;
        #[cfg(feature = "otlp")]
        {
            let span = tracing::info_span!(
                "publish",
                trace_id,
                parent_id,
                sampled = is_sampled,
                otel.kind = "server"
            );
            // It fails where nobody collects spans.
            let _ = span.set_parent(self.to_otel());
            span
        }
        #[cfg(not(feature = "otlp"))]
        tracing::info_span!("publish", trace_id, parent_id, sampled = is_sampled)
    }

    /// The context of a span whose parent is in another process. Whether the trace is sampled was
    /// decided there.
    #[cfg(feature = "otlp")]
    fn to_otel(self) -> Context {
        let id = "the digits were checked";
        let flags = match self.is_sampled {
            true => TraceFlags::SAMPLED,
            false => TraceFlags::NOT_SAMPLED,
        };
        let parent = SpanContext::new(
            TraceId::from_hex(self.trace_id).expect(id),
            SpanId::from_hex(self.parent_id).expect(id),
            flags,
            true,
            TraceState::NONE,
        );
        Context::new().with_remote_span_context(parent)
    }
}

/// The text, if it is hexadecimal digits of this number, without capitals.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_digit)).then_some(text)
}

fn is_zero(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn a_trace_is_read_as_the_standard_has_it() {
        for (value, is_sampled) in [
            (format!("00-{TRACE}-{PARENT}-01"), true),
            (format!("00-{TRACE}-{PARENT}-00"), false),
            // Of a later version, with another flag and a further field.
            (format!("cc-{TRACE}-{PARENT}-03-what"), true),
        ] {
            let expected = TraceContext {
                trace_id: TRACE,
                parent_id: PARENT,
                is_sampled,
            };
            assert_eq!(TraceContext::read(&value), Some(expected), "{value}");
        }
        let upper = TRACE.to_ascii_uppercase();
        for wrong in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{upper}-{PARENT}-01"),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{PARENT}-01", &TRACE[1..]),
            format!("00-{TRACE}g-{PARENT}-01"),
        ] {
            assert_eq!(TraceContext::read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_with_two_traces_has_none() {
        let mut headers = HeaderMap::new();
        let value: axum::http::HeaderValue = format!("00-{TRACE}-{PARENT}-01").parse().unwrap();
        headers.append(TRACEPARENT, value.clone());
        assert!(TraceContext::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert_eq!(TraceContext::of(&headers), None);
    }
}
