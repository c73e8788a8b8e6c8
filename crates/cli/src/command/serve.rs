//! `doorward serve`: the gateway, until it is told to stop.

use crate::args::Global;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::Args;
use doorward_core::config::{LogForm, LogLevel, Telemetry};
use doorward_gateway::Gateway;
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
    let house = House::open(global)?;
    logs(&house.config().telemetry, global.verbose);
    house::runtime()?.block_on(serve(house, console))
}

async fn serve(house: House, console: &mut Console) -> Result<Exit, Failure> {
    let config = house.config().clone();
    let gateway = Gateway::build(house.parts()?).await.map_err(house::failed)?;
    let serving = gateway.listen(&config).await.map_err(house::failed)?;
    console.say(format_args!("ready  http{}://{}", if serving.tls.is_some() { "s" } else { "" }, serving.address));
    let failed = |error: std::io::Error| Failure::new(Exit::Internal, "signal", "signals cannot be heard", "try again").because(error);
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hup = signal(SignalKind::hangup()).map_err(failed)?;
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

fn logs(telemetry: &Telemetry, verbose: u8) {
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
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    let set = match telemetry.logs {
        LogForm::Json => builder.json().try_init(),
        LogForm::Text => builder.try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "logs were set up before");
    }
}
