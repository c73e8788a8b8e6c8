//! `doorward scan --probe`: what is about to be asked is said and agreed to, credentials are read from their references, and the
//! rest is done by `doorward-probe`.

use crate::console::{Console, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house;
use crate::question::{Answer, confirmed, somebody};
use clap::Args;
use doorward_core::secret::Secret;
use doorward_gateway::env::Env;
use doorward_gateway::sources::env::Variables;
use doorward_gateway::sources::{Reference, Sources};
use doorward_probe::{Limits, Request, Server, probe};
use doorward_scan::Live;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

/// Options of `scan --probe`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asking servers")]
pub struct Probing {
    /// Ask the MCP server at this address; may be repeated
    #[arg(long, value_name = "URL")]
    pub probe: Vec<String>,
    /// Ask without a question beforehand
    #[arg(long, requires = "probe")]
    pub yes_probe: bool,
    /// A credential that the server accepts: env:NAME or file:/PATH, never the credential itself; with several servers one for each,
    /// in their order, or none
    #[arg(long, value_name = "REFERENCE", requires = "probe")]
    pub probe_token: Vec<String>,
    /// One of somebody else, to see whether sessions are kept apart
    #[arg(long, value_name = "REFERENCE", requires = "probe_token")]
    pub probe_second_token: Vec<String>,
    /// One that was made for another server, to see whether it is refused; the server sees it
    #[arg(long, value_name = "REFERENCE", requires = "probe")]
    pub probe_foreign_token: Vec<String>,
    /// A host outside the domain of the server that may be asked if the server names it; may be repeated
    #[arg(long, value_name = "HOST", requires = "probe")]
    pub probe_allow: Vec<String>,
    /// Sessions that are opened, and ended, to see whether their ids can be guessed
    #[arg(long, value_name = "N", requires = "probe", default_value_t = 200, value_parser = clap::value_parser!(u16).range(16..=250))]
    pub probe_samples: u16,
    /// A user name of the credential, to see whether ids are made of it; one in a JWT is known. May be repeated
    #[arg(long, value_name = "NAME", requires = "probe")]
    pub probe_user: Vec<String>,
    /// Listen here as the upstream of the server, to see whether it passes tokens on
    #[arg(long, value_name = "ADDRESS", requires = "probe")]
    pub probe_upstream: Option<SocketAddr>,
    /// Certificate authorities besides the system's, PEM
    #[arg(long, value_name = "FILE", requires = "probe")]
    pub probe_ca: Option<PathBuf>,
}

// === impl Probing ===

impl Probing {
    /// Asks, after a question; nothing where no server is named.
    ///
    /// # Errors
    /// [`Failure`] if an address or reference is none, or nobody agreed.
    pub(super) fn run(&self, console: &mut Console) -> Result<Option<Live>, Failure> {
        if self.probe.is_empty() {
            return Ok(None);
        }
        let request = self.request()?;
        self.agreed(&request, console)?;
        let bad = |cause| Failure::new(Exit::Usage, "scan.probe", "the servers cannot be asked", "doorward scan --help").because(cause);
        let live = house::runtime()?.block_on(probe(&request)).map_err(bad)?;
        Ok(Some(live))
    }

    fn request(&self) -> Result<Request, Failure> {
        let urls = self.probe.iter().map(|text| address(text)).collect::<Result<Vec<_>, Failure>>()?;
        let sources = Sources::new(Variables::new(std::env::vars_os()));
        let read = |references: &[String], option| credentials(references, option, urls.len(), &sources);
        let own = read(&self.probe_token, "--probe-token")?;
        let second = read(&self.probe_second_token, "--probe-second-token")?;
        let foreign = read(&self.probe_foreign_token, "--probe-foreign-token")?;
        let keys = own.into_iter().zip(second).zip(foreign);
        let servers = urls.into_iter().zip(keys).map(|(url, ((own, second), foreign))| Server { url, own, second, foreign }).collect();
        let extra_ca = self.probe_ca.as_ref().map(std::fs::read).transpose().map_err(|error| {
            Failure::new(Exit::Configuration, "scan.ca", "the certificate authorities cannot be read", "--probe-ca FILE, in PEM")
                .because(crate::settings::reason(&error))
        })?;
        let none = |cause| Failure::new(Exit::Internal, "scan.random", "there is no randomness", "try again").because(cause);
        let env = Env::system();
        Ok(Request {
            servers,
            allowed: self.probe_allow.clone(),
            upstream: self.probe_upstream,
            extra_ca: extra_ca.unwrap_or_default(),
            pins: BTreeMap::new(),
            limits: Limits { samples: usize::from(self.probe_samples), ..Limits::default() },
            names: self.probe_user.clone(),
            now: env.now().as_millis(),
            seed: env.bytes().map_err(none)?,
        })
    }

    /// Says what is about to be done. Only a yes lets it be done.
    fn agreed(&self, request: &Request, console: &mut Console) -> Result<(), Failure> {
        if self.yes_probe {
            return Ok(());
        }
        let refused = |first: &str| Failure::new(Exit::Usage, "scan.not_agreed", first, "--yes-probe is a yes beforehand");
        if somebody() == Answer::No {
            return Err(refused("asking a server needs a yes, and nobody is there to give it"));
        }
        let limits = &request.limits;
        for server in &request.servers {
            console.say(format!("  {}", shown(&server.url)));
        }
        console.say(format!("  At most {} requests to each, in {} s at most.", limits.requests, limits.all.as_secs()));
        console.say(format!("  {} sessions are opened and ended; a client is registered where registration is open.", limits.samples));
        console
            .say("  No tool is called. The server, and the authorization server that it names on its domain, will see and may record it.");
        match confirmed("Is this yours to ask, and shall it be asked", Answer::No) {
            Answer::Yes => Ok(()),
            Answer::No => Err(refused("nothing was asked")),
        }
    }
}

fn address(text: &str) -> Result<Url, Failure> {
    let help = "--probe https://mcp.acme.example/mcp, or http://127.0.0.1:8000/mcp";
    let bad = || Failure::new(Exit::Usage, "scan.probe", format!("\"{}\" is no address of an MCP server", without_secrets(text)), help);
    let url: Url = text.parse().map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err(bad());
    }
    Ok(url)
}

/// As much of a text that is no address as holds no secret.
fn without_secrets(text: &str) -> String {
    inert(text.rsplit('@').next().unwrap_or_default().split(['?', '#']).next().unwrap_or_default())
}

fn shown(url: &Url) -> String {
    without_secrets(url.as_str())
}

/// One for each server, in their order. A server never sees the credential of another because nobody said which it was for.
fn credentials(references: &[String], option: &str, servers: usize, sources: &Sources) -> Result<Vec<Option<Secret<String>>>, Failure> {
    if references.is_empty() {
        return Ok((0..servers).map(|_| None).collect());
    }
    if references.len() != servers {
        let help = format!("as many {option} as --probe, in the same order; none stands for no credential");
        return Err(Failure::new(Exit::Usage, "scan.token", format!("it is not said which server {option} is for"), help));
    }
    references.iter().map(|text| if text == "none" { Ok(None) } else { credential(text, option, sources).map(Some) }).collect()
}

fn credential(text: &str, option: &str, sources: &Sources) -> Result<Secret<String>, Failure> {
    let reference = Reference::parse(text).map_err(|bad| {
        // The text is not repeated: it may be the credential itself.
        Failure::new(Exit::Usage, "scan.token", format!("{option} is not a reference"), format!("{option} env:NAME or file:/PATH"))
            .because(bad)
    })?;
    sources.secret(&reference).map_err(|missing| {
        let help = "keep it in a file that only you can read, or in a variable";
        Failure::new(Exit::SignIn, "scan.token", format!("the credential of {option} cannot be read"), help).because(missing)
    })
}
