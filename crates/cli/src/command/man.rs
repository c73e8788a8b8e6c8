//! `doorward man`: the manual page on stdout, with every command and the table of exits.

use crate::args::Cli;
use crate::console::Console;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use clap::CommandFactory as _;
use std::fmt::Write as _;

/// Prints the page, for `man -l -`.
///
/// # Errors
/// [`Failure`] if the page could not be made.
pub fn run(console: &mut Console) -> Result<Exit, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Internal, "man", "the manual page could not be made", "report this").because(error);
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let mut commands = String::new();
    describe(&command, &mut commands);
    let man = clap_mangen::Man::new(command);
    man.render_title(&mut page).map_err(failed)?;
    man.render_name_section(&mut page).map_err(failed)?;
    man.render_synopsis_section(&mut page).map_err(failed)?;
    man.render_description_section(&mut page).map_err(failed)?;
    man.render_options_section(&mut page).map_err(failed)?;
    let mut text = String::from_utf8_lossy(&page).into_owned();
    text.push_str(".SH COMMANDS\n");
    text.push_str(&commands);
    text.push_str(".SH EXIT STATUS\n");
    for exit in exit::ALL {
        let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", exit.code(), exit.meaning());
    }
    text.push_str(".SH FILES\n");
    for (file, meaning) in [
        (
            "~/.config/doorward/doorward.toml, /etc/doorward/doorward.toml",
            "The configuration; the first that is there. Never the working directory.",
        ),
        ("config.d/*.toml, config.d/*.json", "Beside it: laid over it in byte order of names."),
        ("~/.local/share/doorward", "Keys, database and record, unless --state says otherwise."),
    ] {
        let _ = writeln!(text, ".TP\n{}\n{meaning}", file.replace('-', "\\-"));
    }
    let _ = console.raw(&text);
    Ok(Exit::Fine)
}

/// Every command below `command` with its one line.
fn describe(command: &clap::Command, text: &mut String) {
    for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
        if child.get_subcommands().next().is_some() {
            describe(child, text);
            continue;
        }
        let name = child.get_bin_name().unwrap_or(child.get_name());
        let about = child.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", name.replace('-', "\\-"), about.replace('-', "\\-"));
    }
}
