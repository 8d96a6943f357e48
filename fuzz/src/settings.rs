use std::path::Path;

use nextrush_server::{Config, Place};

/// Any text as a configuration file.
///
/// Promises: what is wrong is told with a place that is in the file, each line and column once
/// for a message; a text is right or wrong by what it says, so that comments at its end
/// change nothing.
///
/// An input is the file's bytes.
pub fn settings(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let path = Path::new("nextrush.toml");
    let checked = Config::check_text(path, text);
    if let Err(error) = &checked {
        assert!(!error.problems.is_empty());
        let lines: Vec<&str> = text.split('\n').collect();
        for problem in &error.problems {
            let Some(Place::File { line, column, .. }) = &problem.place else {
                panic!("a fault of the file without its place: {problem}");
            };
            let found = lines.get(line - 1).expect("the line is in the file");
            assert!(
                *column >= 1 && *column <= found.chars().count() + 1,
                "{problem}"
            );
            assert!(!problem.message.is_empty());
        }
    }
    // Behind an open text the comment would be a part of it.
    if checked.is_ok() {
        let more = format!("{text}\n# a comment\n");
        assert_eq!(Config::check_text(path, &more), checked);
    }
}
