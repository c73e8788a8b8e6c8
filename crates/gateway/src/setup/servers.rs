//! The servers of a configuration as what the gateway calls, each with the secret that is held for it.

use super::{SetupError, secret};
use crate::credential::google::Opening;
use crate::credential::google::carry::PATIENCE;
use crate::credential::{Broker, Entered, Granted};
use crate::egress::target::{Reach, Target};
use crate::egress::trust::Trust;
use crate::egress::{Egress, EgressSettings};
use crate::env::Env;
use crate::replies::Replies;
use crate::sources::Sources;
use crate::tasks::Tasks;
use crate::upstream::http::{HttpServer, Reasons};
use crate::upstream::stdio;
use crate::upstream::stdio::household::Launcher;
use crate::upstream::{Reached, StdioServer, Upstream};
use doorward_core::config::reference::SecretRef;
use doorward_core::config::{self, Config, CredentialConfig, Server};
use doorward_core::credential::{Principal, UpstreamSecret};
use doorward_core::screen::Searcher;
use http::{HeaderName, HeaderValue};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A server that was set up, and where its credential comes from.
pub type Configured = (Upstream, Broker);

/// Every server of a configuration with the secret that it holds, without a gateway around them: for `doorward server`. Processes
/// live below `state`, installed packages come from `packages`.
///
/// # Errors
/// [`SetupError`].
pub fn servers(
    config: &Config,
    state: &Path,
    packages: &Path,
    sources: &Sources,
    env: &Env,
    tasks: &Tasks,
) -> Result<Vec<Configured>, SetupError> {
    counting(config, state, packages, sources, env, (tasks, &Replies::of(config.limits.result_bytes.as_usize()), PATIENCE))
}

/// The same, with a count of their replies that somebody else looks at as well, and so long for a question to a cloud.
pub(super) fn counting(
    config: &Config,
    state: &Path,
    packages: &Path,
    sources: &Sources,
    env: &Env,
    (tasks, replies, patience): (&Tasks, &Replies, Duration),
) -> Result<Vec<Configured>, SetupError> {
    let egress = door_out(config, tasks)?;
    let stdio = config.servers.values().any(|server| matches!(server.target, config::Target::Stdio(_)));
    let launcher = match stdio {
        true => Some(Launcher::start(stdio::household::Options::new(state.to_owned()), env.clone())?),
        false => None,
    };
    let searcher = Arc::new(Searcher::new().map_err(|error| SetupError::Other(error.to_string()))?);
    let parts =
        |server| upstream(server, (&egress, replies, tasks, patience), sources, config, (launcher.as_ref(), packages, &searcher), env);
    config.servers.values().map(parts).collect()
}

fn door_out(config: &Config, tasks: &Tasks) -> Result<Egress, SetupError> {
    let mut settings = EgressSettings::new(tasks.clone());
    // As many idle streams as there may be clients each have one of their server behind them (FLT-05).
    settings.connections = settings.connections.max(usize::try_from(config.limits.connections.get()).unwrap_or(usize::MAX));
    settings.allow_private.clone_from(&config.egress.allow_private);
    if let Some(path) = &config.egress.ca {
        settings.extra_ca = fs::read(path).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
    }
    Ok(Egress::new(settings)?)
}

fn upstream(
    server: &Arc<Server>,
    (egress, replies, tasks, patience): (&Egress, &Replies, &Tasks, Duration),
    sources: &Sources,
    config: &Config,
    (launcher, packages, searcher): (Option<&Launcher>, &Path, &Arc<Searcher>),
    env: &Env,
) -> Result<Configured, SetupError> {
    match &server.target {
        config::Target::Http { url } => {
            let bad = |cause| SetupError::Target { server: server.name.to_string(), cause };
            let mut target = Target::new(url.as_str(), Reach::Configured).map_err(bad)?;
            if let Some(path) = &server.ca {
                let pem = fs::read(path).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
                target = target.trusting(Trust::only(&pem)?);
            }
            let mut headers = server.headers.clone();
            let held = match &server.credential {
                CredentialConfig::None => Broker::Fixed(None, Principal::new("none".to_owned())),
                CredentialConfig::Header { name, value } => {
                    let value = secret(value, sources)?;
                    let held = UpstreamSecret::from_source(name.as_str().to_owned(), value, target.origin());
                    let principal = Principal::new(format!("shared {} of {}", name.as_str(), server.name));
                    Broker::Fixed(Some(Arc::new(held)), principal)
                }
                CredentialConfig::UserSecret(deposit) => {
                    Broker::Entered(Entered::new(deposit.clone(), target.origin(), server.name.clone()))
                }
                CredentialConfig::Oauth(grantor) => {
                    let held = grantor.client_secret.as_ref().map(|reference| secret(reference, sources)).transpose()?;
                    let names = (server.name.clone(), server.title.clone());
                    let place = (url.as_str().to_owned(), &target);
                    let tools = (egress.clone(), tasks.clone());
                    Broker::Granted(Arc::new(Granted::new((grantor.as_ref().clone(), held), names, place, tools)))
                }
                CredentialConfig::Google(credential) => {
                    let opening = Opening { sources, egress, env, places: &config.places, patience };
                    let opened = opening
                        .broker(&server.name, credential, target.origin())
                        .map_err(|cause| SetupError::Credential { server: server.name.to_string(), cause })?;
                    headers.extend(opened.quota_project.as_deref().and_then(billed_to));
                    Broker::Google(Box::new(opened.broker))
                }
            };
            let reasons = if matches!(held, Broker::Google(_)) { Reasons::Google } else { Reasons::Untold };
            let http = HttpServer::new(egress.clone(), target, headers, &config.limits, server.timeout, replies.clone()).telling(reasons);
            Ok((Upstream::new(Arc::clone(server), Reached::Http(Arc::new(http)), Arc::clone(searcher), env)?, held))
        }
        config::Target::Stdio(command) => {
            let mut values = Vec::new();
            for (name, reference) in &command.env {
                values.push((name.clone(), Arc::new(secret(reference, sources)?)));
            }
            let launcher = launcher.ok_or_else(|| SetupError::Other("there is no launcher".to_owned()))?;
            // `plain:` is for what is no secret: a directory or a language that a reply may well name.
            let is_secret = |name: &String| !matches!(command.env.get(name), Some(SecretRef::Plain(_)));
            let held: Vec<_> = values.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| Arc::clone(value)).collect();
            let held = (!held.is_empty()).then(|| Arc::new(UpstreamSecret::from_environment(held.iter().map(AsRef::as_ref))));
            let stdio = StdioServer::new(command.clone(), values, launcher.clone(), config.limits.stream_messages, replies.clone())
                .with_packages(packages.to_owned());
            let held = Broker::Fixed(held, Principal::new("none".to_owned()));
            Ok((Upstream::new(Arc::clone(server), Reached::Stdio(Box::new(stdio)), Arc::clone(searcher), env)?, held))
        }
    }
}

/// The project that Google bills calls to (credentials 9.1): on calls, not on requests for tokens.
fn billed_to(project: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static("x-goog-user-project"), HeaderValue::from_str(project).ok()?))
}
