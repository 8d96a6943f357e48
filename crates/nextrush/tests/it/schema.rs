//! The JSON Schema of the messages, in `docs/schema`. Every message that a test client
//! gets is checked against it; here are those that clients send.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use nextrush::ErrorCode;
use serde_json::{Value, json};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../docs/schema/messages.json")).unwrap()
});

/// The validators by direction and type, as `out/update`.
static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let names = SCHEMA["$defs"].as_object().unwrap().keys();
    let messages = names.filter(|name| name.contains('/'));
    let validator = |name: &String| {
        let mut schema = SCHEMA.clone();
        let pointer = format!("#/$defs/{}", name.replace('/', "~1"));
        schema["anyOf"] = json!([{ "$ref": pointer }]);
        (name.clone(), jsonschema::validator_for(&schema).unwrap())
    };
    messages.map(validator).collect()
});

/// Checks what the server has sent, if it is one of its own messages.
pub fn check_sent(message: &Value) {
    let Some(kind) = message["type"].as_str() else {
        return;
    };
    if let Some(validator) = VALIDATORS.get(&format!("out/{kind}")) {
        let errors: Vec<String> = validator
            .iter_errors(message)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{message}: {errors:?}");
    }
}

fn is_valid(name: &str, message: &Value) -> bool {
    VALIDATORS[name].is_valid(message)
}

#[test]
fn the_schema_is_one() {
    assert!(jsonschema::meta::is_valid(&SCHEMA));
    assert_eq!(VALIDATORS.len(), 44);
}

#[test]
fn what_clients_send_is_as_the_schema_says() {
    for (name, good, bad) in [
        (
            "in/auth",
            json!({ "type": "auth", "token": "a.b.c" }),
            json!({ "type": "auth" }),
        ),
        (
            "in/subscribe",
            json!({ "type": "subscribe", "channel": "a", "device": "tab", "since": { "epoch": "e", "offset": 1 } }),
            json!({ "type": "subscribe", "channel": "a", "since": { "epoch": "e", "offset": -1 } }),
        ),
        (
            "in/unsubscribe",
            json!({ "type": "unsubscribe", "channel": "a", "id": "1" }),
            json!({ "type": "unsubscribe", "channel": "a", "id": 1 }),
        ),
        (
            "in/publish",
            json!({ "type": "publish", "channel": "a", "data": null, "id": "1" }),
            json!({ "type": "publish", "channel": "a", "id": "1" }),
        ),
        (
            "in/presence",
            json!({ "type": "presence", "channel": "a", "after": 0 }),
            json!({ "type": "presence", "channel": "a", "after": "b" }),
        ),
        (
            "in/presence-update",
            json!({ "type": "presence-update", "channel": "a", "data": null }),
            json!({ "type": "presence-update", "channel": "a" }),
        ),
        (
            "in/refresh",
            json!({ "type": "refresh", "token": "a.b.c", "id": "r" }),
            json!({ "type": "refresh", "id": "r" }),
        ),
        (
            "in/hello",
            json!({ "type": "hello", "id": "h", "keepsUsers": true }),
            json!({ "type": "hello", "id": 7 }),
        ),
        (
            "in/ping",
            json!({ "type": "ping" }),
            json!({ "type": "ping", "id": "" }),
        ),
        (
            "in/response",
            json!({ "type": "response", "id": "1", "error": { "message": "No" } }),
            json!({ "type": "response", "id": "1", "error": { "code": "no" } }),
        ),
        (
            "in/chat",
            json!({ "type": "chat", "text": "", "id": "x" }),
            json!({ "type": "chat", "text": "", "id": "" }),
        ),
        (
            "in/typing",
            json!({ "type": "typing", "isTyping": true }),
            json!({ "type": "typing", "isTyping": 1 }),
        ),
        (
            "in/private",
            json!({ "type": "private", "targetUserId": 7, "text": "t" }),
            json!({ "type": "private", "targetUserId": {}, "text": "t" }),
        ),
        (
            "in/history",
            json!({ "type": "history", "before": 51 }),
            json!({ "type": "history", "before": 51, "limit": -1 }),
        ),
        (
            "in/members",
            json!({ "type": "members", "after": 7, "id": "m" }),
            json!({ "type": "members", "after": "7" }),
        ),
    ] {
        assert!(is_valid(name, &good), "{good}");
        assert!(!is_valid(name, &bad), "{bad}");
    }
}

#[test]
fn what_the_server_must_not_send_is_not_as_the_schema_says() {
    let epoch = "018bcfe5-6800-7abc-8def-0123456789ab";
    let subscribed = |more: Value| {
        let mut message =
            json!({ "type": "subscribed", "channel": "a", "epoch": epoch, "offset": 0 });
        let fields = message.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        message
    };
    for (good, more) in [
        (true, json!({})),
        (true, json!({ "recovered": true })),
        (true, json!({ "recovered": false, "reason": "ahead" })),
        (false, json!({ "recovered": false })),
        (false, json!({ "recovered": false, "reason": "mood" })),
        (false, json!({ "recovered": true, "reason": "epoch" })),
        (false, json!({ "offset": -1 })),
        (false, json!({ "channel": 7 })),
    ] {
        let message = subscribed(more);
        assert_eq!(is_valid("out/subscribed", &message), good, "{message}");
    }
    let update = json!({ "type": "update", "channel": "a", "data": 1, "offset": 1 });
    assert!(!is_valid("out/update", &update), "without a timestamp");
}

#[test]
fn the_guide_the_schema_and_the_framework_list_the_same_error_codes() {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let in_schema = SCHEMA["$defs"]["errorCode"]["enum"].as_array().unwrap();
    let in_schema: Vec<&str> = in_schema
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(in_schema, codes);

    let guide = include_str!("../../../../docs/guide/src/wire.md");
    let (_, errors) = guide.split_once("\n## Errors\n").unwrap();
    let (errors, _) = errors.split_once("\n## ").unwrap();
    let row = |line: &'static str| Some(line.strip_prefix("| `")?.split_once('`')?.0);
    let in_guide: Vec<&str> = errors.lines().filter_map(row).collect();
    assert_eq!(in_guide, codes);
}

#[test]
fn an_error_has_a_code_and_an_application_may_have_its_own() {
    for code in ["rate-limited", "PROTOCOL_ERROR", "board-full"] {
        let error = json!({ "type": "error", "message": "m", "code": code });
        assert!(is_valid("out/error", &error), "{code}");
    }
    for error in [
        json!({ "type": "error", "message": "m" }),
        json!({ "type": "error", "message": "m", "code": 7 }),
        json!({ "type": "error", "message": "m", "code": "" }),
    ] {
        assert!(!is_valid("out/error", &error), "{error}");
    }
}
