//! What may be typed: global options and the list of commands. Each command's own options stand in its file.

use crate::command::{apikey, audit, bridge, completions, config, doctor, keys, policy, serve, server, status, version};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The security gateway for the Model Context Protocol.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, about, arg_required_else_help = true, subcommand_required = true, max_term_width = 80)]
pub struct Cli {
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Configuration file, TOML or JSON [default: $DOORWARD_CONFIG, else the first of ~/.config/doorward/doorward.toml, /etc/doorward/doorward.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for keys, database and record [default: $DOORWARD_STATE, else ~/.local/share/doorward]
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
    /// Connect a client that only speaks stdio to a server behind a gateway
    Bridge(bridge::Arguments),
    /// Servers behind the gateway: add, list, test, approve
    #[command(subcommand)]
    Server(server::Command),
    /// Static keys: create, list, revoke
    #[command(subcommand)]
    Apikey(apikey::Command),
    /// Check, show, test and explain the rules
    #[command(subcommand)]
    Policy(policy::Command),
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
