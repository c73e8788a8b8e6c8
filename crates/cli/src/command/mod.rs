//! The commands, one file each. A command takes its options and the console, and gives its exit.

pub mod admin_link;
pub mod apikey;
pub mod attempts;
pub mod audit;
pub mod bridge;
pub mod clients;
pub mod completions;
pub mod config;
pub mod connect;
pub mod connections;
pub mod demo;
pub mod doctor;
pub mod grant;
pub mod keys;
pub mod laptop;
pub mod login;
pub mod man;
pub mod policy;
pub mod scan;
pub mod serve;
pub mod server;
pub mod sessions;
pub mod status;
pub mod user;
pub mod version;

use crate::args::{Cli, Command};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs a command.
///
/// # Errors
/// [`Failure`] if it could not do what was asked.
pub fn run(cli: Cli, console: &mut Console) -> Result<Exit, Failure> {
    let Cli { port, global, command } = cli;
    let global = &global;
    let Some(command) = command else { return laptop::run(port, global, console) };
    if port.is_some() {
        let help = "set listen.address in the configuration, or leave the command away";
        return Err(Failure::new(Exit::Usage, "usage", "--port before a command has no meaning", help));
    }
    match command {
        Command::Demo(arguments) => demo::run(&arguments, global, console),
        Command::Serve(arguments) => serve::run(&arguments, global, console),
        Command::Server(command) => server::run(&command, global, console),
        Command::Apikey(command) => apikey::run(&command, global, console),
        Command::Grant(command) => grant::run(&command, global, console),
        Command::Clients(command) => clients::run(&command, global, console),
        Command::Attempts(command) => attempts::run(&command, global, console),
        Command::Connections(command) => connections::run(&command, global, console),
        Command::Sessions(command) => sessions::run(&command, global, console),
        Command::Login(arguments) => login::login(&arguments, global, console),
        Command::Whoami(arguments) => login::whoami(&arguments, global, console),
        Command::Token(arguments) => login::token(&arguments, global, console),
        Command::Logout(arguments) => login::logout(&arguments, global, console),
        Command::AdminLink(arguments) => admin_link::run(&arguments, global, console),
        Command::User(command) => user::run(&command, global, console),
        Command::Connect(arguments) => connect::connect(&arguments, global, console),
        Command::Disconnect(arguments) => connect::disconnect(&arguments, global, console),
        Command::Bridge(arguments) => bridge::run(&arguments, global, console),
        Command::Policy(command) => policy::run(&command, global, console),
        Command::Scan(arguments) => scan::run(&arguments, console),
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
