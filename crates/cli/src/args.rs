//! What may be typed: global options and the list of commands. Each command's own options stand in its file.

use crate::command::{
    admin_link, apikey, attempts, audit, bridge, clients, completions, config, connect, connections, demo, doctor, grant, keys, login,
    policy, scan, serve, server, sessions, status, user, version,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The security gateway for the Model Context Protocol.
///
/// Without a command it starts a gateway for this computer alone, with nothing to configure; where one is running already, it says so.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, about, max_term_width = 80)]
pub struct Cli {
    /// Port of 127.0.0.1 for the start without a command; 0 takes a free one [default: 8417]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Configuration file, TOML or JSON [default: $DOORWARD_CONFIG, else the first of ~/.config/doorward/doorward.toml, /etc/doorward/doorward.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for keys, database and record [default: $DOORWARD_STATE, else the first of $STATE_DIRECTORY, $XDG_STATE_HOME/doorward, ~/.local/share/doorward]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print JSON documents with "v": 1 on stdout, also for errors
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more (-vv: still more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// For tests: [endpoints] may name servers on this computer, also over http
    #[arg(long, global = true, hide = true)]
    pub insecure_test_endpoints: bool,
    /// Colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals that want them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway with its configuration
    Serve(serve::Arguments),
    /// See in seconds what Doorward is for: invented people, real attacks
    Demo(demo::Arguments),
    /// Put the servers of MCP clients behind the gateway
    Connect(connect::Arguments),
    /// Put the servers of MCP clients back as they were
    Disconnect(connect::BackArguments),
    /// Connect a client that only speaks stdio to a server behind a gateway
    Bridge(bridge::Arguments),
    /// Servers behind the gateway: add, list, test, approve
    #[command(subcommand)]
    Server(server::Command),
    /// Static keys: create, list, revoke
    #[command(subcommand)]
    Apikey(apikey::Command),
    /// What people allowed to applications: list, revoke
    #[command(subcommand)]
    Grant(grant::Command),
    /// Clients that connect by themselves: list, show, block, unblock
    #[command(subcommand)]
    Clients(clients::Command),
    /// How far clients come that connect, and where they stop: list, show
    Attempts(attempts::Arguments),
    /// Accounts of people at servers: list, revoke
    #[command(subcommand)]
    Connections(connections::Command),
    /// Browsers and clients that are signed in: list, end
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Sign this command line in to a server behind a gateway, by a code
    Login(login::Arguments),
    /// Say where this command line is signed in
    Whoami(login::WhoArguments),
    /// Print a fresh access token for a server, for scripts
    Token(login::TokenArguments),
    /// Give back what this command line was given, and forget it
    Logout(login::OutArguments),
    /// Print a link with which the administrator signs in, once
    AdminLink(admin_link::Arguments),
    /// People: list, disable, enable, groups
    #[command(subcommand)]
    User(user::Command),
    /// Check, show, test and explain the rules
    #[command(subcommand)]
    Policy(policy::Command),
    /// Find what is wrong in the MCP set-ups of this computer, or in a repository
    Scan(scan::Arguments),
    /// Check, show and describe the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Read, check and export the record
    #[command(subcommand)]
    Audit(audit::Command),
    /// Signing and encryption keys: list, rotate
    #[command(subcommand)]
    Keys(keys::Command),
    /// Say how the running gateway is
    Status(status::Arguments),
    /// Check the whole installation, one line for each check
    Doctor(doctor::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
    /// Print the manual page
    Man,
    /// Print version, build and formats
    Version(version::Arguments),
}
