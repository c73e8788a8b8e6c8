//! The endpoints of a gateway that a program without a browser talks to: over TLS, or to this machine. Believes nothing that leads elsewhere.

use super::kept::SignIn;
use crate::console::inert;
use crate::exit::Exit;
use crate::failure::Failure;
use bytes::Bytes;
use doorward_core::id::ServerName;
use doorward_core::oauth::device::COMMAND_LINE;
use doorward_core::oauth::form::encoded;
use doorward_core::secret::Secret;
use doorward_gateway::egress::pool::PoolKey;
use doorward_gateway::egress::reply::ReplyLimits;
use doorward_gateway::egress::target::{Reach, Scheme, Target};
use doorward_gateway::egress::{Egress, EgressSettings, Outbound};
use doorward_gateway::tasks::Tasks;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A gateway that said who it is.
#[derive(Debug)]
pub(super) struct Desk {
    egress: Egress,
    root: String,
}

/// What a request is answered (RFC 8628 section 3.2).
pub(super) struct Answer {
    pub(super) device_code: Secret<String>,
    pub(super) user_code: String,
    pub(super) address: String,
    pub(super) complete: String,
    pub(super) life: Duration,
    pub(super) interval: Duration,
}

/// Tokens as they were given.
pub(super) struct Given {
    pub(super) access: Secret<String>,
    pub(super) refresh: Secret<String>,
    pub(super) scope: String,
    pub(super) life: Duration,
}

/// Why there are no tokens.
pub(super) enum Refused {
    /// The gateway says so, with this `error`.
    Told(String),
    /// It did not answer.
    Away(Failure),
}

/// For each question.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const MOST: u64 = 64 * 1024;
/// Seconds that are believed of a life.
const LONGEST: u64 = 24 * 3_600;

impl Desk {
    /// The gateway at this address, if it says the same of itself (RFC 8414 section 3.3).
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn of(gateway: &str, ca: Option<&Path>, tasks: &Tasks) -> Result<Self, Failure> {
        let root = gateway.trim_end_matches('/').to_owned();
        let target = Target::new(&root, Reach::Configured).map_err(|cause| bad(&root, cause))?;
        if target.scheme() == Scheme::Http && !target.names_loopback() {
            return Err(bad(&root, "tokens would go over the network without TLS"));
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
                Failure::new(Exit::Configuration, "login.ca", message, "--ca FILE with certificates in PEM")
                    .because(crate::settings::reason(&error))
            })?;
        }
        let egress = Egress::new(settings).map_err(|cause| {
            Failure::new(Exit::Configuration, "login.ca", "the certificate authorities cannot be used", "--ca FILE in PEM").because(cause)
        })?;
        let desk = Self { egress, root };
        let (status, metadata) = desk.send(Method::GET, "/.well-known/oauth-authorization-server", String::new()).await?;
        match metadata.get("issuer").and_then(Value::as_str) {
            Some(issuer) if issuer == desk.root && status == StatusCode::OK => Ok(desk),
            Some(issuer) if status == StatusCode::OK => {
                let help = format!("use that address: --gateway {}", inert(issuer));
                Err(Failure::new(Exit::Usage, "login.gateway", format!("{} calls itself {}", inert(&desk.root), inert(issuer)), help))
            }
            _ => Err(bad(&desk.root, "there is no gateway at this address")),
        }
    }

    /// Its public root.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Begins a request.
    ///
    /// # Errors
    /// [`Failure`] when this command line may not ask, or not for that.
    pub(super) async fn ask(&self, fields: &[(&str, &str)]) -> Result<Answer, Failure> {
        let (status, answer) = self.send(Method::POST, "/oauth/device", form(fields)).await?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        if status != StatusCode::OK {
            let help = match text("error").as_deref() {
                Some("invalid_target") => "name a server of this gateway by its exact name",
                Some("temporarily_unavailable") => "try again in a minute",
                _ => "its administrator decides with clients.device_grant and clients.block; a key works, too: doorward apikey create",
            };
            let said = text("error").unwrap_or_else(|| status.as_u16().to_string());
            let message = format!("the gateway does not let this command line ask: {}", inert(&said));
            return Err(Failure::new(Exit::SignIn, "login.refused", message, help));
        }
        let ours = |address: &String| address.strip_prefix(&self.root).is_some_and(|rest| rest.starts_with('/'));
        let seconds = |name: &str, usual: u64| Duration::from_secs(answer.get(name).and_then(Value::as_u64).unwrap_or(usual).min(LONGEST));
        let address = text("verification_uri").filter(ours);
        let (Some(device_code), Some(user_code), Some(address)) = (text("device_code"), text("user_code"), address) else {
            return Err(bad(&self.root, "its answer has no code, or leads elsewhere"));
        };
        let complete = text("verification_uri_complete").filter(ours).unwrap_or_else(|| address.clone());
        let (life, interval) = (seconds("expires_in", 600), seconds("interval", 5));
        Ok(Answer { device_code: Secret::new(device_code), user_code, address, complete, life, interval })
    }

    /// Asks the token endpoint.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) async fn token(&self, fields: &[(&str, &str)]) -> Result<Given, Refused> {
        let (status, answer) = self.send(Method::POST, "/oauth/token", form(fields)).await.map_err(Refused::Away)?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        let away = |why| Refused::Away(bad(&self.root, why));
        match status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                return Err(text("error").map_or_else(|| away("an answer without a reason"), Refused::Told));
            }
            _ => return Err(away("it cannot answer at the moment")),
        }
        let life = Duration::from_secs(answer.get("expires_in").and_then(Value::as_u64).unwrap_or(0).min(LONGEST));
        // They go into headers and onto terminals: visible characters and nothing else.
        let token = |name: &str| text(name).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        match (token("access_token"), token("refresh_token")) {
            (Some(access), Some(refresh)) => {
                Ok(Given { access: Secret::new(access), refresh: Secret::new(refresh), scope: text("scope").unwrap_or_default(), life })
            }
            _ => Err(away("its answer has no tokens")),
        }
    }

    /// Gives a sign-in back (RFC 7009): with the refresh token everything of it ends.
    ///
    /// # Errors
    /// [`Failure`] when the gateway could not be told.
    pub(super) async fn end(&self, one: &SignIn) -> Result<(), Failure> {
        let fields = [("client_id", COMMAND_LINE), ("token", one.refresh.expose().as_str())];
        let (status, _) = self.send(Method::POST, "/oauth/revoke", form(&fields)).await?;
        if status == StatusCode::OK { Ok(()) } else { Err(bad(&self.root, "it did not take back what it gave")) }
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Value), Failure> {
        let target = Target::new(&format!("{}{path}", self.root), Reach::Configured).map_err(|cause| bad(&self.root, cause))?;
        let server = ServerName::new("gateway").map_err(|cause| bad(&self.root, cause))?;
        let pool = PoolKey { server, user: None, credential: None, version: 0 };
        let limits = ReplyLimits { headers: PATIENCE, whole: MOST, stream: MOST, idle: PATIENCE };
        let mut headers = HeaderMap::new();
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let outbound = Outbound { method, headers, body: Bytes::from(body) };
        let reply = self.egress.send(&target, &pool, outbound, &limits).await.map_err(|cause| bad(&self.root, cause))?;
        let status = reply.status();
        let body = reply.into_body().whole().await.map_err(|cause| bad(&self.root, cause))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// The gateway cannot be used.
fn bad(root: &str, why: impl std::fmt::Display) -> Failure {
    let help = "--gateway https://mcp.example.com, or http://127.0.0.1:8417 on this machine";
    Failure::new(Exit::Unreachable, "login.gateway", format!("{} cannot be used as a gateway", inert(root)), help).because(why)
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.join("&")
}
