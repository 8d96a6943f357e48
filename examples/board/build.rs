//! Tells what to install where the linker would say no more than that it cannot find `-lsqlite3`.

use std::process::Command;

const LIBRARY: &str = "libsqlite3.so";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Prints the path where the linker finds it, or else the name again.
    let asked = Command::new("cc")
        .arg(format!("-print-file-name={LIBRARY}"))
        .output();
    let is_missing = asked.is_ok_and(|answer| answer.stdout.trim_ascii() == LIBRARY.as_bytes());
    if is_missing && cfg!(target_os = "linux") {
        println!(
            "cargo::error=the board needs SQLite 3.38 or newer: install libsqlite3-dev (Debian, \
             Ubuntu), sqlite-devel (Fedora) or sqlite (Arch)"
        );
    }
}
