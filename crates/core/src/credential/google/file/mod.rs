//! Credential files of Google (credentials 9.2), read strictly and against the rules of hosts (6.7; attack CLD-02).
//!
//! What a file names is never executed, and no address in it is believed unless [`Places`] has it. Fields that nobody reads may be there;
//! a field twice is an error. Secrets go into [`Secret`] and are not printed.

pub mod external;

use super::places::{Places, TokenHost};
use super::sign::{BadKey, Key, Purpose};
use super::{Account, NotA, Scopes};
use crate::json::RawJson;
use crate::secret::Secret;
use crate::time::Timestamp;
use bytes::Bytes;
use external::{External, read_external};
use std::time::Duration;

/// A credential file.
#[derive(Debug)]
pub struct CredentialFile {
    /// Who it makes of whoever has it.
    pub kind: Kind,
    /// `quota_project_id`.
    pub quota_project: Option<String>,
    /// `project_id`.
    pub project: Option<String>,
}

/// The kinds of credential files.
#[derive(Debug)]
pub enum Kind {
    /// `authorized_user`: a person, by `gcloud auth application-default login`.
    User(AuthorizedUser),
    /// `service_account`: a key.
    Account(Box<ServiceAccount>),
    /// `impersonated_service_account`: an account that another credential becomes.
    Impersonated(Box<Impersonated>),
    /// `external_account`: a workload that another provider vouches for.
    External(Box<External>),
    /// `external_account_authorized_user`: a person of a workforce pool.
    ExternalUser(ExternalUser),
}

/// A person's refresh token.
#[derive(Debug)]
pub struct AuthorizedUser {
    pub(super) client_id: String,
    pub(super) client_secret: Secret<String>,
    pub(super) refresh_token: Secret<String>,
    pub(super) token_uri: String,
}

/// A service account with its key.
#[derive(Debug)]
pub struct ServiceAccount {
    /// Which account.
    pub email: Account,
    pub(super) key: Key,
    pub(super) token_uri: String,
}

/// An account that another credential becomes.
#[derive(Debug)]
pub struct Impersonated {
    /// Which account.
    pub target: Account,
    /// By way of these.
    pub delegates: Vec<Account>,
    /// Scopes of the file, where none are asked for.
    pub scopes: Option<Scopes>,
    /// Who becomes it. Never another [`Kind::Impersonated`].
    pub source: Kind,
}

/// A person of a workforce pool.
#[derive(Debug)]
pub struct ExternalUser {
    pub(super) client_id: String,
    pub(super) client_secret: Secret<String>,
    pub(super) refresh_token: Secret<String>,
    pub(super) token_url: String,
}

/// Why a file is no credential. Nothing of it is repeated but names of fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    /// Not one JSON object, a field twice, or more than 64 KiB.
    #[error("it is not one JSON object, with each field once")]
    Form,
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is of another kind, empty, or has characters that it must not have.
    #[error("{0} is not usable")]
    Field(&'static str),
    /// `type` is none of those that are known.
    #[error(
        "its type is not one of authorized_user, service_account, impersonated_service_account, external_account and external_account_authorized_user"
    )]
    Type,
    /// An address that is not one of this universe, or not on a list.
    #[error("{0} is {1}")]
    Place(&'static str, Unlisted),
    /// `universe_domain` is another one than that of this installation.
    #[error("universe_domain is another one than endpoints.universe_domain")]
    Universe,
    /// `credential_source.executable`: nothing that a file names is run.
    #[error("credential_source names a program, and nothing that a credential file names is run: use a file, a url or aws")]
    Executable,
    /// `credential_source.certificate`.
    #[error("credential_source names a certificate, which is not offered: use a file, a url or aws")]
    Certificate,
    /// An impersonated account as the source of another one.
    #[error("source_credentials are impersonated themselves: list the accounts between in delegates")]
    Nested,
    /// The private key.
    #[error("{0}")]
    Key(BadKey),
}

/// An address that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unlisted(NotA);

/// Bytes of a credential file.
pub const LARGEST: usize = 64 * 1024;
/// Nesting: credentials in credentials in an object.
const DEPTH: usize = 8;
const LONGEST_TEXT: usize = 16 * 1024;

// === impl CredentialFile ===

impl CredentialFile {
    /// Reads a credential file.
    ///
    /// # Errors
    /// [`BadFile`].
    pub fn parse(bytes: &Bytes, places: &Places) -> Result<Self, BadFile> {
        let whole = Some(bytes).filter(|bytes| bytes.len() <= LARGEST).and_then(|bytes| RawJson::parse(bytes, DEPTH).ok());
        let fields = Fields(whole.filter(RawJson::is_object).ok_or(BadFile::Form)?);
        let kind = read(&fields, places, Nesting::Outer)?;
        Ok(Self { kind, quota_project: fields.text("quota_project_id")?, project: fields.text("project_id")? })
    }

    /// Which service account calls go as, where the file says so: a target that is the same would be no narrower (9.9).
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        self.kind.account()
    }

    /// Whether the file itself opens something: then nobody else may read it.
    #[must_use]
    pub fn holds_a_secret(&self) -> bool {
        self.kind.holds_a_secret()
    }
}

impl Kind {
    /// Which service account calls go as, where that is known.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) => Some(&account.email),
            Self::Impersonated(impersonated) => Some(&impersonated.target),
            Self::External(external) => external.impersonation.as_ref().map(|becoming| &becoming.target),
            Self::User(_) | Self::ExternalUser(_) => None,
        }
    }

    fn holds_a_secret(&self) -> bool {
        match self {
            Self::External(external) => external.client.is_some(),
            Self::Impersonated(impersonated) => impersonated.source.holds_a_secret(),
            Self::User(_) | Self::Account(_) | Self::ExternalUser(_) => true,
        }
    }

    /// `type`, as the file says it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::User(_) => "authorized_user",
            Self::Account(_) => "service_account",
            Self::Impersonated(_) => "impersonated_service_account",
            Self::External(_) => "external_account",
            Self::ExternalUser(_) => "external_account_authorized_user",
        }
    }
}

impl ServiceAccount {
    /// How long a token counts that the key itself signs.
    pub const LIFE: Duration = Duration::from_secs(3_590);

    /// Where its assertions are exchanged.
    #[must_use]
    pub fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// A token that the key signs, for APIs that take it as it is: without a question to anybody (9.2).
    ///
    /// # Errors
    /// [`BadKey::Signing`].
    pub fn itself(&self, scopes: &Scopes, now: Timestamp) -> Result<Secret<String>, BadKey> {
        self.key.assertion(&self.email, &Purpose::Itself { scopes }, now)
    }
}

impl ExternalUser {
    /// The refresh token of the file: the provider may have given another one since.
    #[must_use]
    pub const fn refresh_token(&self) -> &Secret<String> {
        &self.refresh_token
    }
}

/// Whether credentials stand in others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outer,
    Source,
}

fn read(fields: &Fields, places: &Places, nesting: Nesting) -> Result<Kind, BadFile> {
    if fields.text("universe_domain")?.is_some_and(|universe| universe != places.universe()) {
        return Err(BadFile::Universe);
    }
    match fields.required("type")?.as_str() {
        "authorized_user" => Ok(Kind::User(AuthorizedUser {
            client_id: fields.required("client_id")?,
            client_secret: fields.secret("client_secret")?,
            refresh_token: fields.secret("refresh_token")?,
            token_uri: token_uri(fields, places)?,
        })),
        "service_account" => {
            let id = fields.text("private_key_id")?;
            let email = Account::named(&fields.required("client_email")?).map_err(|_| BadFile::Field("client_email"))?;
            let pem = Secret::new(fields.lines("private_key")?);
            let key = Key::from_pem(&pem, id).map_err(BadFile::Key)?;
            Ok(Kind::Account(Box::new(ServiceAccount { email, key, token_uri: token_uri(fields, places)? })))
        }
        "impersonated_service_account" if nesting == Nesting::Source => Err(BadFile::Nested),
        "impersonated_service_account" => read_impersonated(fields, places).map(|file| Kind::Impersonated(Box::new(file))),
        "external_account" => read_external(fields, places).map(|file| Kind::External(Box::new(file))),
        "external_account_authorized_user" => Ok(Kind::ExternalUser(ExternalUser {
            client_id: fields.required("client_id")?,
            client_secret: fields.secret("client_secret")?,
            refresh_token: fields.secret("refresh_token")?,
            token_url: fields.place("token_url", |text| places.token_url(text, TokenHost::Sts))?,
        })),
        _ => Err(BadFile::Type),
    }
}

fn read_impersonated(fields: &Fields, places: &Places) -> Result<Impersonated, BadFile> {
    let target = fields.place("service_account_impersonation_url", |text| places.impersonated(text))?;
    let source = fields.object("source_credentials")?.ok_or(BadFile::Missing("source_credentials"))?;
    let delegate = |text: &String| {
        let bare = text.strip_prefix("projects/-/serviceAccounts/").unwrap_or(text);
        Account::new(bare).map_err(|_| BadFile::Field("delegates"))
    };
    let delegates = fields.texts("delegates")?.iter().map(delegate).collect::<Result<Vec<_>, _>>()?;
    let scopes = match fields.texts("scopes")? {
        texts if texts.is_empty() => None,
        texts => Some(Scopes::new(texts.iter().map(String::as_str)).map_err(|_| BadFile::Field("scopes"))?),
    };
    Ok(Impersonated { target, delegates, scopes, source: read(&source, places, Nesting::Source)? })
}

/// `token_uri`; the endpoint of the universe where there is none.
fn token_uri(fields: &Fields, places: &Places) -> Result<String, BadFile> {
    match fields.text("token_uri")? {
        None => Ok(format!("{}/token", places.oauth2())),
        Some(_) => fields.place("token_uri", |text| places.token_url(text, TokenHost::OAuth2)),
    }
}

/// The fields of one object.
pub(super) struct Fields(RawJson);

impl Fields {
    /// A text of visible ASCII characters and blanks; `null` counts as left out.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, BadFile> {
        let Some(value) = self.0.member(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let text = value.as_text().ok_or(BadFile::Field(name))?;
        let fits = (1..=LONGEST_TEXT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if fits { Ok(Some(text.into_owned())) } else { Err(BadFile::Field(name)) }
    }

    pub(super) fn required(&self, name: &'static str) -> Result<String, BadFile> {
        self.text(name)?.ok_or(BadFile::Missing(name))
    }

    fn secret(&self, name: &'static str) -> Result<Secret<String>, BadFile> {
        self.required(name).map(Secret::new)
    }

    /// A text with line ends: a key in PEM.
    fn lines(&self, name: &'static str) -> Result<String, BadFile> {
        let value = self.0.member(name).ok_or(BadFile::Missing(name))?;
        let text = value.as_text().ok_or(BadFile::Field(name))?;
        let fits = text.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\r'));
        if fits { Ok(text.into_owned()) } else { Err(BadFile::Field(name)) }
    }

    /// A list of texts; empty where there is none.
    fn texts(&self, name: &'static str) -> Result<Vec<String>, BadFile> {
        let Some(value) = self.0.member(name).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
        let all = value.elements().ok_or(BadFile::Field(name))?;
        all.iter().map(|one| one.as_text().map(std::borrow::Cow::into_owned).ok_or(BadFile::Field(name))).collect()
    }

    pub(super) fn object(&self, name: &'static str) -> Result<Option<Self>, BadFile> {
        match self.0.member(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) if value.is_object() => Ok(Some(Self(value))),
            Some(_) => Err(BadFile::Field(name)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.member(name).is_some()
    }

    pub(super) fn members(&self) -> Vec<(String, RawJson)> {
        self.0.members().unwrap_or_default()
    }

    pub(super) fn place<T>(&self, name: &'static str, check: impl FnOnce(&str) -> Result<T, NotA>) -> Result<T, BadFile> {
        let text = self.required(name)?;
        check(&text).map_err(|wanted| BadFile::Place(name, Unlisted(wanted)))
    }
}

#[cfg(test)]
mod tests;
