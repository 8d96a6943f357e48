//! Route patterns: the guide's `/rooms/:roomId` as axum's `/rooms/{roomId}`.

use std::borrow::Cow;

/// Translates the segments that begin with `:` or `*`. Patterns in axum's own
/// syntax stay as they are.
pub(crate) fn to_axum(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains("/:") && !pattern.contains("/*") {
        return pattern.into();
    }
    let segments = pattern.split('/').map(|segment| {
        match (segment.strip_prefix(':'), segment.strip_prefix('*')) {
            (Some(name), _) => format!("{{{name}}}"),
            (_, Some(name)) => format!("{{*{name}}}"),
            (None, None) => segment.to_owned(),
        }
    });
    segments.collect::<Vec<_>>().join("/").into()
}

#[cfg(test)]
mod tests {
    use super::to_axum;

    #[test]
    fn the_guides_parameters_become_axums() {
        let cases = [
            ("/", "/"),
            ("/chat", "/chat"),
            ("/rooms/:roomId", "/rooms/{roomId}"),
            (
                "/games/:gameId/players/:playerId",
                "/games/{gameId}/players/{playerId}",
            ),
            ("/files/*path", "/files/{*path}"),
            ("/rooms/{roomId}", "/rooms/{roomId}"),
            ("/rooms/{roomId}/:tab", "/rooms/{roomId}/{tab}"),
            ("/a:b", "/a:b"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(to_axum(pattern), expected);
        }
    }
}
