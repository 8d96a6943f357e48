//! `nextrush completions` and `nextrush man`: what packages install beside the program.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

/// Prints the completions of the command line for a shell.
///
/// For bash: `nextrush completions bash > /usr/share/bash-completion/completions/nextrush`.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}

impl Completions {
    /// Writes the completions of `program` to `output`.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub fn run(&self, mut program: Command, mut output: impl Write) -> io::Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut program, "nextrush", &mut text);
        output.write_all(&text)
    }
}

/// Prints the manual page, or writes those of all commands to a directory.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Man {
    /// The directory, such as /usr/share/man/man1; it must exist.
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

impl Man {
    /// Writes the pages of `program`.
    ///
    /// # Errors
    ///
    /// The output or a page cannot be written.
    pub fn run(&self, mut program: Command, mut output: impl Write) -> io::Result<()> {
        // Every page has its whole name.
        program.build();
        match &self.directory {
            Some(directory) => write_pages(&program, "nextrush", directory),
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(program).render(&mut page)?;
                output.write_all(&page)
            }
        }
    }
}

/// Writes the page of a command and those of the commands below it.
fn write_pages(command: &Command, name: &str, directory: &PathBuf) -> io::Result<()> {
    let mut page = Vec::new();
    let named = command.clone().display_name(name.to_owned());
    clap_mangen::Man::new(named)
        .title(name.to_uppercase())
        .render(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)?;
    let below = command.get_subcommands();
    below
        .filter(|below| below.get_name() != "help" && !below.is_hide_set())
        .try_for_each(|below| {
            write_pages(below, &format!("{name}-{}", below.get_name()), directory)
        })
}
