//! Requests for tokens through the door out: bounded in time and size, never led elsewhere, tried again where that is of use (credentials
//! 6.4, 6.7). The only place that reaches the metadata service of a cloud. Knows no credential and no call.

use crate::egress::ask::Heard;
use crate::egress::error::EgressError;
use crate::egress::pool::PoolKey;
use crate::egress::target::{Reach, Target};
use crate::egress::{Egress, Outbound};
use crate::env::Env;
use bytes::Bytes;
use doorward_core::credential::google::answer::{Answer, Flavor, Media, Times};
use doorward_core::credential::google::ask::{Ask, Body, Method as Verb, To};
use doorward_core::credential::google::trouble::{Again, Trouble, Why};
use doorward_core::id::{CredentialId, ServerName};
use doorward_core::secret::Secret;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, StatusCode};
use std::time::Duration;
use tokio::time::Instant;

/// Carries requests for tokens.
#[derive(Debug, Clone)]
pub(super) struct Carrier {
    egress: Egress,
    env: Env,
    pool: PoolKey,
    patience: Duration,
    /// Whether servers on this computer stand in for those of Google.
    stand_ins: StandIns,
}

/// Whether servers on this computer stand in for those of Google, which was checked where their addresses were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIns {
    Yes,
    No,
}

/// All tries together.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// One try: the metadata server is on this machine.
const NEAR: Duration = Duration::from_secs(3);
const FAR: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
/// Before the second try; doubled before the third.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of an answer.
const LARGEST: u64 = 64 * 1024;

impl Carrier {
    /// For the credential of this server.
    pub(super) fn new((egress, env): (&Egress, &Env), server: &ServerName, patience: Duration, stand_ins: StandIns) -> Self {
        // Apart from the calls to the server itself, which are of somebody.
        let credential = CredentialId::new("the gateway's own at Google").ok();
        let pool = PoolKey { server: server.clone(), user: None, credential, version: 0 };
        Self { egress: egress.clone(), env: env.clone(), pool, patience, stand_ins }
    }

    /// Clock and random source.
    pub(super) const fn env(&self) -> &Env {
        &self.env
    }

    /// Sends a request until its answer can be read, or until trying again is of no use.
    ///
    /// # Errors
    /// [`Trouble`] of the last try.
    pub(super) async fn carry<T>(&self, ask: &Ask, read: impl Fn(&Answer, Times) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let end = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let left = end.saturating_duration_since(Instant::now());
            let trouble = match self.once(ask, left, &read).await {
                Ok(good) => return Ok(good),
                Err(trouble) => trouble,
            };
            let wait = match trouble.again() {
                Again::Never => return Err(trouble),
                Again::Soon => pause + self.jitter(pause),
                Again::After(after) => after.max(pause),
            };
            if tries >= TRIES || Instant::now() + wait >= end {
                return Err(trouble);
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        Err(Trouble::new(ask.host(), Why::Unreachable("it was not tried".to_owned())))
    }

    async fn once<T>(&self, ask: &Ask, left: Duration, read: impl Fn(&Answer, Times) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let started = self.env.now();
        let limit = match ask.to {
            To::Metadata | To::Imds => NEAR,
            To::Google | To::Subject => FAR,
        };
        let answer = self.send(ask, limit.min(left)).await?;
        read(&answer, Times { started, now: self.env.now() })
    }

    async fn send(&self, ask: &Ask, limit: Duration) -> Result<Answer, Trouble> {
        let trouble = |why| Trouble::new(ask.host(), why);
        let reach = match (ask.to, self.stand_ins) {
            (To::Metadata | To::Imds, _) => Reach::Metadata,
            (To::Google | To::Subject, StandIns::Yes) => Reach::Configured,
            (To::Google | To::Subject, StandIns::No) => Reach::Public,
        };
        let target = Target::new(&ask.url, reach).map_err(|_| trouble(Why::Here("the address cannot be used".to_owned())))?;
        let outbound = outbound(ask).ok_or_else(|| trouble(Why::Here("a header cannot be sent".to_owned())))?;
        let heard = self.egress.ask(&target, &self.pool, outbound, (limit, LARGEST)).await;
        let Heard { status, headers, body } = heard.map_err(|error| trouble(why(&error)))?;
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let flavor = if text(&FLAVOR) == "Google" { Flavor::Google } else { Flavor::None };
        let after = text(&RETRY_AFTER).parse().ok().map(Duration::from_secs);
        let media = media(text(&CONTENT_TYPE));
        if status != StatusCode::OK {
            tracing::debug!(host = %ask.host(), status = status.as_u16(), "a request for a token was answered");
        }
        Ok(Answer { host: ask.host(), status: status.as_u16(), media, flavor, after, body })
    }

    /// Up to half of a pause more, so that replicas do not ask in step.
    fn jitter(&self, pause: Duration) -> Duration {
        let [random] = self.env.bytes::<1>().unwrap_or_default();
        pause / 2 * u32::from(random) / 255
    }
}

const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

fn outbound(ask: &Ask) -> Option<Outbound> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("Doorward"));
    for (name, value) in &ask.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, sensitive(value)?);
    }
    let body = match &ask.body {
        Body::None => Bytes::new(),
        Body::Form(text) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            Bytes::from(text.expose().clone())
        }
        Body::Json(whole) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            whole.bytes().clone()
        }
    };
    let method = match ask.method {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
    };
    Some(Outbound { method, headers, body })
}

fn sensitive(value: &Secret<String>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn media(text: &str) -> Media {
    match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Media::Json,
        "text/plain" | "application/text" => Media::Text,
        _ => Media::Other,
    }
}

/// Without anything of a URL, a header or a body.
fn why(error: &EgressError) -> Why {
    match error {
        EgressError::Redirect(status) => Why::Redirects(*status),
        EgressError::TooLarge | EgressError::BadResponse(_) => Why::Unreadable,
        EgressError::Forbidden(_) | EgressError::BadRequest(_) => Why::Here(error.to_string()),
        EgressError::Resolve
        | EgressError::Connect(_)
        | EgressError::Tls(_)
        | EgressError::Timeout { .. }
        | EgressError::Broken { .. }
        | EgressError::Busy => Why::Unreachable(error.to_string()),
    }
}
