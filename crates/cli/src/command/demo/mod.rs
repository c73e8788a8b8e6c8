//! `doorward demo`: a whole gateway with invented people, a client that does everything right, and attacks that must fail
//! (product 1.7). Reads no configuration, opens loopback sockets only, leaves nothing behind.
//!
//! The gateway is the ordinary one with ordinary settings; nothing in it knows this module.

mod attacks;
mod deputy;
mod flow;
mod show;
mod stage;

use crate::args::Global;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house;
use crate::stop::Stop;
use clap::{Args, ValueEnum};
use show::Show;
use stage::{Directory, Stage};
use std::time::{Duration, Instant};

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only one part
    #[arg(long, value_name = "PART")]
    pub only: Option<Part>,
    /// Leave the gateway running afterwards, to try it with a client of your own
    #[arg(long)]
    pub keep: bool,
    /// With --keep: the port of the gateway [default: 8417 if it is free]
    #[arg(long, value_name = "PORT", requires = "keep")]
    pub port: Option<u16>,
}

/// A part of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// One client, once through
    Flow,
    /// Somebody else's consent
    Deputy,
    /// Tokens that were made for somebody else
    Passthrough,
    /// Sessions and states of another person
    Session,
    /// An altered record
    Audit,
}

/// How a demo went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Every step worked, every attack was refused, the chain is whole.
    Good,
    /// Something was not as it must be.
    Wrong,
    /// The record is not whole.
    Broken,
}

/// Longest run without `--keep`.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demo.
///
/// # Errors
/// [`Failure`] when it cannot be set up, or was given options that it must not obey.
pub fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    if global.config.is_some() || global.state.is_some() {
        let help = "leave --config and --state away: the demo brings its own";
        return Err(Failure::new(Exit::Usage, "demo.own_settings", "the demo reads no configuration and no state", help));
    }
    let directory = Directory::new()?;
    let runtime = house::runtime()?;
    let ended = runtime.block_on(perform(arguments, global.verbose > 0, &directory, console));
    runtime.shutdown_timeout(Duration::from_secs(1));
    directory.remove()?;
    ended
}

async fn perform(arguments: &Arguments, verbose: bool, directory: &Directory, console: &mut Console) -> Result<Exit, Failure> {
    let mut stop = Stop::new()?;
    let stage = tokio::select! {
        stage = Stage::build(directory, arguments.port, arguments.keep) => stage?,
        () = stop.said() => return Ok(Exit::Interrupted),
    };
    let mut show = Show::new(console, verbose);
    let played = tokio::select! {
        played = tokio::time::timeout(PATIENCE, play(&stage, &mut show, arguments.only)) => Some(played),
        () = stop.said() => None,
    };
    let verdict = match played {
        Some(Ok(verdict)) => verdict,
        Some(Err(_)) => {
            show.trouble("it took too long");
            Verdict::Wrong
        }
        None => {
            stage.close().await;
            return Ok(Exit::Interrupted);
        }
    };
    if arguments.keep {
        // A new key for a person instead of those of the script.
        let alice = stage.hand_over().await?;
        show.kept(&stage, alice.key());
        stop.said().await;
    }
    stage.close().await;
    Ok(match verdict {
        Verdict::Good => Exit::Fine,
        Verdict::Wrong => Exit::Findings,
        Verdict::Broken => Exit::Integrity,
    })
}

async fn play(stage: &Stage, show: &mut Show<'_>, only: Option<Part>) -> Verdict {
    let begun = Instant::now();
    let wants = |part| only.is_none_or(|only| only == part);
    show.opening(stage);
    let mut good = true;
    if wants(Part::Flow) {
        match flow::once_through(stage, show).await {
            Ok(()) => {}
            Err(trouble) => {
                show.trouble(&trouble.to_string());
                good = false;
            }
        }
    }
    let mut attempts = Vec::new();
    let troubled = |error: flow::Trouble, show: &mut Show<'_>| {
        show.trouble(&error.to_string());
        Vec::new()
    };
    if wants(Part::Deputy) {
        let made = deputy::attacks(stage).await.unwrap_or_else(|error| troubled(error, show));
        good &= made.len() == 3;
        show.attacks("deputy", "Confused deputy", &made);
        attempts.extend(made);
    }
    if wants(Part::Passthrough) {
        let made = attacks::passthrough(stage).await.unwrap_or_else(|error| troubled(error, show));
        good &= made.len() == 3;
        show.attacks("passthrough", "Token passthrough", &made);
        attempts.extend(made);
    }
    if wants(Part::Session) {
        let made = attacks::session(stage).await.unwrap_or_else(|error| troubled(error, show));
        good &= made.len() == 3;
        show.attacks("session", "Session hijack", &made);
        attempts.extend(made);
    }
    if wants(Part::Audit) {
        let noticed = attacks::altered(stage).await;
        good &= noticed.is_ok();
        show.altered(&noticed);
    }
    let chain = stage.verify();
    good &= attempts.iter().all(attacks::Attempt::holds);
    show.ending(&attempts, &chain, good, begun.elapsed());
    match (chain, good) {
        (Err(_), _) => Verdict::Broken,
        (Ok(_), true) => Verdict::Good,
        (Ok(_), false) => Verdict::Wrong,
    }
}
