//! `doorward completions`: a completion script on stdout.

use crate::args::Cli;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// Never: the script is made from the command line itself.
pub fn run(arguments: &Arguments, console: &mut Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "doorward", &mut script);
    let _ = console.raw(&String::from_utf8_lossy(&script));
    Ok(Exit::Fine)
}
