//! The token of another provider that shows who a workload is (credentials 9.6): out of a file or an answer, or, for AWS, a request that
//! is signed and not sent.

use super::ask::{Ask, Body, Method, To};
use super::file::external::{Aws, Format};

use crate::credential::aws::sigv4::{self, Keys, Scope, Signable};
use crate::json::RawJson;
use crate::json::write::ObjectWriter;
use crate::oauth::form::encoded;
use crate::secret::Secret;
use crate::time::Timestamp;
use bytes::Bytes;

/// What the environment says of AWS, as it was at start.
#[derive(Debug, Default)]
pub struct AwsVariables {
    /// `AWS_REGION`, or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, of temporary ones, `AWS_SESSION_TOKEN`.
    pub keys: Option<Keys>,
}

/// Why there is no subject token. Nothing of what was read is repeated (18.2, defect 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSubject {
    /// Not strict JSON, or without the member that the file names.
    #[error("the subject token is not where credential_source.format says")]
    Form,
    /// Empty, longer than 16 KiB, or with characters that no token has.
    #[error("the subject token is not a token")]
    Token,
    /// Neither a variable nor the metadata service tells a region of AWS.
    #[error("there is no region of AWS: set AWS_REGION")]
    Region,
    /// Nor keys.
    #[error("there are no keys of AWS: neither in variables nor at the metadata service")]
    Keys,
}

/// Bytes of a subject token: an assertion of SAML is long.
const LONGEST: usize = 16 * 1024;
const DEPTH: usize = 8;

/// The token in a file or in an answer.
///
/// # Errors
/// [`NoSubject`].
pub fn token(bytes: &Bytes, format: &Format) -> Result<Secret<String>, NoSubject> {
    let text = match format {
        Format::Text => std::str::from_utf8(bytes).map_err(|_| NoSubject::Token)?.trim().to_owned(),
        Format::Json(field) => {
            let whole = RawJson::parse(bytes, DEPTH).map_err(|_| NoSubject::Form)?;
            whole.member(field).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned)).ok_or(NoSubject::Form)?
        }
    };
    let text = Secret::new(text);
    let fits = (1..=LONGEST).contains(&text.expose().len()) && text.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text) } else { Err(NoSubject::Token) }
}

/// A request for a subject token at an address.
#[must_use]
pub fn at(url: &str, headers: &[(String, Secret<String>)]) -> Ask {
    let headers = headers.iter().map(|(name, value)| (name.clone(), Secret::new(value.expose().clone()))).collect();
    Ask { to: To::Subject, method: Method::Get, url: url.to_owned(), headers, body: Body::None }
}

/// A session of the metadata service of AWS (IMDSv2): five minutes, for the questions that follow.
#[must_use]
pub fn imds_session(url: &str) -> Ask {
    let headers = vec![("x-aws-ec2-metadata-token-ttl-seconds".to_owned(), Secret::new("300".to_owned()))];
    Ask { to: To::Imds, method: Method::Put, url: url.to_owned(), headers, body: Body::None }
}

/// A question to the metadata service, within a session.
#[must_use]
pub fn imds(url: &str, session: &Secret<String>) -> Ask {
    let headers = vec![("x-aws-ec2-metadata-token".to_owned(), Secret::new(session.expose().clone()))];
    Ask { to: To::Imds, method: Method::Get, url: url.to_owned(), headers, body: Body::None }
}

/// The address of the keys of a role, below that of the roles.
///
/// # Errors
/// [`NoSubject::Keys`] if what the service calls the role is no name.
pub fn keys_url(aws: &Aws, role: &str) -> Result<String, NoSubject> {
    let role = role.trim();
    let fits = (1..=64).contains(&role.len()) && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte));
    let base = aws.keys_url.as_deref().filter(|_| fits).ok_or(NoSubject::Keys)?;
    Ok(format!("{}/{}", base.trim_end_matches('/'), encoded(role)))
}

/// The region of a zone: `us-east-1` of `us-east-1b`.
///
/// # Errors
/// [`NoSubject::Region`].
pub fn region_of(zone: &str) -> Result<String, NoSubject> {
    let zone = zone.trim();
    let region = zone.strip_suffix(|last: char| last.is_ascii_lowercase()).unwrap_or(zone);
    if sigv4::is_region(region) { Ok(region.to_owned()) } else { Err(NoSubject::Region) }
}

/// The keys of a role as the metadata service tells them.
///
/// # Errors
/// [`NoSubject::Keys`].
pub fn keys(bytes: &Bytes) -> Result<Keys, NoSubject> {
    let whole = RawJson::parse(bytes, DEPTH).map_err(|_| NoSubject::Keys)?;
    let text = |name: &str| {
        let value = whole.member(name)?;
        let text = value.as_text()?.into_owned();
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(text)
    };
    match (text("AccessKeyId"), text("SecretAccessKey"), text("Token")) {
        (Some(id), Some(secret), Some(session)) => Ok(Keys { id, secret: Secret::new(secret), session: Some(Secret::new(session)) }),
        _ => Err(NoSubject::Keys),
    }
}

/// The subject token of AWS: a signed request for `GetCallerIdentity`, as percent-encoded JSON, which Google sends in our place. The
/// audience is among what is signed, so that it shows who we are to this provider alone.
///
/// # Errors
/// [`NoSubject::Region`].
pub fn signed_request(audience: &str, region: &str, keys: &Keys, now: Timestamp) -> Result<Secret<String>, NoSubject> {
    if !sigv4::is_region(region) {
        return Err(NoSubject::Region);
    }
    let host = format!("sts.{region}.amazonaws.com");
    let stamp = sigv4::stamp(now);
    let mut headers = vec![("host", host.as_str()), ("x-amz-date", stamp.as_str())];
    headers.extend(keys.session.as_ref().map(|token| ("x-amz-security-token", token.expose().as_str())));
    headers.push(("x-goog-cloud-target-resource", audience));
    let query = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    let request = Signable { method: "POST", path: "/", query: &query, headers: &headers, body: b"" };
    let signature = sigv4::authorization(&request, keys, &Scope { region, service: "sts", at: now });
    headers.push(("Authorization", signature.expose().as_str()));
    let pairs: Vec<RawJson> = headers
        .iter()
        .map(|(name, value)| {
            let mut pair = ObjectWriter::with_capacity(128);
            pair.text("key", name).text("value", value);
            pair.finish()
        })
        .collect();
    let mut whole = ObjectWriter::with_capacity(2_048);
    whole.text("url", &format!("https://{host}?Action=GetCallerIdentity&Version=2011-06-15"));
    whole.text("method", "POST").raw("headers", &RawJson::array(&pairs)).text("body", "");
    Ok(Secret::new(encoded(&String::from_utf8_lossy(whole.finish().as_bytes()))))
}

#[cfg(test)]
mod tests;
