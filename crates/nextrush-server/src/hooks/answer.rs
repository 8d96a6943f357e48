//! The answers of a backend: `{"result":…}` or `{"error":{"code","message"}}`.

use nextrush::ErrorMessage;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest code of a refusal in bytes.
const CODE_BYTES: usize = 64;

/// An answer of a backend. A field that is none is a fault: a misspelt one must not let anybody
/// in, nor anything through.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer<T> {
    Result(T),
    Error(Refused),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Refused {
    code: String,
    message: String,
    details: Option<String>,
    retry_after_ms: Option<u64>,
}

/// Reads an answer: the result, or the refusal as the client is told it.
///
/// # Errors
///
/// Says what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<Result<T, ErrorMessage>, String> {
    let answer = serde_json::from_slice(body);
    let refused = match answer.map_err(|error| format!("the answer cannot be read: {error}"))? {
        Answer::Result(result) => return Ok(Ok(result)),
        Answer::Error(refused) => refused,
    };
    let Refused {
        code,
        message,
        details,
        retry_after_ms,
    } = refused;
    let is_code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if code.is_empty() || code.len() > CODE_BYTES || !code.bytes().all(is_code) {
        return Err(format!(
            "the code of a refusal has 1 to {CODE_BYTES} letters, digits, hyphens, underscores and \
             full stops"
        ));
    }
    let mut told = ErrorMessage::new(code, message);
    if let Some(details) = details {
        told = told.details(details);
    }
    if let Some(ms) = retry_after_ms {
        told = told.retry_after_ms(ms);
    }
    Ok(Err(told))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    fn reading(body: &Value) -> Result<Result<Nothing, ErrorMessage>, String> {
        read(body.to_string().as_bytes())
    }

    #[test]
    fn only_a_result_lets_a_client_in() {
        assert_eq!(reading(&json!({ "result": {} })), Ok(Ok(Nothing {})));
        for body in [
            json!({}),
            json!(null),
            json!(true),
            json!([]),
            json!("result"),
            json!({ "ok": true }),
            json!({ "Result": {} }),
            json!({ "result": null }),
            json!({ "result": { "dta": 1 } }),
            json!({ "result": {}, "error": { "code": "no", "message": "No" } }),
            json!({ "error": null }),
            json!({ "error": {} }),
            json!({ "error": { "code": "", "message": "No" } }),
            json!({ "error": { "code": "a b", "message": "No" } }),
            json!({ "error": { "code": "a".repeat(65), "message": "No" } }),
        ] {
            assert!(reading(&body).is_err(), "{body}");
        }
        assert!(read::<Nothing>(b"<html>").is_err());
        assert!(read::<Nothing>(br#"{"result":{},"result":{}}"#).is_err());
    }

    #[test]
    fn a_refusal_is_told_as_the_backend_says_it() {
        let body = json!({ "error": {
            "code": "board-full", "message": "Full", "details": "12 of 12", "retryAfterMs": 500,
        } });
        let refused = reading(&body).unwrap().unwrap_err();
        let expected = json!({
            "type": "error", "code": "board-full", "message": "Full", "details": "12 of 12",
            "retryAfterMs": 500,
        });
        assert_eq!(serde_json::to_value(refused).unwrap(), expected);
    }

    #[test]
    fn a_request_may_have_the_result_null() {
        let result: Box<RawValue> = read(br#"{"result":null}"#).unwrap().unwrap();
        assert_eq!(result.get(), "null");
    }
}
