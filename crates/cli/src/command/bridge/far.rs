//! The gateway's side: one address, one key, requests over the one door out.

use crate::console::inert;
use crate::exit::Exit;
use crate::failure::Failure;
use bytes::Bytes;
use doorward_core::id::ServerName;
use doorward_core::secret::Secret;
use doorward_gateway::egress::error::EgressError;
use doorward_gateway::egress::pool::PoolKey;
use doorward_gateway::egress::reply::{ReplyBody, ReplyLimits};
use doorward_gateway::egress::target::{Reach, Scheme, Target};
use doorward_gateway::egress::{Egress, EgressSettings, Outbound};
use doorward_gateway::tasks::Tasks;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response};
use std::path::Path;
use std::time::Duration;

/// Where the gateway is and what opens it.
#[derive(Debug)]
pub(super) struct Far {
    egress: Egress,
    target: Target,
    pool: PoolKey,
    authorization: HeaderValue,
}

/// Largest whole answer and largest event.
pub(super) const LARGEST: usize = 32 << 20;
/// The gateway bounds a call by its own `limits.call_timeout`; this only ends what hangs for ever.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// A gateway says something on an open stream every 15 s.
const SILENCE: Duration = Duration::from_secs(90);
/// Waits before a request is tried again that certainly was not sent: the gateway may just be starting.
const AGAIN: [Duration; 3] = [Duration::from_millis(200), Duration::from_millis(800), Duration::from_secs(2)];

// === impl Far ===

impl Far {
    /// Where `server` is behind `gateway`.
    ///
    /// # Errors
    /// [`Failure`] for an address, key or certificate authority that cannot be used.
    pub(super) fn new(gateway: &str, server: &ServerName, key: &Secret<String>, ca: Option<&Path>, tasks: &Tasks) -> Result<Self, Failure> {
        let url = format!("{}/k/{server}/mcp", gateway.trim_end_matches('/'));
        let bad = |why: String| {
            let help = "--gateway https://mcp.example.com, or http://127.0.0.1:8417 on this machine";
            Failure::new(Exit::Usage, "bridge.gateway", format!("\"{}\" cannot be the gateway", inert(gateway)), help).because(why)
        };
        let target = Target::new(&url, Reach::Configured).map_err(|cause| bad(cause.to_string()))?;
        if target.scheme() == Scheme::Http && !target.names_loopback() {
            return Err(bad("the key would go over the network without TLS".to_owned()));
        }
        let mut settings = EgressSettings::new(tasks.clone());
        if target.scheme() == Scheme::Https {
            // Whoever typed the address means this host; a certificate proves it.
            settings.allow_private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
                .iter()
                .filter_map(|net| net.parse().ok())
                .collect();
        }
        if let Some(path) = ca {
            settings.extra_ca = std::fs::read(path).map_err(|error| {
                let message = format!("{} cannot be read", path.display());
                Failure::new(Exit::Configuration, "bridge.ca", message, "--ca FILE with certificates in PEM")
                    .because(crate::settings::reason(&error))
            })?;
        }
        let egress = Egress::new(settings).map_err(|cause| {
            Failure::new(Exit::Configuration, "bridge.ca", "the certificate authorities cannot be used", "--ca FILE in PEM").because(cause)
        })?;
        let bearer = Secret::new(format!("Bearer {}", key.expose()));
        let mut authorization = HeaderValue::from_str(bearer.expose()).map_err(|_| {
            Failure::new(Exit::SignIn, "bridge.key", "the key holds characters that no key has", "make one: doorward apikey create")
        })?;
        authorization.set_sensitive(true);
        let pool = PoolKey { server: server.clone(), user: None, credential: None, version: 0 };
        Ok(Self { egress, target, pool, authorization })
    }

    /// One message to the gateway.
    ///
    /// # Errors
    /// [`EgressError`].
    pub(super) async fn post(&self, mcp: HeaderMap, body: Bytes) -> Result<Response<ReplyBody>, EgressError> {
        let mut headers = mcp;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(Method::POST, headers, body).await
    }

    /// The server stream of a session, or the rest of a broken one.
    ///
    /// # Errors
    /// [`EgressError`].
    pub(super) async fn stream(&self, mcp: HeaderMap, last_event_id: Option<&str>) -> Result<Response<ReplyBody>, EgressError> {
        let mut headers = mcp;
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(id) = last_event_id {
            let id = HeaderValue::from_str(id).map_err(|_| EgressError::BadResponse("an event id that is no header"))?;
            headers.insert("last-event-id", id);
        }
        self.send(Method::GET, headers, Bytes::new()).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`EgressError`].
    pub(super) async fn end(&self, mcp: HeaderMap) -> Result<Response<ReplyBody>, EgressError> {
        self.send(Method::DELETE, mcp, Bytes::new()).await
    }

    async fn send(&self, method: Method, mut headers: HeaderMap, body: Bytes) -> Result<Response<ReplyBody>, EgressError> {
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let limits = ReplyLimits { headers: PATIENCE, whole: LARGEST as u64, stream: u64::MAX, idle: SILENCE };
        let mut waits = AGAIN.into_iter();
        loop {
            let outbound = Outbound { method: method.clone(), headers: headers.clone(), body: body.clone() };
            match self.egress.send(&self.target, &self.pool, outbound, &limits).await {
                Err(error @ EgressError::Connect(_)) => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                },
                other => return other,
            }
        }
    }
}
