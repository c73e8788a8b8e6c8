//! `doorward serve`: the gateway, until it is told to stop.

use crate::args::Global;
use crate::console::{Console, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::running::{self, Claim, Notice, State};
use crate::{memory, port, settings};
use clap::Args;
use doorward_core::config::{LogForm, LogLevel, Telemetry};
use doorward_gateway::Gateway;
use doorward_gateway::env::Env;
use doorward_gateway::setup::SetupError;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Runs the gateway.
///
/// # Errors
/// [`Failure`] when it cannot start.
pub fn run(_arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let begun = memory::fix_thresholds();
    let house = House::open(global)?;
    if house.built_in.is_some() {
        let help = "name a file with --config, or start laptop mode in a terminal: doorward";
        return Err(Failure::new(Exit::Configuration, "serve.no_configuration", "there is no configuration to serve", help));
    }
    logs(&house.config().telemetry, global.verbose, console);
    if let Err(error) = begun {
        tracing::warn!(%error, "the thresholds of the C library stay as they are; large bodies may keep memory (ADR 18)");
    }
    house::runtime()?.block_on(serve(house, console))
}

async fn serve(house: House, console: &mut Console) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Internal, "signal", "signals cannot be heard", "try again").because(error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hup = signal(SignalKind::hangup()).map_err(failed)?;
    // Handled, whatever this process was left with: a write to somebody who is gone is an error, and no end.
    let _handled = signal(SignalKind::pipe()).map_err(failed)?;
    let config = house.config().clone();
    let env = house.env.clone();
    let mut claim = claim(&house.state)?;
    let gateway = Gateway::build(house.parts()?).await.map_err(house::failed)?;
    let serving = gateway.listen(&config).await.map_err(taken)?;
    announce(&mut claim, serving.address, &env);
    console.say(format_args!("ready  http{}://{}", if serving.tls.is_some() { "s" } else { "" }, serving.address));
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => {
                if let Some(tls) = &serving.tls {
                    match tls.reload() {
                        Ok(()) => console.say("certificates read again"),
                        Err(error) => console.fail(format_args!("the certificates in use stay: {error}")),
                    }
                }
            }
        }
    }
    console.say("stopping");
    let clean = Arc::clone(&gateway).stop().await;
    Ok(if clean { Exit::Fine } else { Exit::Findings })
}

/// The right to run on a state directory.
///
/// # Errors
/// [`Failure`] when another process has it.
pub(super) fn claim(state: &Path) -> Result<Claim, Failure> {
    let held = |why: String| {
        let message = format!("another doorward runs on {}", state.display());
        Failure::new(Exit::Unreachable, "state.taken", message, "stop it, or choose another directory: --state DIR").because(why)
    };
    match running::claim(state) {
        Ok(State::Ours(claim)) => Ok(claim),
        Ok(State::Theirs(Some(notice))) => Err(held(format!("process {}, on {}", notice.pid, notice.address))),
        Ok(State::Theirs(None)) => Err(held("it is just starting".to_owned())),
        Err(error) => {
            let message = format!("{} cannot be written", state.join(running::FILE).display());
            Err(Failure::new(Exit::Unreachable, "state.unreachable", message, "check the disk").because(settings::reason(&error)))
        }
    }
}

/// Says in the state directory where this process listens.
pub(super) fn announce(claim: &mut Claim, address: SocketAddr, env: &Env) {
    let notice = Notice { pid: std::process::id(), address, since: env.now().to_string() };
    if let Err(error) = claim.announce(&notice) {
        tracing::warn!(%error, "where this gateway listens could not be written down");
    }
}

/// A port that is taken is reported with its owner, where the system tells it (L14).
pub(super) fn taken(error: SetupError) -> Failure {
    match &error {
        SetupError::Listen { address, cause } if cause.kind() == ErrorKind::AddrInUse => {
            let by = port::owner(*address).map(|owner| format!(" by {} (process {})", inert(&owner.name), owner.pid)).unwrap_or_default();
            let message = format!("port {} is taken{by}", address.port());
            let help = "stop that, or choose another port: doorward --port 0 takes a free one, listen.address in a configuration; \
                        clients keep the address, so Doorward never moves by itself";
            Failure::new(Exit::Unreachable, "setup.port_taken", message, help)
        }
        _ => house::failed(error),
    }
}

/// Log lines have colour where everything else has: a file or a journal gets no escape sequences.
pub(super) fn logs(telemetry: &Telemetry, verbose: u8, console: &Console) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match (verbose, telemetry.level) {
        (2.., _) => LevelFilter::TRACE,
        (1, _) => LevelFilter::DEBUG,
        (0, LogLevel::Error) => LevelFilter::ERROR,
        (0, LogLevel::Warn) => LevelFilter::WARN,
        (0, LogLevel::Info) => LevelFilter::INFO,
        (0, LogLevel::Debug) => LevelFilter::DEBUG,
        (0, LogLevel::Trace) => LevelFilter::TRACE,
    };
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false).with_ansi(console.color());
    let set = match telemetry.logs {
        LogForm::Json => builder.json().try_init(),
        LogForm::Text => builder.try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "logs were set up before");
    }
}
