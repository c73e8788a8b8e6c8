//! Who Doorward is at Google, found out at start: variables and files are read once, and whatever is broken refuses the start rather than
//! make somebody else of the gateway (credentials 9.1 and 9.9; I7).

use super::Google;
use super::carry::{Carrier, StandIns};
use super::held::Held;
use super::source::{Source, Who};
use crate::credential::mints::Mints;
use crate::egress::Egress;
use crate::env::Env;
use crate::sources::{Kind, NoSecret, Openness, Reference, Sources, file};
use bytes::Bytes;
use doorward_core::config::google::{GoogleCredential, GoogleSource, Yields};
use doorward_core::config::reference::SecretRef;
use doorward_core::credential::Origin;
use doorward_core::credential::aws::sigv4::{Keys, is_region};
use doorward_core::credential::google::Account;
use doorward_core::credential::google::adc::{self, Nowhere, Presence, Resolved, Surroundings};
use doorward_core::credential::google::file::{BadFile, CredentialFile, Kind as FileKind};
use doorward_core::credential::google::places::{Loopback, Places};
use doorward_core::credential::google::subject::AwsVariables;
use doorward_core::id::ServerName;
use doorward_core::secret::Secret;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OnceCell;

/// What brokers are opened with.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Where references and variables lead.
    pub sources: &'a Sources,
    /// The door out.
    pub egress: &'a Egress,
    /// Clock and randomness.
    pub env: &'a Env,
    /// Where the services of Google are.
    pub places: &'a Places,
    /// For one question with all its tries: [`super::carry::PATIENCE`], but for tests.
    pub patience: Duration,
}

/// A broker, and what else its requests carry.
#[derive(Debug)]
pub struct Opened {
    /// The broker.
    pub broker: Google,
    /// The project that calls are billed to.
    pub quota_project: Option<String>,
}

/// Why there is no broker. Texts name references, paths and fields, never values.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// There are no application default credentials.
    #[error("application default credentials: {0}")]
    Nowhere(Nowhere),
    /// The reference or file gave nothing.
    #[error(transparent)]
    Secret(#[from] NoSecret),
    /// The path has a form that no credential file may have.
    #[error("the credential file {0} cannot be read: its path is not an absolute one in its shortest form")]
    Path(String),
    /// The file is no credential.
    #[error("the credential file {0}: {1}")]
    File(String, BadFile),
    /// It holds a secret, and others may read it.
    #[error("the credential file {0} holds a secret, and its mode {1:04o} lets others read it; use 0600 or 0400")]
    Open(String, u32),
    /// `GCE_METADATA_HOST` names another host.
    #[error("GCE_METADATA_HOST does not name the metadata server: metadata.google.internal or its address")]
    MetadataHost,
    /// The gateway would become itself.
    #[error("{0} is the gateway's own account: what comes of becoming oneself is no narrower; name another account")]
    OwnAccount(Account),
    /// A person has no ID token for an audience of choice.
    #[error("an ID token needs an account: {0} has none for an audience of choice; add service_account")]
    NoIdentity(&'static str),
    /// What a provider gives for it is all that its person has.
    #[error("scopes do not narrow what external_account_authorized_user gives; let it become an account by gcp-impersonate")]
    NotNarrowed,
}

impl Opening<'_> {
    /// The broker of a server.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn broker(&self, server: &ServerName, credential: &GoogleCredential, origin: Origin) -> Result<Opened, Unopened> {
        let around = self.surroundings();
        let places = match around.metadata_host.as_deref().filter(|_| *self.places == without_metadata(self.places)) {
            Some(host) => self.places.clone().with_metadata_host(host).map_err(|_| Unopened::MetadataHost)?,
            None => self.places.clone(),
        };
        let (who, wherefrom) = self.who(&credential.source, &around, &places)?;
        self.check(&who, credential)?;
        let (in_file, kind) = match &who {
            Who::Machine => (None, "the account of this machine"),
            Who::File(file) => (file.quota_project.clone(), file.kind.word()),
        };
        tracing::info!(%server, source = %credential.source, %wherefrom, kind, "who Doorward is at Google");
        let quota_project = adc::quota_project(&around, credential.quota_project.as_deref(), in_file.as_deref()).map(str::to_owned);
        let stand_ins = if places.loopback() == Loopback::Allowed { StandIns::Yes } else { StandIns::No };
        let carrier = Carrier::new((self.egress, self.env), server, self.patience, stand_ins);
        let source = Source { carrier, places, who, aws: self.aws(), held: Held::default(), machine: OnceCell::new() };
        let broker = Google {
            source: Arc::new(source),
            yields: credential.yields.clone(),
            origin,
            server: server.clone(),
            mints: Mints::default(),
            replaced: Mutex::default(),
        };
        Ok(Opened { broker, quota_project })
    }

    /// The credential, and where it was found.
    fn who(&self, source: &GoogleSource, around: &Surroundings, places: &Places) -> Result<(Who, String), Unopened> {
        let reference = match source {
            GoogleSource::Metadata => return Ok((Who::Machine, "the metadata server".to_owned())),
            GoogleSource::Adc => match adc::resolve(around, presence).map_err(Unopened::Nowhere)? {
                Resolved::Metadata => return Ok((Who::Machine, "the metadata server".to_owned())),
                Resolved::File { path, .. } => SecretRef::File(path),
            },
            GoogleSource::File(reference) => reference.clone(),
        };
        let name = reference.to_string();
        let (bytes, openness) = self.document(&reference)?;
        let file = CredentialFile::parse(&Bytes::from(bytes), places).map_err(|bad| Unopened::File(name.clone(), bad))?;
        match openness {
            Openness::Open(mode) if file.holds_a_secret() => Err(Unopened::Open(name, mode)),
            Openness::Open(_) | Openness::Closed => Ok((Who::File(file), name)),
        }
    }

    fn document(&self, reference: &SecretRef) -> Result<(Vec<u8>, Openness), Unopened> {
        let (kind, text) = match reference {
            SecretRef::Env(name) => (Kind::Env, name.clone()),
            SecretRef::File(path) => (Kind::File, path.display().to_string()),
            SecretRef::Cred(name) => (Kind::Cred, name.clone()),
            SecretRef::Plain(value) => return Ok((value.expose().clone().into_bytes(), Openness::Closed)),
        };
        let reference = Reference::new(kind, &text).map_err(|_| Unopened::Path(text))?;
        Ok(self.sources.document(&reference)?)
    }

    /// What the file itself says already is not left to the first call.
    fn check(&self, who: &Who, credential: &GoogleCredential) -> Result<(), Unopened> {
        let Who::File(file) = who else { return Ok(()) };
        let own = file.account();
        if let Some(target) = credential.accounts().into_iter().find(|target| Some(*target) == own) {
            return Err(Unopened::OwnAccount(target.clone()));
        }
        let is_bare = matches!(&credential.yields, Yields::Identity(identity) if identity.account.is_none());
        let has_none = match &file.kind {
            FileKind::User(_) | FileKind::ExternalUser(_) => true,
            FileKind::External(external) => external.impersonation.is_none(),
            FileKind::Account(_) | FileKind::Impersonated(_) => false,
        };
        // Its provider gives all that the person has: nothing that is written here would narrow it.
        if matches!((&file.kind, &credential.yields), (FileKind::ExternalUser(_), Yields::Access(_))) {
            return Err(Unopened::NotNarrowed);
        }
        if is_bare && has_none { Err(Unopened::NoIdentity(file.kind.word())) } else { Ok(()) }
    }

    fn surroundings(&self) -> Surroundings {
        let word = |name: &str| self.sources.variables().word(name);
        Surroundings {
            application_credentials: word("GOOGLE_APPLICATION_CREDENTIALS"),
            cloudsdk_config: word("CLOUDSDK_CONFIG"),
            home: word("HOME"),
            quota_project: word("GOOGLE_CLOUD_QUOTA_PROJECT"),
            project: word("GOOGLE_CLOUD_PROJECT"),
            older_project: word("GCLOUD_PROJECT"),
            metadata_host: word("GCE_METADATA_HOST").or_else(|| word("GCE_METADATA_ROOT")),
            no_gce_check: word("NO_GCE_CHECK"),
        }
    }

    fn aws(&self) -> AwsVariables {
        let word = |name: &str| self.sources.variables().word(name).filter(|text| !text.is_empty());
        let keys = word("AWS_ACCESS_KEY_ID").zip(word("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| Keys {
            id,
            secret: Secret::new(secret),
            session: word("AWS_SESSION_TOKEN").map(Secret::new),
        });
        AwsVariables { region: word("AWS_REGION").or_else(|| word("AWS_DEFAULT_REGION")).filter(|region| is_region(region)), keys }
    }
}

/// The same places with the metadata server at its usual name: whether the configuration names another one.
fn without_metadata(places: &Places) -> Places {
    places.clone().with_metadata_host("metadata.google.internal").unwrap_or_else(|_| places.clone())
}

/// Whatever cannot be looked at counts as there: then it has to be readable.
fn presence(path: &Path) -> Presence {
    if file::is_absent(path) { Presence::Absent } else { Presence::There }
}

#[cfg(test)]
mod tests;
