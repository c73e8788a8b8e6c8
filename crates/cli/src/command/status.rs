//! `doorward status`: the gateway that runs on this state directory, asked over its own listener, and the end of its record.

use crate::args::Global;
use crate::console::{Console, Form, Sign, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house;
use crate::record::{self, Tail};
use crate::{running, settings, state};
use bytes::Bytes;
use clap::Args;
use doorward_core::config::{Config, Tls};
use doorward_core::id::ServerName;
use doorward_gateway::egress::pool::PoolKey;
use doorward_gateway::egress::reply::ReplyLimits;
use doorward_gateway::egress::target::{Reach, Target};
use doorward_gateway::egress::{Egress, EgressSettings, Outbound};
use doorward_gateway::tasks::Tasks;
use http::header::HeaderMap;
use http::{Method, StatusCode};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// What a gateway said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It serves.
    Ready,
    /// It is there and does not serve: its record takes nothing, or it is stopping.
    NotReady,
    /// Nobody answered.
    Nothing(String),
}

/// Where it is and what it said.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) url: String,
    pub(super) process: Option<running::Notice>,
    pub(super) said: Said,
}

/// For each question.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks.
///
/// # Errors
/// [`Failure`] for a configuration that cannot be used.
pub fn run(_arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let settings = settings::read(global, Vec::new())?;
    let config = &settings.loaded.config;
    let state = state::directory(global)?;
    let found = house::runtime()?.block_on(ask(config, &state))?;
    let tail = record::tail(&record::place(config, &state));
    let exit = match (&found.said, &tail) {
        (_, Tail::Broken(_)) => Exit::Integrity,
        (Said::Ready, _) => Exit::Fine,
        (Said::NotReady, _) => Exit::Findings,
        (Said::Nothing(_), _) => Exit::Unreachable,
    };
    if console.form() == Form::Json {
        let (said, why) = match &found.said {
            Said::Ready => ("ready", None),
            Said::NotReady => ("not ready", None),
            Said::Nothing(why) => ("unreachable", Some(why)),
        };
        let (pid, since) = found.process.as_ref().map_or((None, None), |notice| (Some(notice.pid), Some(&notice.since)));
        let document = json!({
            "ok": exit == Exit::Fine, "exit": exit.code(), "url": found.url, "state": said, "why": why, "pid": pid, "since": since,
            "servers": config.servers.len(), "record": tail.as_json(),
        });
        console.document(super::config::object(document));
        return Ok(exit);
    }
    let process = found
        .process
        .as_ref()
        .map_or_else(String::new, |notice| format!(", process {}, since {}", notice.pid, notice.since.get(..19).unwrap_or(&notice.since)));
    let (sign, words) = match &found.said {
        Said::Ready => (Sign::Good, "ready".to_owned()),
        Said::NotReady => (Sign::Bad, "there, but not ready: its record takes nothing, or it is stopping".to_owned()),
        Said::Nothing(why) => (Sign::Bad, format!("no answer: {why}")),
    };
    let sign = console.sign(sign);
    console.line(format_args!("{sign} {:<10} {}{process}", "gateway", found.url));
    console.line(format_args!("{sign} {:<10} {words}", "state"));
    let good = console.sign(Sign::Good);
    let servers = counted(u64::try_from(config.servers.len()).unwrap_or(u64::MAX), "server");
    console.line(format_args!("{good} {:<10} {servers} in the configuration", "servers"));
    let sign = console.sign(tail.sign());
    console.line(format_args!("{sign} {:<10} {}", "record", tail.words()));
    if matches!(found.said, Said::Nothing(_)) {
        console.say("  start it: doorward serve");
    }
    Ok(exit)
}

/// Asks the gateway of a state directory, where it says it is or where the configuration says.
pub(super) async fn ask(config: &Config, state: &Path) -> Result<Found, Failure> {
    let process = running::other(state).flatten();
    let address = process.as_ref().map_or(config.listen.address, |notice| notice.address);
    let base = match (&config.listen.tls, &config.public_url) {
        // Its certificate names the public address, not this machine.
        (Tls::Here { .. }, Some(url)) => url.as_str().to_owned(),
        _ => format!("http://{}", here(address)),
    };
    let said = match health(&base, config).await {
        Ok(said) => said,
        Err(why) => Said::Nothing(why),
    };
    Ok(Found { url: base, process, said })
}

/// An address on which it can be asked: "all addresses" is none.
fn here(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        _ => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
    }
}

async fn health(base: &str, config: &Config) -> Result<Said, String> {
    let tasks = Tasks::new();
    let mut settings = EgressSettings::new(tasks.clone());
    settings.allow_private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"]
        .iter()
        .filter_map(|net| net.parse().ok())
        .collect();
    if let Some(path) = &config.egress.ca {
        settings.extra_ca = std::fs::read(path).map_err(|error| settings::reason(&error))?;
    }
    let egress = Egress::new(settings).map_err(|error| error.to_string())?;
    let mut statuses = Vec::new();
    for path in ["healthz", "readyz"] {
        let target = Target::new(&format!("{base}/{path}"), Reach::Configured).map_err(|error| error.to_string())?;
        let server = ServerName::new("gateway").map_err(|error| error.to_string())?;
        let pool = PoolKey { server, user: None, credential: None, version: 0 };
        let limits = ReplyLimits { headers: PATIENCE, whole: 4096, stream: 4096, idle: PATIENCE };
        let outbound = Outbound { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() };
        let reply = egress.send(&target, &pool, outbound, &limits).await.map_err(|error| error.to_string())?;
        statuses.push(reply.status());
    }
    tasks.stop(Duration::from_millis(200)).await;
    match statuses.as_slice() {
        [StatusCode::OK, StatusCode::OK] => Ok(Said::Ready),
        [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] => Ok(Said::NotReady),
        _ => Err("something else answers there".to_owned()),
    }
}
