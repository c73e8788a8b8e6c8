//! `external_account`: a workload or a person that another provider vouches for (credentials 9.6).

use super::{BadFile, Fields};
use crate::credential::google::places::{Places, TokenHost};
use crate::credential::google::{Account, Lifetime};
use crate::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// The file.
#[derive(Debug)]
pub struct External {
    /// The provider of the pool, as IAM names it.
    pub audience: String,
    pub(in crate::credential::google) subject_token_type: String,
    pub(in crate::credential::google) token_url: String,
    pub(in crate::credential::google) client: Option<(String, Secret<String>)>,
    pub(in crate::credential::google) user_project: Option<String>,
    /// Where the token of the other provider is.
    pub source: SubjectSource,
    /// The account that the federated identity becomes.
    pub impersonation: Option<Impersonation>,
}

/// An account that a federated identity becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonation {
    /// Which account.
    pub target: Account,
    /// For how long.
    pub lifetime: Lifetime,
}

/// Where the token of the other provider is.
#[derive(Debug)]
pub enum SubjectSource {
    /// In a file, which is read anew each time.
    File {
        /// Its absolute path.
        path: PathBuf,
        /// How it is written there.
        format: Format,
    },
    /// At an address.
    Url {
        /// The address, at a host that the operator listed.
        url: String,
        /// Headers of the request.
        headers: Vec<(String, Secret<String>)>,
        /// How it is written in the answer.
        format: Format,
    },
    /// A signed request to the token service of AWS, which shows who signs it.
    Aws(Aws),
}

/// Where the metadata service of AWS tells region, role and keys; absent means that only variables do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// Gives the zone.
    pub region_url: Option<String>,
    /// Gives the role and, below it, its keys.
    pub keys_url: Option<String>,
    /// Gives a session of the second version of the service; without one nothing is asked (CLD-03).
    pub session_url: Option<String>,
}

/// How a token is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Alone.
    Text,
    /// In this member of a JSON object.
    Json(String),
}

/// Google's own default of an impersonated token of a federated identity: an hour.
const LIFETIME: Duration = Duration::from_secs(3_600);
/// The one form of this field; the region is filled in by whoever signs.
const VERIFICATION_URL: &str = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

pub(super) fn read_external(fields: &Fields, places: &Places) -> Result<External, BadFile> {
    let audience = fields.required("audience")?;
    if !audience.starts_with("//iam.") {
        return Err(BadFile::Field("audience"));
    }
    let source = fields.object("credential_source")?.ok_or(BadFile::Missing("credential_source"))?;
    let source = read_source(&source, places)?;
    let subject_token_type = fields.required("subject_token_type")?;
    let is_aws = matches!(source, SubjectSource::Aws(_));
    if is_aws != (subject_token_type == "urn:ietf:params:aws:token-type:aws4_request") || subject_token_type.contains(' ') {
        return Err(BadFile::Field("subject_token_type"));
    }
    let client = match (fields.text("client_id")?, fields.text("client_secret")?) {
        (Some(id), Some(secret)) => Some((id, Secret::new(secret))),
        (None, None) => None,
        (Some(_), None) => return Err(BadFile::Missing("client_secret")),
        (None, Some(_)) => return Err(BadFile::Missing("client_id")),
    };
    Ok(External {
        audience,
        subject_token_type,
        token_url: fields.place("token_url", |text| places.token_url(text, TokenHost::Sts))?,
        client,
        user_project: fields.text("workforce_pool_user_project")?,
        source,
        impersonation: read_impersonation(fields, places)?,
    })
}

fn read_impersonation(fields: &Fields, places: &Places) -> Result<Option<Impersonation>, BadFile> {
    if fields.text("service_account_impersonation_url")?.is_none() {
        return Ok(None);
    }
    let target = fields.place("service_account_impersonation_url", |text| places.impersonated(text))?;
    let seconds = match fields.object("service_account_impersonation")? {
        None => None,
        Some(options) => match options.0.member("token_lifetime_seconds") {
            None => None,
            Some(value) => Some(value.as_integer().and_then(|n| u64::try_from(n).ok()).ok_or(BadFile::Field("token_lifetime_seconds"))?),
        },
    };
    let span = seconds.map_or(LIFETIME, Duration::from_secs);
    let lifetime = Lifetime::new(span).map_err(|_| BadFile::Field("token_lifetime_seconds"))?;
    Ok(Some(Impersonation { target, lifetime }))
}

fn read_source(source: &Fields, places: &Places) -> Result<SubjectSource, BadFile> {
    if source.has("executable") {
        return Err(BadFile::Executable);
    }
    if source.has("certificate") {
        return Err(BadFile::Certificate);
    }
    if source.has("environment_id") {
        return read_aws(source, places).map(SubjectSource::Aws);
    }
    let format = read_format(source)?;
    match (source.text("file")?, source.has("url")) {
        (Some(_), true) => Err(BadFile::Field("credential_source")),
        (Some(path), false) => {
            let path = PathBuf::from(path);
            if path.is_absolute() { Ok(SubjectSource::File { path, format }) } else { Err(BadFile::Field("credential_source.file")) }
        }
        (None, true) => {
            let url = source.place("url", |text| places.subject_url(text))?;
            Ok(SubjectSource::Url { url, headers: read_headers(source)?, format })
        }
        (None, false) => Err(BadFile::Missing("credential_source.file")),
    }
}

fn read_format(source: &Fields) -> Result<Format, BadFile> {
    let Some(format) = source.object("format")? else { return Ok(Format::Text) };
    match format.text("type")?.as_deref() {
        None | Some("text") => Ok(Format::Text),
        Some("json") => format.required("subject_token_field_name").map(Format::Json),
        Some(_) => Err(BadFile::Field("credential_source.format")),
    }
}

/// Headers of the file: none that belongs to the connection or names another host.
fn read_headers(source: &Fields) -> Result<Vec<(String, Secret<String>)>, BadFile> {
    const WRONG: BadFile = BadFile::Field("credential_source.headers");
    let Some(headers) = source.object("headers")? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (name, value) in headers.members() {
        let name = name.to_ascii_lowercase();
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let own = ["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "accept-encoding"]
            .contains(&name.as_str());
        let text = value.as_text().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        match text {
            Some(text) if plain && !own && all.len() < 16 => all.push((name, Secret::new(text.into_owned()))),
            _ => return Err(WRONG),
        }
    }
    Ok(all)
}

fn read_aws(source: &Fields, places: &Places) -> Result<Aws, BadFile> {
    if source.required("environment_id")? != "aws1" {
        return Err(BadFile::Field("credential_source.environment_id"));
    }
    if source.required("regional_cred_verification_url")? != VERIFICATION_URL {
        return Err(BadFile::Field("credential_source.regional_cred_verification_url"));
    }
    let at = |name: &'static str| match source.text(name)? {
        None => Ok(None),
        Some(_) => source.place(name, |text| places.imds_url(text)).map(Some),
    };
    let aws = Aws { region_url: at("region_url")?, keys_url: at("url")?, session_url: at("imdsv2_session_token_url")? };
    let asks = aws.region_url.is_some() || aws.keys_url.is_some();
    if asks && aws.session_url.is_none() {
        return Err(BadFile::Missing("credential_source.imdsv2_session_token_url"));
    }
    Ok(aws)
}
