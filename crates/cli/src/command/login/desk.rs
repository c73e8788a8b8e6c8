//! The endpoints of a gateway that a program without a browser talks to: over TLS, or on this machine to who is trusted there. Believes nothing that
//! leads elsewhere, and waits for nothing without a bound.

use super::Means;
use super::listener::{Proven, Trusted};
use crate::client::Ask;
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
use doorward_gateway::egress::target::{Host, Reach, Scheme, Target};
use doorward_gateway::egress::{Egress, EgressSettings, Outbound};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;

/// Which gateway, and by what it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its public root.
    pub(super) gateway: String,
    /// Certificate authorities besides the system's.
    pub(super) ca: Option<PathBuf>,
    /// User whose process it is, besides this one and root, where it is asked over plain http.
    pub(super) served_by: Option<u32>,
}

/// A gateway that said who it is.
#[derive(Debug)]
pub(super) struct Desk {
    road: Road,
    place: Place,
    patience: Duration,
}

/// How it is reached.
#[derive(Debug)]
enum Road {
    /// A certificate proves whom one talks to.
    Tls(Box<Egress>),
    /// The owner of the listening socket does.
    Here { trusted: Trusted, at: Vec<SocketAddr>, host: String },
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

/// Bytes of an answer.
const MOST: u64 = 64 * 1024;
/// Seconds that are believed of a life.
const LONGEST: u64 = 24 * 3_600;

impl Desk {
    /// The gateway at this address, if it says the same of itself (RFC 8414 section 3.3).
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn of(place: &Place, means: &Means) -> Result<Self, Failure> {
        let root = place.gateway.trim_end_matches('/').to_owned();
        let target = Target::new(&root, Reach::Configured).map_err(|cause| bad(&root, cause))?;
        if target.scheme() == Scheme::Http && !target.names_loopback() {
            return Err(bad(&root, "tokens would go over the network without TLS"));
        }
        let road = match target.scheme() {
            Scheme::Http => Road::Here {
                trusted: means.trusting(place.served_by),
                at: addresses(&target),
                host: target.authority().as_str().to_owned(),
            },
            Scheme::Https if place.served_by.is_some() => {
                let message = "who serves an https:// address is proven by its certificate";
                return Err(Failure::new(Exit::Usage, "login.served_by", message, "leave --served-by away"));
            }
            Scheme::Https => Road::Tls(Box::new(egress(place.ca.as_deref(), means)?)),
        };
        let desk = Self { road, place: Place { gateway: root, ..place.clone() }, patience: means.bounds.answer };
        let (status, metadata) = desk.send(Method::GET, "/.well-known/oauth-authorization-server", String::new()).await?;
        match metadata.get("issuer").and_then(Value::as_str) {
            Some(issuer) if issuer == desk.root() && status == StatusCode::OK => Ok(desk),
            Some(issuer) if status == StatusCode::OK => {
                let help = format!("use that address: --gateway {}", inert(issuer));
                Err(Failure::new(Exit::Usage, "login.gateway", format!("{} calls itself {}", inert(desk.root()), inert(issuer)), help))
            }
            _ => Err(bad(desk.root(), "there is no gateway at this address")),
        }
    }

    /// Which gateway it is, for the next time.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Its public root.
    pub(super) fn root(&self) -> &str {
        &self.place.gateway
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
        let ours = |address: &String| address.strip_prefix(self.root()).is_some_and(|rest| rest.starts_with('/'));
        let seconds = |name: &str, usual: u64| Duration::from_secs(answer.get(name).and_then(Value::as_u64).unwrap_or(usual).min(LONGEST));
        let address = text("verification_uri").filter(ours);
        let (Some(device_code), Some(user_code), Some(address)) = (text("device_code"), text("user_code"), address) else {
            return Err(bad(self.root(), "its answer has no code, or leads elsewhere"));
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
        let away = |why| Refused::Away(bad(self.root(), why));
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
    pub(super) async fn end(&self, refresh: &Secret<String>) -> Result<(), Failure> {
        let fields = [("client_id", COMMAND_LINE), ("token", refresh.expose().as_str())];
        let (status, _) = self.send(Method::POST, "/oauth/revoke", form(&fields)).await?;
        if status == StatusCode::OK { Ok(()) } else { Err(bad(self.root(), "it did not take back what it gave")) }
    }

    /// Asks once, within the one bound that there is for all of it: a gateway that sends a byte from time to time holds nobody up.
    async fn send(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Value), Failure> {
        let asked = tokio::time::timeout(self.patience, async {
            match &self.road {
                Road::Tls(egress) => self.over_tls(egress, method, path, body).await,
                Road::Here { trusted, at, host } => self.here(reached(trusted, at).await?.into_stream(), host, (method, path, body)).await,
            }
        });
        asked.await.map_err(|_| bad(self.root(), format!("no whole answer within {} s", self.patience.as_secs())))?
    }

    async fn here(&self, stream: TcpStream, host: &str, asked: (Method, &str, String)) -> Result<(StatusCode, Value), Failure> {
        let (method, path, body) = asked;
        let ask = if method == Method::POST { Ask::form(path, body) } else { Ask::new(method, path) };
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let reply = ask.send_over(stream, host, most).await.map_err(|cause| bad(self.root(), cause))?;
        Ok((reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null)))
    }

    async fn over_tls(&self, egress: &Egress, method: Method, path: &str, body: String) -> Result<(StatusCode, Value), Failure> {
        let target = Target::new(&format!("{}{path}", self.root()), Reach::Configured).map_err(|cause| bad(self.root(), cause))?;
        let server = ServerName::new("gateway").map_err(|cause| bad(self.root(), cause))?;
        let pool = PoolKey { server, user: None, credential: None, version: 0 };
        let limits = ReplyLimits { headers: self.patience, whole: MOST, stream: MOST, idle: self.patience };
        let mut headers = HeaderMap::new();
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let outbound = Outbound { method, headers, body: Bytes::from(body) };
        let reply = egress.send(&target, &pool, outbound, &limits).await.map_err(|cause| bad(self.root(), cause))?;
        let status = reply.status();
        let body = reply.into_body().whole().await.map_err(|cause| bad(self.root(), cause))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// The door out to a gateway with a certificate.
fn egress(ca: Option<&Path>, means: &Means) -> Result<Egress, Failure> {
    let mut settings = EgressSettings::new(means.tasks.clone());
    // Whoever typed the address means this host; a certificate proves it.
    settings.allow_private =
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"].iter().filter_map(|net| net.parse().ok()).collect();
    if let Some(path) = ca {
        settings.extra_ca = std::fs::read(path).map_err(|error| {
            let message = format!("{} cannot be read", path.display());
            Failure::new(Exit::Configuration, "login.ca", message, "--ca FILE with certificates in PEM")
                .because(crate::settings::reason(&error))
        })?;
    }
    Egress::new(settings).map_err(|cause| {
        Failure::new(Exit::Configuration, "login.ca", "the certificate authorities cannot be used", "--ca FILE in PEM").because(cause)
    })
}

/// Where a name of this machine leads. `localhost` is not looked up: what it means is fixed (RFC 6761 section 6.3).
fn addresses(target: &Target) -> Vec<SocketAddr> {
    let ips = match target.host() {
        Host::Address(ip) => vec![*ip],
        Host::Name(_) => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
    };
    ips.into_iter().map(|ip| SocketAddr::new(ip, target.port())).collect()
}

/// The first address at which anybody listens.
async fn reached(trusted: &Trusted, at: &[SocketAddr]) -> Result<Proven, Failure> {
    let mut last = Failure::new(Exit::Unreachable, "login.gateway", "this name leads nowhere", "--gateway http://127.0.0.1:8417");
    for address in at {
        match trusted.reach(*address).await {
            Err(failure) if failure.exit() == Exit::Unreachable => last = failure,
            done => return done,
        }
    }
    Err(last)
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
