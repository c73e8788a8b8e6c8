//! The documents that lead from a server to its authorization server: RFC 9728 sections 3 and 5.1, RFC 8414 section 3, OpenID
//! Connect Discovery. Reads them, inside the fence; whether they are right is for rules.

use crate::ask::{Ask, Reply};
use crate::door::Stop;
use crate::visit::Visit;
use serde_json::Value;
use url::Url;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// The address in the challenge, as it was written.
    pub(crate) named: Option<String>,
    /// Of the protected resource.
    pub(crate) resource: Option<Document>,
    /// The first authorization server, as it was written.
    pub(crate) issuer: Option<String>,
    /// Of the authorization server.
    pub(crate) server: Option<Document>,
}

/// A document and where it was.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) url: Url,
    pub(crate) value: Value,
}

/// Longer values are not looked into. Bytes.
const LONGEST: usize = 2048;

// === impl Document ===

impl Document {
    /// A text of the document.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key)?.as_str().filter(|text| text.len() <= LONGEST)
    }

    /// A list of texts of the document. None where there is no list.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.value.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// An address of the document.
    pub(crate) fn address(&self, key: &str) -> Option<Url> {
        self.text(key)?.parse().ok()
    }
}

/// Reads what there is.
///
/// # Errors
/// [`Stop`] once a limit is reached.
pub(crate) async fn read(visit: &Visit, refusal: Option<&Reply>) -> Result<Metadata, Stop> {
    let mut found = Metadata { named: refusal.and_then(|reply| parameter(reply, "resource_metadata")), ..Metadata::default() };
    let own = visit.url.path().trim_end_matches('/');
    let named = found.named.as_ref().and_then(|named| named.parse::<Url>().ok());
    let usual = [format!("/.well-known/oauth-protected-resource{own}"), "/.well-known/oauth-protected-resource".to_owned()];
    let places = named.into_iter().chain(usual.iter().filter_map(|path| visit.url.join(path).ok()));
    found.resource = first(visit, places, "resource").await?;
    let listed = found.resource.as_ref().and_then(|document| document.list("authorization_servers"));
    found.issuer = listed.and_then(|listed| listed.first().map(|issuer| (*issuer).to_owned())).filter(|issuer| issuer.len() <= LONGEST);
    // Without a document the server itself was the authorization server, in the revision 2025-03-26.
    let root = || visit.url.join("/").ok();
    let base = if found.resource.is_some() { found.issuer.as_ref().and_then(|issuer| issuer.parse().ok()) } else { root() };
    if let Some(base) = base {
        if let Err(outside) = visit.door.admits(&base) {
            let host = base.host_str().unwrap_or("nowhere").to_owned();
            visit.note("outside", format!("the authorization server {host} {outside}: it was not asked"));
        } else {
            found.server = first(visit, well_known(&base).into_iter(), "issuer").await?;
        }
    }
    Ok(found)
}

/// Where the metadata of an issuer may be: RFC 8414 section 3.1, then OpenID Connect.
fn well_known(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut places = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    places.dedup();
    places.iter().filter_map(|place| issuer.join(place).ok()).collect()
}

/// The first of some addresses where a document with this member is.
async fn first(visit: &Visit, places: impl Iterator<Item = Url>, member: &str) -> Result<Option<Document>, Stop> {
    for url in places {
        if visit.door.admits(&url).is_err() {
            continue;
        }
        let reply = visit.send(Ask::read(url.clone())).await?;
        if let Some(value) =
            reply.message.filter(|value| reply.status.is_some_and(|status| status.is_success()) && value.get(member).is_some())
        {
            return Ok(Some(Document { url, value }));
        }
    }
    Ok(None)
}

/// A parameter of a challenge (RFC 9110 section 11.2), of any scheme in it.
pub(crate) fn parameter(reply: &Reply, name: &str) -> Option<String> {
    let challenges = reply.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
    challenges.flat_map(parameters).find(|(known, value)| known == name && value.len() <= LONGEST).map(|(_, value)| value)
}

/// The parameters of challenges: what stands between commas outside quotes, by name.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts
        .filter_map(|part| {
            let (front, value) = part.split_once('=')?;
            let name = front.split_whitespace().next_back()?.to_ascii_lowercase();
            Some((name, value.trim().trim_matches('"').to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(text: &'static str) -> Reply {
        let mut reply = Reply::default();
        reply.headers.append("www-authenticate", text.parse().expect("a header"));
        reply
    }

    #[test]
    fn a_parameter_is_found_in_a_challenge() {
        let reply = challenge("Bearer realm=\"no, resource_metadata=x\", error=invalid_token, resource_metadata=\"https://a.test/x\"");
        assert_eq!(parameter(&reply, "resource_metadata").as_deref(), Some("https://a.test/x"));
        assert_eq!(parameter(&reply, "error").as_deref(), Some("invalid_token"));
        let reply = challenge("Bearer resource_metadata=\"https://a.test/x\", scope=\"a b\"");
        assert_eq!(parameter(&reply, "resource_metadata").as_deref(), Some("https://a.test/x"));
        assert_eq!(parameter(&reply, "scope").as_deref(), Some("a b"));
        assert_eq!(parameter(&challenge("Bearer"), "scope"), None);
    }
}
