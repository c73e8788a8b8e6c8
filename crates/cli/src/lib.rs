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
pub mod exchange;
pub mod exit;
pub mod failure;
pub mod house;
pub mod memory;
pub mod policies;
pub mod port;
pub mod question;
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
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::ffi::OsString;

/// Runs one command line, program name first, and says how it ended.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> Exit {
    // Keys are in this memory and environment: other processes of the same user, children above all, may not read them, and
    // no core file holds them (STD-04; prctl(2), PR_SET_DUMPABLE). It ends with `exec`, so no child is hidden.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        let first = format!("the memory of this process cannot be hidden: {error}");
        return Failure::new(Exit::Internal, "not_hidden", first, "").tell(&mut Console::json());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_04_no_other_process_of_the_user_reads_the_memory_or_environment() {
        assert_eq!(run(["doorward", "version"].map(OsString::from).to_vec()), Exit::Fine);
        assert_eq!(rustix::process::dumpable_behavior().expect("asked"), DumpableBehavior::NotDumpable);
    }
}
