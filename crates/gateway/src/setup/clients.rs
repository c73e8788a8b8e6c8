//! The OAuth clients of a configuration.

use super::{SetupError, secret};
use crate::egress::{Egress, EgressSettings};
use crate::oauth::clients::Clients;
use crate::oauth::fetch::{Fetcher, PATIENCE};
use crate::sources::Sources;
use crate::tasks::Tasks;
use bytes::Bytes;
use doorward_core::config::Config;
use doorward_core::config::clients::{Jwks, StaticAuth, StaticClient};
use doorward_core::id::ClientId;
use doorward_core::oauth::catalogue;
use doorward_core::oauth::client::{Client, ClientAuth, Devices, DocumentSource, Keys, SecretDigest};
use doorward_core::oauth::device::COMMAND_LINE;
use doorward_core::oauth::document::{self, DocumentUrl};
use doorward_core::oauth::registration::{PREFIX, RegistrationKeys};
use doorward_core::oidc::keys::KeySet;
use doorward_core::secret::Secret;
use doorward_store::Store;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Longest file of keys, in bytes: as long as what is read at an address.
const LONGEST_KEYS: usize = 64 * 1024;
/// Characters of a secret that gives a client access of its own: as many as nobody guesses.
const SHORTEST: usize = 32;
/// Connections that documents are read over at a time: few, for they are for people who wait at a page.
const CONNECTIONS: usize = 32;
/// How long one is kept for the next document of its host.
const IDLE: Duration = Duration::from_secs(5);

pub(super) fn clients(
    config: &Config,
    master: &Secret<[u8; 32]>,
    store: &Store,
    sources: &Sources,
    tasks: &Tasks,
) -> Result<Clients, SetupError> {
    let keys = RegistrationKeys::derive(master).map_err(|error| SetupError::Other(error.to_string()))?;
    let own = command_line().into_iter().map(Ok);
    let managed = config.clients.enterprise.as_ref();
    let alone = |client: &StaticClient| {
        !client.own.is_empty() || !client.exchanges.is_empty() || managed.is_some_and(|managed| managed.clients.contains(&client.id))
    };
    let fixed = own.chain(config.clients.fixed.iter().map(|client| fixed(client, alone(client).then_some(SHORTEST), sources)));
    let fixed = fixed.collect::<Result<_, _>>()?;
    let fetcher = Fetcher::new(door_to_documents(config, tasks)?);
    Ok(Clients::new(config.clients.admission.clone(), fixed, keys, fetcher, store.clone()))
}

/// What a client says of itself, as far as it can be read without asking anybody.
pub(super) async fn described(
    config: &Config,
    master: &Secret<[u8; 32]>,
    store: &Store,
    id: &ClientId,
) -> Result<Option<Client>, SetupError> {
    let schemes = &config.clients.admission.schemes;
    if id.as_str().starts_with(PREFIX) {
        let keys = RegistrationKeys::derive(master).map_err(|error| SetupError::Other(error.to_string()))?;
        return Ok(keys.open(id.as_str(), schemes).ok());
    }
    let Ok(url) = DocumentUrl::new(id.as_str()) else { return Ok(None) };
    let entry = || catalogue::find(url.as_str()).and_then(|entry| entry.client(schemes).ok());
    Ok(match store.client_document(id).await? {
        None => entry(),
        Some(copy) => {
            copy.document.and_then(|body| document::parse(&url, &body.into(), DocumentSource::LastGood, copy.checked, schemes).ok())
        }
    })
}

/// The command line of this project, for devices only: public, so its name proves nothing, and the page says so. An entry of the configuration
/// with its id takes its place, and `clients.block` keeps it out.
fn command_line() -> Option<Client> {
    let id = ClientId::new(COMMAND_LINE).ok()?;
    let client = Client::configured(id, "Doorward command line".to_owned(), Vec::new(), ClientAuth::None);
    Some(client.with_devices(Devices::Named))
}

/// One of the configuration. What opens servers without a page is as long as nobody guesses.
fn fixed(client: &StaticClient, shortest: Option<usize>, sources: &Sources) -> Result<Client, SetupError> {
    let digest = |reference| {
        let secret = secret(reference, sources)?;
        if let Some(shortest) = shortest.filter(|shortest| !secret.has_at_least(*shortest)) {
            let text =
                format!("the secret of the client {} is shorter than {shortest} characters, and opens servers without a person", client.id);
            return Err(SetupError::Other(text));
        }
        Ok(SecretDigest::of(&secret))
    };
    let auth = match &client.auth {
        StaticAuth::None => ClientAuth::None,
        StaticAuth::Basic(reference) => ClientAuth::SecretBasic(digest(reference)?),
        StaticAuth::Post(reference) => ClientAuth::SecretPost(digest(reference)?),
        StaticAuth::PrivateKeyJwt(Jwks::File(path)) => ClientAuth::PrivateKeyJwt(Keys::Inline(key_set(path)?)),
        StaticAuth::PrivateKeyJwt(Jwks::At(url)) => ClientAuth::PrivateKeyJwt(Keys::At(url.as_str().to_owned())),
    };
    let known = Client::configured(client.id.clone(), client.name.clone(), client.redirects.clone(), auth);
    Ok(known.acting_for_itself(client.own.clone()).exchanging(client.exchanges.clone()).with_devices(client.devices))
}

/// A file of public keys that can be used: what is wrong with it is said at start, not to the client.
fn key_set(path: &Path) -> Result<String, SetupError> {
    let text = fs::read_to_string(path).map_err(|cause| SetupError::File { path: path.to_owned(), cause })?;
    if text.len() > LONGEST_KEYS {
        return Err(SetupError::Other(format!("{}, the keys of a client: more than 64 KiB", path.display())));
    }
    KeySet::parse(&Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|why| SetupError::Other(format!("{}, the keys of a client: {why}", path.display())))?;
    Ok(text)
}

/// A door of its own: what somebody else's client id makes it hold takes no connection of a server, and no private network that is
/// opened for servers is open here.
fn door_to_documents(config: &Config, tasks: &Tasks) -> Result<Egress, SetupError> {
    let mut settings = EgressSettings::new(tasks.clone());
    settings.connect_time = PATIENCE;
    settings.idle_time = IDLE;
    settings.idle_per_key = 1;
    settings.keys = CONNECTIONS;
    settings.connections = CONNECTIONS;
    if let Some(path) = &config.egress.ca {
        settings.extra_ca = fs::read(path).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
    }
    Ok(Egress::new(settings)?)
}
