//! The commands, one file each. A command takes its options and the console, and gives its exit.

pub mod apikey;
pub mod audit;
pub mod bridge;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod keys;
pub mod man;
pub mod policy;
pub mod serve;
pub mod server;
pub mod status;
pub mod version;

use crate::args::{Command, Global};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs a command.
///
/// # Errors
/// [`Failure`] if it could not do what was asked.
pub fn run(command: Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, global, console),
        Command::Server(command) => server::run(&command, global, console),
        Command::Apikey(command) => apikey::run(&command, global, console),
        Command::Bridge(arguments) => bridge::run(&arguments, console),
        Command::Policy(command) => policy::run(&command, global, console),
        Command::Keys(command) => keys::run(&command, global, console),
        Command::Status(arguments) => status::run(&arguments, global, console),
        Command::Doctor(arguments) => doctor::run(&arguments, global, console),
        Command::Config(command) => config::run(command, global, console),
        Command::Audit(command) => audit::run(command, global, console),
        Command::Completions(arguments) => completions::run(&arguments, console),
        Command::Man => man::run(console),
        Command::Version(arguments) => version::run(&arguments, console),
    }
}
