//! The auditor, live: `doorward scan --probe URL` asks MCP servers what their files do not tell.
//!
//! [`probe`] takes a first look at each server (`visit`), lets every rule ask (`rules`), and gives what was seen to the report of
//! `doorward-scan`. Sockets are in `door` alone, and whom it may ask is decided by `fence`: the named address, and what it names
//! on the same registrable domain. Requests, time and bytes are bounded ([`Limits`]); no redirect is followed, no tool is called,
//! and what a server says is never opened, run or shown raw. Must not know the gateway, files or the environment.
//!
//! The files of clients are read by `doorward-scan`, which has no way to this crate: its promise to connect nowhere stays.

mod ask;
mod chance;
mod door;
mod events;
mod fence;
mod guess;
mod hello;
mod metadata;
mod registration;
mod rules;
mod upstream;
mod visit;
mod words;

pub use fence::Outside;
pub use rules::RULES;

use ask::Key;
use door::{Door, Stop, Watch, trust};
use doorward_core::network::Network;
use doorward_core::secret::Secret;
use doorward_scan::{Asked, Finding, Live};
use fence::Fence;
use rules::Look;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use upstream::Upstream;
use url::{Host, Url};
use visit::{Keys, Visit};

/// What a probe may cost, for each server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long one answer may take.
    pub each: Duration,
    /// How long an open stream is listened to that may well be silent.
    pub linger: Duration,
    /// How long everything may take.
    pub all: Duration,
    /// How many requests are sent.
    pub requests: usize,
    /// How much of one answer is read. Bytes.
    pub bytes: usize,
    /// How much is read together. Bytes.
    pub all_bytes: usize,
    /// How many sessions are opened, and closed, to see whether their ids can be guessed.
    pub samples: usize,
    /// How many texts are tried, here and not at the server, to see whether ids are a digest of one.
    pub guesses: usize,
}

/// What to ask, and with what.
#[derive(Debug)]
pub struct Request {
    /// The servers, each with its own credentials: one never sees those of another.
    pub servers: Vec<Server>,
    /// Hosts outside the domain of a server that may be asked if it names them.
    pub allowed: Vec<String>,
    /// Where to listen as the upstream of the servers, to see which tokens they pass on.
    pub upstream: Option<SocketAddr>,
    /// Authorities besides those of the system, in PEM; may be empty.
    pub extra_ca: Vec<u8>,
    /// User names of the credentials: ids may be made of them. Those in a given JWT are known besides.
    pub names: Vec<String>,
    /// The time at the start of it. Milliseconds since 1970.
    pub now: u64,
    /// Where names lead that no name server is asked for.
    pub pins: BTreeMap<String, SocketAddr>,
    /// What it may cost.
    pub limits: Limits,
    /// Unpredictable bytes: the canaries are made of them.
    pub seed: [u8; 32],
}

/// A server to ask.
#[derive(Debug)]
pub struct Server {
    /// Its endpoint.
    pub url: Url,
    /// A credential that it accepts.
    pub own: Option<Secret<String>>,
    /// A credential of somebody else that it accepts.
    pub second: Option<Secret<String>>,
    /// A credential that was made for another server, so that it should refuse it. It sees it all the same.
    pub foreign: Option<Secret<String>>,
}

/// Why nothing was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The address is none.
    #[error("{0} is no address of an MCP server over HTTP")]
    Url(String),
    /// A credential that no header can hold.
    #[error("a credential holds characters that no credential has, or is empty")]
    Credential,
    /// A credential would go over the network in clear text.
    #[error("a credential would go to {0} without TLS")]
    Plain(String),
    /// The authorities are none.
    #[error("no certificate authority was found in what was given")]
    Authorities,
    /// Nobody can listen there.
    #[error("cannot listen at {0}")]
    Upstream(SocketAddr),
}

// === impl Limits ===

impl Default for Limits {
    /// At most 700 requests in four minutes for each server, 10 s and 1 MiB for each answer, 200 sessions, four million texts.
    fn default() -> Self {
        Self {
            each: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            all: Duration::from_secs(240),
            requests: 700,
            bytes: 1 << 20,
            all_bytes: 64 << 20,
            samples: 200,
            guesses: 4_000_000,
        }
    }
}

/// Asks every server of a request, one after the other.
///
/// # Errors
/// [`BadRequest`], before anything was sent. What goes wrong afterwards stands in the notes.
pub async fn probe(request: &Request) -> Result<Live, BadRequest> {
    let tls = trust(&request.extra_ca).ok_or(BadRequest::Authorities)?;
    let mut visits = Vec::new();
    for server in &request.servers {
        let url = &server.url;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
            return Err(BadRequest::Url(shown(url)));
        }
        let bearing = [&server.own, &server.second, &server.foreign].into_iter().any(Option::is_some);
        if bearing && url.scheme() == "http" && !is_here(url) {
            return Err(BadRequest::Plain(shown(url)));
        }
        let key =
            |secret: &Option<Secret<String>>| secret.as_ref().map(|secret| Key::new(secret).ok_or(BadRequest::Credential)).transpose();
        let keys = Keys { own: key(&server.own)?, second: key(&server.second)?, foreign: key(&server.foreign)? };
        visits.push((url, keys));
    }
    let upstream = match request.upstream {
        Some(address) => Some(Upstream::listen(address).await.ok_or(BadRequest::Upstream(address))?),
        None => None,
    };
    let watch = Watch::new(request.now);
    let mut done = Vec::new();
    let mut findings = Vec::new();
    for (url, keys) in visits {
        let fence = Fence::new(url.clone(), &request.allowed);
        let door = Door::new(fence, request.limits, tls.clone(), request.pins.clone(), watch);
        let visit = Visit::new(door, url.clone(), keys, upstream.clone(), request.seed).with_names(&request.names);
        let asking = one(&visit);
        let found = match &upstream {
            Some(upstream) => upstream.beside(asking).await,
            None => asking.await,
        };
        findings.extend(found);
        done.push(visit);
    }
    for live in RULES {
        if let Look::All(look) = live.look {
            findings.extend(look(&done));
        }
    }
    let asked = |visit: &Visit| {
        let (requests, addresses) = visit.door.spent();
        Asked { url: visit.shown(), requests, addresses }
    };
    Ok(Live {
        rules: RULES.iter().map(|live| &live.rule).collect(),
        asked: done.iter().map(asked).collect(),
        findings,
        notes: done.iter().flat_map(Visit::notes).collect(),
        hidden: done.iter().flat_map(Visit::hidden).collect(),
    })
}

/// Lets every rule ask one server.
async fn one(visit: &Visit) -> Vec<Finding> {
    let mut findings = Vec::new();
    match visit.look().await {
        Ok(()) | Err(Stop::Untried(_)) => {}
        Err(stop) => visit.note("ended-early", format!("{stop}: nothing was found out")),
    }
    for live in RULES {
        let Look::One(look) = live.look else { continue };
        // What a server can be asked before it is known to be one is asked of each.
        if visit.known().is_none() && live.rule.id != "DW113" {
            continue;
        }
        match look(visit).await {
            Ok(found) => findings.extend(found),
            Err(Stop::Untried(why)) => visit.note("not-tried", format!("{}: {why}", live.rule.id)),
            Err(stop) => {
                visit.note("ended-early", format!("{stop}: ended at {}", live.rule.id));
                break;
            }
        }
    }
    // A limit that is reached while cleaning up changes nothing that was found.
    let _cleaned = visit.leave().await;
    findings
}

/// Whether an address is on this computer, as far as it tells by itself.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => Network::of(IpAddr::V4(ip)) == Network::Loopback,
        Some(Host::Ipv6(ip)) => Network::of(IpAddr::V6(ip)) == Network::Loopback,
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}
