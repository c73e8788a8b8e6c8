//! From a server to where its accounts are: its challenge, its metadata, its authorization server (RFC 9728, RFC 8414; MCP
//! authorization). What a server says leads to public hosts only, unless the administrator wrote the issuer down (OC-04, SSRF-03).

use super::Granted;
use super::ask::Trouble;
use doorward_core::connection::challenge::Challenge;
use doorward_core::connection::resource::{BadResource, Resource, well_known};
use doorward_core::connection::scopes::{Limits, Wishes, asked};
use doorward_core::connection::server::{AuthorizationServer, BadServer, Pkce, addresses};
use doorward_core::oidc::provider::{Endpoint, Place};
use http::header::WWW_AUTHENTICATE;

/// Where accounts of a server are, and what is asked for.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The server's name of itself (RFC 8707).
    pub(super) resource: String,
    /// Its authorization server.
    pub(super) server: AuthorizationServer,
    /// What is asked for.
    pub(super) scopes: Vec<String>,
}

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFound {
    /// A document could not be read.
    #[error("{0}")]
    Trouble(#[from] Trouble),
    /// The server's metadata is of no use.
    #[error("the metadata of the server: {0}")]
    Resource(#[from] BadResource),
    /// The authorization server's metadata is of no use.
    #[error("the metadata of the authorization server: {0}")]
    Server(#[from] BadServer),
    /// There is no metadata at any of the places where it could be.
    #[error("the authorization server says nothing of itself")]
    Nothing,
    /// The server names other authorization servers than the configured one.
    #[error("the server names another authorization server than the one that is configured")]
    OtherIssuer,
    /// The metadata leads to another origin, which nobody approved.
    #[error("an endpoint is on another origin than its issuer; write the issuer into the configuration if that is right")]
    Elsewhere,
}

impl NotFound {
    /// Whether it may be over soon.
    pub(crate) const fn is_away(&self) -> bool {
        matches!(self, Self::Trouble(Trouble::Egress(_) | Trouble::Status(..)))
    }

    /// For records: a short stable word.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Trouble(trouble) => trouble.reason(),
            Self::Resource(_) => "bad_resource_metadata",
            Self::Server(_) => "bad_metadata",
            Self::Nothing => "no_metadata",
            Self::OtherIssuer => "other_issuer",
            Self::Elsewhere => "endpoints_elsewhere",
        }
    }
}

impl Granted {
    /// Where accounts of this server are, as it says itself now.
    ///
    /// # Errors
    /// [`NotFound`].
    pub(super) async fn discover(&self) -> Result<Found, NotFound> {
        let here = |url: String| Endpoint { url, place: Place::Issuer };
        let heard = self.asker.knock(&here(self.url.clone())).await?;
        let challenge = Challenge::parse(heard.headers.get_all(WWW_AUTHENTICATE).iter().map(http::HeaderValue::as_bytes), &self.url);
        let places: Vec<String> = match &challenge.resource_metadata {
            Some(url) => vec![url.clone()],
            None => well_known(&self.url),
        };
        let mut resource = None;
        for place in places {
            if let Some(text) = self.asker.document(&here(place)).await? {
                resource = Some(Resource::parse(&text, &self.url)?);
                break;
            }
        }
        let issuer = self.issuer_of(resource.as_ref())?;
        let server = self.metadata(&issuer).await?;
        let empty = Vec::new();
        let configured = self.config.scopes.as_ref();
        let blocked: Vec<String> = self.config.blocked_scopes.iter().cloned().collect();
        let limits = Limits { scopes: configured.unwrap_or(&empty), ceiling: configured.map(Vec::as_slice), blocked: &blocked };
        let wishes = Wishes {
            challenge: challenge.scope.as_deref(),
            resource: resource.as_ref().and_then(|resource| resource.scopes.as_deref()),
            server: server.scopes.as_deref(),
        };
        let scopes = asked(limits, wishes);
        Ok(Found { resource: resource.map_or_else(|| self.url.clone(), |resource| resource.name), server, scopes })
    }

    /// The configured issuer, if the server does not name others; else the first that it names. One that says nothing of itself is its
    /// own authorization server, as 2025-03-26 had it.
    fn issuer_of(&self, resource: Option<&Resource>) -> Result<Endpoint, NotFound> {
        if let Some(issuer) = &self.config.issuer {
            return match resource {
                Some(resource) if !resource.trusts(issuer) => Err(NotFound::OtherIssuer),
                _ => Ok(Endpoint { url: issuer.clone(), place: Place::Issuer }),
            };
        }
        match resource {
            Some(resource) => resource.servers.first().cloned().ok_or(NotFound::Nothing),
            None => Ok(Endpoint { url: self.origin_url.clone(), place: Place::Issuer }),
        }
    }

    async fn metadata(&self, issuer: &Endpoint) -> Result<AuthorizationServer, NotFound> {
        let pkce = if self.config.pkce_off { Pkce::DangerOff } else { Pkce::Required };
        for url in addresses(&issuer.url) {
            let Some(text) = self.asker.document(&Endpoint { url, place: issuer.place }).await? else { continue };
            let mut server = AuthorizationServer::parse(&text, &issuer.url, pkce)?;
            let endpoints =
                [Some(&mut server.authorization), Some(&mut server.token), server.registration.as_mut(), server.revocation.as_mut()];
            for endpoint in endpoints.into_iter().flatten() {
                if endpoint.place == Place::Elsewhere && self.config.issuer.is_none() {
                    return Err(NotFound::Elsewhere);
                }
                // On the issuer's own origin is on ours only if the issuer is.
                if endpoint.place == Place::Issuer {
                    endpoint.place = issuer.place;
                }
            }
            return Ok(server);
        }
        Err(NotFound::Nothing)
    }
}
