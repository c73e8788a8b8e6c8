//! The identity providers of a configuration.

use super::{SetupError, secret};
use crate::egress::trust::Trust;
use crate::egress::{Egress, EgressSettings};
use crate::idp::{Asker, Issuer, Issuers, Provider, Providers};
use crate::sources::Sources;
use crate::tasks::Tasks;
use doorward_core::config::Config;
use doorward_core::oidc::journey::JourneyKey;
use doorward_core::secret::Secret;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// Connections to providers at a time: few, for they are for people who wait at a page.
const CONNECTIONS: usize = 32;
/// How long one is kept for the next question.
const IDLE: Duration = Duration::from_secs(20);
/// For one question to a provider, from the name to the last byte.
pub const PROVIDER_PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn providers(
    config: &Config,
    (master, sources): (&Secret<[u8; 32]>, &Sources),
    patience: Duration,
    tasks: &Tasks,
) -> Result<Providers, SetupError> {
    let key = JourneyKey::derive(master).map_err(|error| SetupError::Other(error.to_string()))?;
    let mut found = Vec::new();
    if !config.idps.is_empty() {
        let egress = door_to_providers(config, patience, tasks)?;
        for idp in config.idps.values() {
            let asker = Asker::new(idp.name.clone(), egress.clone(), patience);
            found.push(Provider::new(Arc::clone(idp), secret(&idp.client_secret, sources)?, asker));
        }
    }
    Ok(Providers::new(found, key))
}

/// Issuers whose tokens count at `/k/...`, over a door of their own: nobody who signs in waits for them.
pub(super) fn issuers(config: &Config, patience: Duration, tasks: &Tasks) -> Result<Issuers, SetupError> {
    let mut found = Vec::new();
    if !config.issuers.is_empty() {
        let egress = door_to_providers(config, patience, tasks)?;
        for issuer in &config.issuers {
            let name = issuer.rule.name.clone();
            let mut asker = Asker::new(name.clone(), egress.clone(), patience);
            if let Some(path) = &issuer.ca {
                let pem = fs::read(path).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
                asker = asker.trusting(Trust::only(&pem)?);
            }
            let issuer = Issuer::new(issuer.rule.clone(), issuer.keys.clone(), asker, tasks.clone());
            issuer.try_file().map_err(|trouble| SetupError::Other(format!("idp.{name}.jwks: {trouble}")))?;
            found.push(issuer);
        }
    }
    Ok(Issuers::new(found))
}

/// A door of its own: what a provider makes it hold takes no connection of a server.
fn door_to_providers(config: &Config, patience: Duration, tasks: &Tasks) -> Result<Egress, SetupError> {
    let mut settings = EgressSettings::new(tasks.clone());
    settings.connect_time = patience;
    settings.idle_time = IDLE;
    settings.idle_per_key = 4;
    settings.keys = CONNECTIONS;
    settings.connections = CONNECTIONS;
    settings.allow_private.clone_from(&config.egress.allow_private);
    if let Some(path) = &config.egress.ca {
        settings.extra_ca = fs::read(path).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
    }
    Ok(Egress::new(settings)?)
}
