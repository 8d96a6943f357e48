//! The page of the guide about settings, written from the table.

#![cfg(test)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{Default, Kind, Reload, SETTINGS, Setting};

/// The page, from the root of the project.
const PAGE: &str = "docs/guide/src/settings.md";
/// The marks around what is written here.
const MARKS: [&str; 2] = [
    "<!-- begin: settings, written by tools/settings -->\n",
    "<!-- end: settings -->\n",
];
/// The variable with which the page is written and not compared.
const WRITE: &str = "NEXTRUSH_WRITE_SETTINGS";

fn table() -> String {
    let mut text = String::from(
        "| in the file | flag | variable | default | with SIGHUP |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let name = setting.name();
        let default = match setting.default {
            Default::Value(word) => format!("`{word}`"),
            Default::Absent(absent) => absent.to_owned(),
        };
        let reload = match setting.reload {
            Reload::Start => "",
            Reload::Hangup => "yes",
        };
        let variables: Vec<_> = setting
            .variables()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let _ = writeln!(
            text,
            "| [`{name}`](#{name}) | `--{name}` | {} | {default} | {reload} |",
            variables.join(", ")
        );
    }
    text.push('\n');
    for setting in SETTINGS {
        section(&mut text, setting);
    }
    text
}

fn section(text: &mut String, setting: &Setting) {
    let name = setting.name();
    let example = match setting.kind {
        Kind::Switch => format!("{name} = true"),
        Kind::Number => format!("{name} = {}", setting.value),
        Kind::List => format!("{name} = [\"{0}\", \"{0}\"]", setting.value),
        Kind::Text => format!("{name} = \"{}\"", setting.value),
        Kind::Secret => format!("{name} = \"{}\"` or `{name}-file = \"FILE\"", setting.value),
    };
    let _ = writeln!(text, "### {name}\n\n`{example}`\n\n{}", setting.summary());
    for paragraph in setting.more() {
        let _ = writeln!(text, "{paragraph}");
    }
    text.push('\n');
}

#[test]
fn the_page_of_settings_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let [begin, end] = MARKS;
    let expected = format!("{before}{begin}\n{}{end}{after}", table());
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "{PAGE} is not as the code says: run tools/settings"
    );
}
