//! The words of the compiler about common mistakes.
//!
//! Each file of `cases` is compiled against the library that the tests use. A comment `//~ text` in
//! it is a text that the compiler has to say; a file without one has to compile. The rest of what
//! the compiler says is its own affair, and changes with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the compiled dependencies, in which this program lies as well.
fn dependencies() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The library as it was compiled last: that of this test is among them.
fn newest_library(dependencies: &Path) -> PathBuf {
    let files = fs::read_dir(dependencies).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libnextrush-") && name.ends_with(".rlib")
    });
    let modified = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    files.max_by_key(modified).expect("the library is compiled")
}

/// Compiles a file; what the compiler says, and whether it was content.
fn compile(case: &Path) -> (bool, String) {
    let dependencies = dependencies();
    let library = format!("nextrush={}", newest_library(&dependencies).display());
    let into = tempfile::tempdir().unwrap();
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let done = Command::new(compiler)
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
        ])
        .arg("--extern")
        .arg(library)
        .arg("-L")
        .arg(format!("dependency={}", dependencies.display()))
        .arg("--out-dir")
        .arg(into.path())
        .arg(case)
        .output()
        .unwrap();
    (
        done.status.success(),
        String::from_utf8(done.stderr).unwrap(),
    )
}

#[test]
fn common_mistakes_are_named() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/cases");
    let mut count = 0;
    for case in fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        let text = fs::read_to_string(&case).unwrap();
        let expected: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once("//~ ").map(|(_, text)| text))
            .collect();
        let (is_content, said) = compile(&case);
        assert_eq!(
            is_content,
            expected.is_empty(),
            "{}: {said}",
            case.display()
        );
        for expected in expected {
            assert!(
                said.contains(expected),
                "{}: {expected}: {said}",
                case.display()
            );
        }
        count += 1;
    }
    assert_ne!(count, 0);
}
