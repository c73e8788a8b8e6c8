//! What is asked of Google, as values: where, how, and with which secrets. Sends nothing. Credentials 9.2 to 9.6.
//!
//! No URL holds a secret. Secrets are in headers and in the bodies of forms, both [`Secret`].

use super::file::external::External;
use super::file::{AuthorizedUser, ExternalUser, ServiceAccount};
use super::places::Places;
use super::sign::{BadKey, Purpose};
use super::{Account, Lifetime, Scopes};
use crate::json::RawJson;
use crate::json::write::{Flag, ObjectWriter};
use crate::oauth::form::encoded;
use crate::secret::Secret;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// One request.
pub struct Ask {
    /// What kind of server it goes to: which addresses it may have, how long it may take.
    pub to: To,
    /// The method.
    pub method: Method,
    /// The whole address, without secrets.
    pub url: String,
    /// Name in lower case, and value.
    pub headers: Vec<(String, Secret<String>)>,
    /// What it carries.
    pub body: Body,
}

/// What kind of server a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum To {
    /// A token endpoint, or IAM: on the internet.
    Google,
    /// The metadata server of this machine, link-local and without TLS (credentials 9.3).
    Metadata,
    /// Where a subject token comes from: a host that the operator listed.
    Subject,
    /// The instance metadata service of AWS, link-local and without TLS.
    Imds,
}

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`, for a session of the instance metadata service alone.
    Put,
}

/// What a request carries.
pub enum Body {
    /// Nothing.
    None,
    /// `application/x-www-form-urlencoded`.
    Form(Secret<String>),
    /// `application/json`; holds no secret.
    Json(RawJson),
}

/// `grant_type` of RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// `grant_type` of RFC 8693.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// `requested_token_type` of RFC 8693.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The account of a machine.
const DEFAULT_ACCOUNT: &str = "computeMetadata/v1/instance/service-accounts/default";

/// A new access token for a person's refresh token (9.2). The parameter is `scope`, not `scopes` (18.2, defect 6).
#[must_use]
pub fn refresh(user: &AuthorizedUser, scopes: Option<&Scopes>) -> Ask {
    let scope = scopes.map(Scopes::joined);
    let mut pairs = vec![
        ("grant_type", "refresh_token"),
        ("client_id", user.client_id.as_str()),
        ("client_secret", user.client_secret.expose().as_str()),
        ("refresh_token", user.refresh_token.expose().as_str()),
    ];
    pairs.extend(scope.as_deref().map(|scope| ("scope", scope)));
    Ask::form(user.token_uri.clone(), &pairs)
}

/// The same for a person of a workforce pool (9.2), with the client in a header. `token` is that of the file, or the one that came after it.
#[must_use]
pub fn refresh_external(user: &ExternalUser, token: &Secret<String>) -> Ask {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token.expose().as_str())];
    let mut ask = Ask::form(user.token_url.clone(), &pairs);
    ask.headers.push(basic(&user.client_id, &user.client_secret));
    ask
}

/// An access token, or an ID token, for an assertion of a service account (RFC 7523; 9.2).
///
/// # Errors
/// [`BadKey`] if its key signs nothing.
pub fn grant(account: &ServiceAccount, purpose: &Purpose<'_>, now: Timestamp) -> Result<Ask, BadKey> {
    let assertion = account.key.assertion(&account.email, purpose, now)?;
    Ok(exchange_assertion(account.token_uri.clone(), &assertion))
}

/// A token for an assertion that was signed elsewhere, by IAM for example (9.5).
#[must_use]
pub fn exchange_assertion(token_uri: String, assertion: &Secret<String>) -> Ask {
    Ask::form(token_uri, &[("grant_type", JWT_BEARER), ("assertion", assertion.expose().as_str())])
}

/// A federated access token for a subject token (RFC 8693; 9.6).
#[must_use]
pub fn exchange_subject(external: &External, subject_token: &Secret<String>, scopes: &Scopes) -> Ask {
    let scope = scopes.joined();
    let options = external.user_project.as_ref().filter(|_| external.client.is_none()).map(|project| {
        let mut options = ObjectWriter::with_capacity(64);
        options.text("userProject", project);
        String::from_utf8_lossy(options.finish().as_bytes()).into_owned()
    });
    let mut pairs = vec![
        ("grant_type", TOKEN_EXCHANGE),
        ("audience", external.audience.as_str()),
        ("scope", scope.as_str()),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", subject_token.expose().as_str()),
        ("subject_token_type", external.subject_token_type.as_str()),
    ];
    pairs.extend(options.as_deref().map(|options| ("options", options)));
    let mut ask = Ask::form(external.token_url.clone(), &pairs);
    ask.headers.extend(external.client.as_ref().map(|(id, secret)| basic(id, secret)));
    ask
}

/// Which account becomes which, and by way of whom.
#[derive(Debug, Clone, Copy)]
pub struct Becoming<'a> {
    /// The account to become.
    pub target: &'a Account,
    /// Accounts between the source and the target, in order (9.4).
    pub delegates: &'a [Account],
}

/// `generateAccessToken` (9.4).
#[must_use]
pub fn access_token(places: &Places, becoming: &Becoming<'_>, scopes: &Scopes, lifetime: Lifetime, bearer: &Secret<String>) -> Ask {
    let mut body = ObjectWriter::with_capacity(256);
    body.raw("scope", &list(scopes.iter().map(str::to_owned)));
    delegates(&mut body, becoming);
    body.text("lifetime", &format!("{}s", lifetime.seconds()));
    iam(places, becoming.target, "generateAccessToken", body.finish(), bearer)
}

/// `generateIdToken` (9.4), with the e-mail address of the account in the token.
#[must_use]
pub fn id_token(places: &Places, becoming: &Becoming<'_>, audience: &str, bearer: &Secret<String>) -> Ask {
    let mut body = ObjectWriter::with_capacity(256);
    body.text("audience", audience).flag("includeEmail", Flag::True);
    delegates(&mut body, becoming);
    iam(places, becoming.target, "generateIdToken", body.finish(), bearer)
}

/// `signJwt` (9.4, 9.5): IAM signs these claims with a key of the account.
#[must_use]
pub fn sign_jwt(places: &Places, becoming: &Becoming<'_>, claims: &RawJson, bearer: &Secret<String>) -> Ask {
    let mut body = ObjectWriter::with_capacity(256);
    body.text("payload", &String::from_utf8_lossy(claims.as_bytes()));
    delegates(&mut body, becoming);
    iam(places, becoming.target, "signJwt", body.finish(), bearer)
}

fn iam(places: &Places, target: &Account, method: &str, body: RawJson, bearer: &Secret<String>) -> Ask {
    let url = format!("{}/v1/projects/-/serviceAccounts/{}:{method}", places.iamcredentials(), encoded(target.as_str()));
    let headers = vec![("authorization".to_owned(), Secret::new(format!("Bearer {}", bearer.expose())))];
    Ask { to: To::Google, method: Method::Post, url, headers, body: Body::Json(body) }
}

fn delegates(body: &mut ObjectWriter, becoming: &Becoming<'_>) {
    if !becoming.delegates.is_empty() {
        body.raw("delegates", &list(becoming.delegates.iter().map(|account| format!("projects/-/serviceAccounts/{account}"))));
    }
}

fn list(texts: impl Iterator<Item = String>) -> RawJson {
    let all: Vec<RawJson> = texts.map(|text| RawJson::string(&text)).collect();
    RawJson::array(&all)
}

/// An access token of the account of this machine (9.3).
#[must_use]
pub fn metadata_token(places: &Places, scopes: Option<&Scopes>) -> Ask {
    let scopes = scopes.map(|scopes| format!("?scopes={}", scopes.iter().map(encoded).collect::<Vec<_>>().join(",")));
    metadata(places, &format!("{DEFAULT_ACCOUNT}/token{}", scopes.unwrap_or_default()))
}

/// An ID token of the account of this machine.
#[must_use]
pub fn metadata_identity(places: &Places, audience: &str) -> Ask {
    metadata(places, &format!("{DEFAULT_ACCOUNT}/identity?audience={}&format=full", encoded(audience)))
}

/// Who the account of this machine is.
#[must_use]
pub fn metadata_email(places: &Places) -> Ask {
    metadata(places, &format!("{DEFAULT_ACCOUNT}/email"))
}

fn metadata(places: &Places, path: &str) -> Ask {
    let headers = vec![("metadata-flavor".to_owned(), Secret::new("Google".to_owned()))];
    Ask { to: To::Metadata, method: Method::Get, url: format!("{}/{path}", places.metadata()), headers, body: Body::None }
}

/// RFC 7617, standard base64 (18.2: not the URL-safe form).
fn basic(id: &str, secret: &Secret<String>) -> (String, Secret<String>) {
    let pair = Secret::new(format!("{id}:{}", secret.expose()));
    ("authorization".to_owned(), Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
}

// === impl Ask ===

impl Ask {
    fn form(url: String, pairs: &[(&str, &str)]) -> Self {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        Self { to: To::Google, method: Method::Post, url, headers: Vec::new(), body: Body::Form(Secret::new(text.join("&"))) }
    }

    /// The host that it goes to, for errors and the record.
    #[must_use]
    pub fn host(&self) -> String {
        url::Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("to", &self.to).field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Form(_) => "Form(..)",
            Self::Json(_) => "Json(..)",
        })
    }
}

impl Method {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

#[cfg(test)]
mod tests;
