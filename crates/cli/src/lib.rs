//! The command line of Doorward (product 2): arguments become a plan, the plan is run, the end is an [`Exit`].
//!
//! One file per command in `command/`. Reading configuration files, their modes and the environment happens in `settings`;
//! what they mean is decided in `doorward-core`.

pub mod args;
pub mod calls;
pub mod client;
pub mod command;
pub mod console;
pub mod example;
pub mod exit;
pub mod failure;
pub mod house;
pub mod policies;
pub mod port;
pub mod record;
pub mod running;
pub mod settings;
pub mod state;
pub mod stop;

use args::Cli;
use clap::Parser as _;
use console::Console;
use exit::Exit;
use failure::Failure;
use std::ffi::OsString;

/// Runs one command line, program name first, and says how it ended.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> Exit {
    let wants_json = arguments.iter().skip(1).take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let mut console = Console::of(&cli.global);
            match command::run(cli, &mut console) {
                Ok(exit) => exit,
                Err(failure) => failure.tell(&mut console),
            }
        }
        Err(error) if error.use_stderr() && wants_json => {
            let first = error.kind().to_string();
            Failure::new(Exit::Usage, "usage", first, "doorward --help").tell(&mut Console::json())
        }
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Fine };
            error.print().map_or(Exit::Internal, |()| exit)
        }
    }
}
