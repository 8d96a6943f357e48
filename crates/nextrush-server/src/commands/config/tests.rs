use clap::Parser;

use super::*;
use crate::cli::Cli;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn reading(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Reading {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("n.toml");
    fs::write(&path, file).unwrap();
    let mut cli = Cli::parse_from(["nextrush"].iter().chain(flags));
    cli.flags.places = Some(vec![path]);
    Reading::with(&cli.flags, &Environment::of(variables), false, || None)
}

/// The values of all settings, without places.
fn values(file: &str) -> Vec<String> {
    let reading = reading(file, &[("JWT_SECRET", SECRET), ("NEXTRUSH_NODE", "n")], &[]);
    let config = reading.config.as_ref();
    let config = config.unwrap_or_else(|| panic!("{:?}", reading.problems));
    format!("{config:#?}").lines().map(str::to_owned).collect()
}

#[test]
fn the_commented_file_changes_nothing_and_neither_do_the_defaults_in_it() {
    let text = commented();
    assert_eq!(values(&text), values(""));
    for setting in SETTINGS {
        let line = format!("#{} = ", setting.name());
        assert!(text.lines().any(|it| it.starts_with(&line)), "{line}");
    }
    // Each default as a value.
    let is_default = |line: &&str| {
        let setting = SETTINGS
            .iter()
            .find(|setting| line.starts_with(&format!("#{} = ", setting.name())));
        setting.is_some_and(|setting| matches!(setting.default, Default::Value(_)))
    };
    let defaults: Vec<_> = text
        .lines()
        .filter(is_default)
        .map(|line| &line[1..])
        .collect();
    assert!(
        defaults.contains(&"listen = [\"127.0.0.1:3000\"]"),
        "{defaults:?}"
    );
    assert!(
        defaults.contains(&"connections-per-address = 10000"),
        "{defaults:?}"
    );
    assert_eq!(values(&defaults.join("\n")), values(""));
    // And the example of a channel is one.
    let (_, channel) = text.split_once("#[[channel]]\n").unwrap();
    let channel = channel.lines().map(|line| line.strip_prefix('#').unwrap());
    let channel = format!("[[channel]]\n{}", channel.collect::<Vec<_>>().join("\n"));
    let reading = reading(&channel, &[("JWT_SECRET", SECRET)], &[]);
    assert_eq!(reading.problems, []);
    assert_eq!(reading.layers.channels.len(), 1);
    assert!(text.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn what_holds_is_printed_with_where_it_comes_from_and_what_it_overrides() {
    let file = "\
listen = [\"1\", \"2\"]
jwt-secret = \"hunter2-hunter2-hunter2-hunter2-hunter2\"
shards = 3

[[channel]]
pattern = \"board-:id\"
publish = [{ user = \":id\", claim = \"a\", is = [\"x\", 1] }, { claim = \"/b/c\", contains = \":id\" }]
history = 5
history-age = \"2m\"
";
    let variables = [
        ("NEXTRUSH_LISTEN", "3,4"),
        ("JWT_SECRET", "hunter3-hunter3-hunter3-hunter3-hunter3"),
    ];
    let first = reading(file, &variables, &["--listen", "localhost:5"]);
    assert_eq!(first.problems, []);
    let printed = printed(&first.layers);
    let path = first.layers.file.as_ref().unwrap().display().to_string();
    for expected in [
        format!("# {path}"),
        format!(
            "listen = [\"localhost:5\"]  # --listen; overrides [\"3\", \"4\"] (NEXTRUSH_LISTEN), \
             [\"1\", \"2\"] ({path}:1)"
        ),
        format!("# jwt-secret = (hidden)  # JWT_SECRET; overrides (hidden) ({path}:2)"),
        format!("shards = 3  # {path}:3"),
        "dev = false  # default".to_owned(),
        "connections-per-address = 10000  # default".to_owned(),
        "# redis = (none)  # default".to_owned(),
        format!("[[channel]]  # {path}:5:1"),
        "subscribe = \"signed-in\"".to_owned(),
        "publish = [{ user = \":id\", claim = \"a\", is = [\"x\", \"1\"] }, { claim = \"/b/c\", \
         contains = \":id\" }]"
            .to_owned(),
        "history-age = \"120s\"".to_owned(),
    ] {
        assert!(
            printed.lines().any(|line| line == expected),
            "{expected}\n\n{printed}"
        );
    }
    assert!(!printed.contains("hunter"), "{printed}");
    // What is printed can be read again.
    let again = reading(&printed, &[("JWT_SECRET", SECRET)], &[]);
    assert_eq!(again.problems, []);
    assert_eq!(
        again.layers.channels[0].publish,
        first.layers.channels[0].publish
    );
    assert_eq!(
        again.layers.channels[0].settings,
        first.layers.channels[0].settings
    );
}

#[test]
fn a_configuration_without_a_secret_is_right_for_the_check_and_nothing_else_is() {
    let lacking = reading("listen = 1", &[], &[]);
    assert!(lacking.lacks_secret && check(lacking).is_ok());
    assert!(check(reading("listen = 'x'", &[], &[])).is_err());
    assert!(check(reading("api-key = 'x'", &[], &[])).is_err());
}
