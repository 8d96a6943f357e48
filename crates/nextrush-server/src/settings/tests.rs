use std::fs;

use clap::Parser;

use super::*;
use crate::cli::Cli;
use crate::config::Reading;
use crate::document::Place;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// The reading of a file, of variables, and of flags.
fn reading(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Reading {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("n.toml");
    fs::write(&path, file).unwrap();
    let mut cli = Cli::parse_from(["nextrush"].iter().chain(flags));
    cli.flags.places = Some(vec![path]);
    Reading::of(&cli.flags, &Environment::of(variables))
}

/// The faults of a file; places without its directory.
fn faults(file: &str) -> Vec<String> {
    let reading = reading(file, &[("JWT_SECRET", SECRET)], &[]);
    let problems = reading.problems.iter().map(ToString::to_string);
    let names = problems.map(|problem| match problem.split_once("n.toml:") {
        Some((_, rest)) => rest.to_owned(),
        None => problem,
    });
    names.collect()
}

/// A value of each setting that is not its default, as words, and as it is in a file.
fn sample(setting: &Setting) -> (Vec<&'static str>, &'static str) {
    match &*setting.name() {
        "listen" | "metrics-listen" => (
            vec!["127.0.0.1:1", "[::1]:2"],
            r#"["127.0.0.1:1", "[::1]:2"]"#,
        ),
        "jwt-secret" | "api-key" | "admin-key" | "metrics-key" | "hook-secret" => {
            (vec![OTHER], r#""fedcba9876543210fedcba9876543210""#)
        }
        "jwt-key" => (vec!["a.pem", "b.json"], r#"["a.pem", "b.json"]"#),
        "jwks-url" => (vec!["https://h/keys"], r#""https://h/keys""#),
        "otlp-endpoint" => (vec!["http://h:4318"], r#""http://h:4318""#),
        "jwt-audience" | "jwt-issuer" => (vec!["a", "b"], r#"["a", "b"]"#),
        "dev" | "open-endpoints" | "no-store" | "proxy-protocol" | "token-message" => {
            (vec!["true"], "true")
        }
        "allow-origin" => (
            vec!["https://a.example", "app://x"],
            r#"["https://a.example", "app://x"]"#,
        ),
        "tls-cert" | "tls-key" | "store" | "backup-dir" => (vec!["/somewhere"], r#""/somewhere""#),
        "trusted-proxy" => (vec!["10.0.0.0/8", "unix"], r#"["10.0.0.0/8", "unix"]"#),
        "hook-connect" | "hook-subscribe" | "hook-publish" | "hook-request" => {
            (vec!["https://b/"], r#""https://b/""#)
        }
        "hook-timeout" => (vec!["7s"], r#""7s""#),
        "hook-header" => (vec!["x-a", "cookie"], r#"["x-a", "cookie"]"#),
        "store-limit" | "backlog-total" | "trace-record" => (vec!["1G"], r#""1G""#),
        "redis" => (vec!["redis://h"], r#""redis://h""#),
        "redis-prefix" | "node" | "token-cookie" | "jwt-id-claim" => (vec!["n"], r#""n""#),
        "connections"
        | "connections-per-address"
        | "shards"
        | "hook-calls"
        | "messages-per-second"
        | "messages-at-once"
        | "channels-per-socket" => (vec!["7"], "7"),
        "base-path" => (vec!["/chat"], r#""/chat""#),
        "keep-alive" | "drain-delay" | "head-timeout" | "heartbeat-interval"
        | "heartbeat-timeout" | "backlog-age" => (vec!["90s"], r#""90s""#),
        "head-bytes" | "message-bytes" | "backlog-bytes" => (vec!["99K"], r#""99K""#),
        "log" => (vec!["warn"], r#""warn""#),
        "log-format" => (vec!["json"], r#""json""#),
        name => panic!("a sample of {name} belongs here"),
    }
}

#[test]
fn every_setting_can_be_given_in_the_file_in_the_environment_and_on_the_command_line() {
    for setting in SETTINGS {
        let name = setting.name();
        let (words, toml) = sample(setting);
        let list = words.join(",");
        let flag = format!("--{name}={list}");
        let file = format!("{name} = {toml}\n");
        for (reading, place) in [
            (reading(&file, &[], &[]), None),
            (
                reading("", &[(&setting.variables()[0], &list)], &[]),
                Some(setting.variables()[0].clone()),
            ),
            (reading("", &[], &[&flag]), Some(format!("--{name}"))),
        ] {
            let found = reading.layers.of(&name);
            assert_eq!(found.given.len(), 1, "{name}");
            let given: Vec<_> = found.given[0]
                .words
                .iter()
                .map(|(word, _)| &**word)
                .collect();
            assert_eq!(given, words, "{name}");
            match (place, found.place()) {
                (Some(place), found) => assert_eq!(found.to_string(), place),
                (None, Place::File { line, column, .. }) => assert_eq!((*line, *column), (1, 1)),
                (None, other) => panic!("{other}"),
            }
        }
        // All three at once: the flag counts, then the variable.
        let all = reading(&file, &[(&setting.variables()[0], &list)], &[&flag]);
        let places: Vec<_> = all
            .layers
            .of(&name)
            .given
            .iter()
            .map(|given| &given.place)
            .collect();
        assert!(
            matches!(
                places[..],
                [Place::Flag(_), Place::Variable(_), Place::File { .. }]
            ),
            "{places:?}"
        );
    }
}

#[test]
fn every_secret_can_be_in_a_file_of_its_own_whoever_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let path = path.to_str().unwrap();
    for setting in SETTINGS
        .iter()
        .filter(|setting| setting.kind == Kind::Secret)
    {
        let name = setting.name();
        let secret = sample(setting).0[0];
        fs::write(path, format!("{secret}\r\n")).unwrap();
        let flag = format!("--{name}-file={path}");
        let file = format!("{name}-file = {path:?}\n");
        let mut readings = vec![reading(&file, &[], &[]), reading("", &[], &[&flag])];
        for variable in setting.variables() {
            readings.push(reading("", &[(&format!("{variable}_FILE"), path)], &[]));
        }
        for reading in readings {
            let read: Option<Option<Secret>> = reading.layers.of(&name).read(&mut Vec::new());
            assert_eq!(read.unwrap().unwrap().expose(), secret, "{name}");
        }
    }
    fs::write(path, "\n").unwrap();
    let empty = reading("", &[("JWT_SECRET_FILE", path)], &[]);
    assert_eq!(
        empty.problems[0].to_string(),
        format!("JWT_SECRET_FILE: cannot read {path}: the file is empty")
    );
}

#[test]
fn flags_count_before_variables_before_the_file_before_defaults() {
    let listen = |file: &str, variables: &[(&str, &str)], flags: &[&str]| {
        let variables = [&[("JWT_SECRET", SECRET)], variables].concat();
        let config = reading(file, &variables, flags).into_config().unwrap();
        config
            .listen
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let variable = [("NEXTRUSH_LISTEN", "[::1]:2, localhost:3,")];
    assert_eq!(listen("", &[], &[]), "127.0.0.1:3000");
    assert_eq!(listen("listen = 1", &[], &[]), ":1");
    assert_eq!(listen("listen = 1", &variable, &[]), "[::1]:2 localhost:3");
    let flags = ["--listen", "4", "--listen", "unix:x"];
    assert_eq!(listen("listen = 1", &variable, &flags), ":4 unix:x");
    // An empty variable is none.
    assert_eq!(listen("listen = 1", &[("NEXTRUSH_LISTEN", "")], &[]), ":1");
    let is_open = |file: &str, variable: &str, flags: &[&str]| {
        let variables = [
            ("JWT_SECRET", SECRET),
            ("NEXTRUSH_OPEN_ENDPOINTS", variable),
        ];
        reading(file, &variables, flags)
            .into_config()
            .unwrap()
            .open_endpoints
    };
    assert!(is_open("open-endpoints = true", "", &[]));
    assert!(!is_open("open-endpoints = true", "0", &[]));
    assert!(is_open(
        "open-endpoints = true",
        "no",
        &["--open-endpoints"]
    ));
    assert!(!is_open(
        "open-endpoints = true",
        "1",
        &["--open-endpoints=false"]
    ));
}

#[test]
fn one_setting_given_twice_in_one_place_is_a_fault() {
    let twice = [("JWT_SECRET", SECRET), ("NEXTRUSH_JWT_SECRET", OTHER)];
    assert_eq!(
        reading("", &twice, &[]).problems[0].to_string(),
        "NEXTRUSH_JWT_SECRET: jwt-secret is given by JWT_SECRET as well: leave one out"
    );
    let file = "api-key = \"x\"\napi-key-file = \"y\"";
    let told = faults(file);
    assert!(
        told[0].starts_with("2:1: api-key is given by ") && told[0].contains("n.toml:1:1"),
        "{told:?}"
    );
    // In two places the higher one counts.
    let variables = [("JWT_SECRET_FILE", "/nowhere")];
    let above = reading("", &variables, &["--jwt-secret", SECRET]);
    assert!(above.into_config().is_ok());
}

#[test]
fn all_faults_of_a_file_are_said_with_line_and_column() {
    let file = "\
lisen = 3000
tls_cert = \"x\"
shards = 0
dev = \"yes\"
listen = [\"80443\", \"localhost:1\", \"a b\"]
log = \"bogus\"
store-limit = 1.5
 \"é\" = 1
[server]
port = 1
";
    assert_eq!(
        faults(file),
        [
            r#"1:1: there is no setting "lisen": did you mean "listen"?"#,
            r#"2:1: there is no setting "tls_cert": did you mean "tls-cert"?"#,
            "4:7: expected true or false, not a text",
            "7:15: expected a text in quotes, not a number with a fraction",
            r#"8:2: there is no setting "é""#,
            r#"9:2: there is no setting "server""#,
            r#"5:11: "80443" is no port: ports are whole numbers from 0 to 65535"#,
            r#"5:35: "a b" is no address to listen on: expected a port such as 3000, an address such as 127.0.0.1:3000 or localhost:3000, or unix:/run/nextrush.sock"#,
            r#"3:10: "0" is no whole number of 1 or more"#,
            r#"6:7: "bogus": expected a level (error, warn, info, debug, trace or off), or directives such as info,nextrush=debug"#,
        ]
    );
    let syntax = faults("listen = \n\nstore = 'a\n");
    assert!(
        syntax.len() >= 2 && syntax[0].starts_with("1:10: "),
        "{syntax:?}"
    );
    assert_eq!(faults("node = 'a'\nnode = 'b'"), ["2:1: duplicate key"]);
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    let cli = Cli::parse_from(["nextrush", "--config", "/nowhere.toml"]);
    let reading = Reading::of(
        &cli.flags,
        &Environment::of(&[("NEXTRUSH_CONFIG", "/other")]),
    );
    let said = reading.problems[0].to_string();
    assert!(
        said.starts_with("--config: cannot read /nowhere.toml: "),
        "{said}"
    );
    let mut cli = Cli::parse_from(["nextrush"]);
    let variables = [("NEXTRUSH_CONFIG", "/other.toml")];
    let reading = Reading::of(&cli.flags, &Environment::of(&variables));
    let said = reading.problems[0].to_string();
    assert!(
        said.starts_with("NEXTRUSH_CONFIG: cannot read /other.toml: "),
        "{said}"
    );
    cli.flags.places = Some(vec!["/nowhere.toml".into()]);
    let reading = Reading::of(&cli.flags, &Environment::of(&[("JWT_SECRET", SECRET)]));
    assert_eq!(reading.layers.file, None);
    assert!(reading.into_config().is_ok());
}

#[test]
fn a_misspelt_variable_is_a_warning_and_one_of_somebody_else_is_none() {
    let variables = [
        ("JWT_SECRET", SECRET),
        ("NEXTRUSH_LISTN", "80"),
        ("NEXTRUSH_JWT_SECRET_FIL", "x"),
        ("NEXTRUSH_PORT", "tcp://10.0.0.1:3000"),
        ("NEXTRUSH_SERVICE_HOST", "10.0.0.1"),
        ("NEXTRUSH_URL", "http://localhost"),
        ("NEXTRUSH_REDIS_FILE", ""),
    ];
    let reading = reading("", &variables, &[]);
    let warnings: Vec<_> = reading
        .layers
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "NEXTRUSH_JWT_SECRET_FIL: there is no such setting: did you mean NEXTRUSH_JWT_SECRET_FILE?",
            "NEXTRUSH_LISTN: there is no such setting: did you mean NEXTRUSH_LISTEN?",
        ]
    );
    assert!(reading.into_config().is_ok());
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_file_that_everybody_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("n.toml");
    let warned = |text: &str, mode| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut cli = Cli::parse_from(["nextrush"]);
        cli.flags.config = Some(path.clone());
        let reading = Reading::of(&cli.flags, &Environment::default());
        reading
            .layers
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let secret = format!("shards = 1\njwt-secret = {SECRET:?}\n");
    let shown = path.display();
    assert_eq!(
        warned(&secret, 0o644),
        [format!(
            "{shown}:2:1: every user of this machine can read the secret in {shown}: chmod o-r {shown}"
        )]
    );
    assert_eq!(warned(&secret, 0o640), [""; 0]);
    assert_eq!(warned("jwt-secret-file = \"/x\"", 0o644), [""; 0]);
}

/// The problems of a table `[[channel]]` of these lines.
fn channel_faults(lines: &str) -> Vec<String> {
    faults(&format!("[[channel]]\n{lines}"))
}

#[test]
fn faults_of_channels_are_said_with_line_and_column() {
    for (lines, expected) in [
        (
            "",
            r#"1:1: a channel has a pattern, as in pattern = "board-:id""#,
        ),
        (
            "patern = 'a'\npattern = 'a'",
            r#"2:1: there is no key of a channel "patern": did you mean "pattern"?"#,
        ),
        (
            "pattern = 'a-:'",
            r#"2:11: "a-:" is no pattern: a colon is followed by a parameter's name"#,
        ),
        (
            "pattern = 'a'\nsubscribe = 'signedin'",
            r#"3:13: there is no rule "signedin": did you mean "signed-in"?"#,
        ),
        (
            "pattern = 'b-:id'\nsubscribe = { user = ':idd' }",
            r#"3:22: there is no parameter in the pattern "b-:id" ":idd": did you mean ":id"?"#,
        ),
        (
            "pattern = 'b-{id}'\npublish = { claim = 'x', is = ['y', '{no}'] }",
            r#"3:37: there is no parameter in the pattern "b-{id}" "{no}""#,
        ),
        (
            "pattern = 'a'\npublish = { claim = 'x' }",
            "3:11: a rule about a claim has one of `is` and `contains`",
        ),
        (
            "pattern = 'a'\npublish = { claim = 'x', is = 1, contains = 1 }",
            "3:11: a rule about a claim has one of `is` and `contains`",
        ),
        (
            "pattern = 'a'\npublish = { is = 'x' }",
            "3:11: a rule is about a `user` or a `claim`",
        ),
        (
            "pattern = 'a'\npublish = {}",
            "3:11: a rule is about a `user` or a `claim`",
        ),
        (
            "pattern = 'a'\npublish = { users = 'x' }",
            r#"3:13: there is no key of a rule "users": did you mean "user"?"#,
        ),
        (
            "pattern = 'a'\npublish = { user = [] }",
            r#"3:20: an empty list fits nobody: the rule for that is "nobody""#,
        ),
        (
            "pattern = 'a'\npublish = { user = 1.5 }",
            "3:20: expected a text, a number, true or false, not a number with a fraction",
        ),
        (
            "pattern = 'a'\npublish = ['any']",
            r#"3:12: a list of rules has tables, as [{ user = ":id" }], not a text"#,
        ),
        (
            "pattern = 'a'\nhistory = 0",
            "3:11: expected a whole number of 1 or more",
        ),
        (
            "pattern = 'a'\nhistory = -1",
            "3:11: expected a whole number of 1 or more",
        ),
        (
            "pattern = 'a'\nhistory = '1'",
            "3:11: expected a whole number, not a text",
        ),
        (
            "pattern = 'a'\nhistory = 1\nhistory-age = '1w'",
            r#"4:15: an age is a whole number with s, m, h or d, such as "90s" or "1h""#,
        ),
        (
            "pattern = 'a'\nhistory-age = '1h'",
            "3:15: history-age needs history, the number of publications",
        ),
        (
            "pattern = 'a'\nslow-readers = 'heal'",
            r#"3:16: "heal" needs a history from which to heal"#,
        ),
        (
            "pattern = 'a'\nslow-readers = 'healing'",
            r#"3:16: there is no policy for slow readers "healing": did you mean "heal"?"#,
        ),
        (
            "pattern = 'a'\npresence = 1",
            "3:12: expected true or false, not a whole number",
        ),
        (
            "pattern = 'a'\nkey = 'symbol'",
            r#"3:7: a key is a JSON pointer into the data, such as "/symbol""#,
        ),
        (
            "pattern = 'a'\nhistory = 1\nhistory-bytes = '1T'",
            "4:17: a size is a whole number of bytes, with K, M or G for powers of 1,024, such as 500M",
        ),
    ] {
        assert_eq!(channel_faults(lines), [expected], "{lines}");
    }
    let twice = channel_faults("pattern = 'a'\n[[channel]]\npattern = 'a'");
    assert!(
        twice[0].starts_with(r#"3:1: the pattern "a" is at "#),
        "{twice:?}"
    );
    assert_eq!(
        faults("channel = 1"),
        ["1:11: channels are tables that begin with [[channel]]"]
    );
    assert_eq!(
        faults("[channel]\npattern = 'a'"),
        ["1:1: channels are tables that begin with [[channel]]"]
    );
    let meant = r#"1:1: there is no setting "chanel": did you mean "[channel]"?"#;
    assert_eq!(faults("[[chanel]]")[0].replace("1:3", "1:1"), meant);
}

#[test]
fn faults_of_api_keys_are_said_with_line_and_column() {
    let value = "value = \"0123456789abcdef0123456789abcdef\"";
    let cases = [
        (value.to_owned(), "1:1: an API key has a name"),
        (
            format!("name = 7\n{value}"),
            "2:8: expected a text in quotes",
        ),
        ("name = \"a\"".to_owned(), "1:1: an API key has a value"),
        (
            "name = \"a\"\nvalue = \"short\"".to_owned(),
            "3:9: the key is shorter than 32 bytes",
        ),
        (
            "name = \"a\"\nvalue-file = \"/nowhere\"".to_owned(),
            "3:14: cannot read /nowhere: ",
        ),
        (
            format!("name = \"a\"\n{value}\nvalue-file = \"x\""),
            "4:14: the key has a value as well",
        ),
        (
            format!("name = \"a\"\n{value}\nchanels = []"),
            "4:1: there is no key of an API key \"chanels\": did you mean \"channels\"?",
        ),
        (
            format!("name = \"a\"\n{value}\nchannels = [\":\"]"),
            "4:12: \":\" is no pattern: ",
        ),
        (
            format!("name = \"a\"\n{value}\nmay = [\"read\", \"publsh\"]"),
            "4:16: there is no action \"publsh\": did you mean \"publish\"?",
        ),
        (
            format!("name = \"a\"\n{value}\nmay = \"read\""),
            "4:7: expected a list of texts",
        ),
        (
            format!("name = \"a\"\n{value}\nexpires = \"soon\""),
            "4:11: a time is 2027-01-31T12:00:00Z",
        ),
        (
            format!("name = \"a\"\n{value}\nexpires = 2027-01-31T12:00:00"),
            "4:11: a time is 2027-01-31T12:00:00Z",
        ),
        (
            format!("name = \"a\"\n{value}\n[[api-key]]\nname = \"a\"\n{value}"),
            "4:1: there is an API key \"a\" already",
        ),
    ];
    for (table, expected) in cases {
        let found = faults(&format!("[[api-key]]\n{table}\n"));
        assert_eq!(found.len(), 1, "{table}: {found:?}");
        assert!(found[0].starts_with(expected), "{table}: {found:?}");
        assert!(!found[0].contains("0123456789"), "{found:?}");
    }
    for expires in [
        "2027-01-31",
        "2027-01-31T12:00:00Z",
        "2027-01-31T12:00:00+02:00",
    ] {
        let file = format!("[[api-key]]\nname = \"a\"\n{value}\nexpires = {expires}\n");
        assert_eq!(faults(&file), [""; 0], "{expires}");
    }
}
