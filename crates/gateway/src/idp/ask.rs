//! One question to a provider: through the guarded door, bounded in time and size, without following anywhere.

use crate::egress::ask::is_json;
use crate::egress::error::EgressError;
use crate::egress::pool::PoolKey;
use crate::egress::reply::ReplyLimits;
use crate::egress::target::{Reach, Target};
use crate::egress::trust::Trust;
use crate::egress::{Egress, Outbound};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use doorward_core::id::{ProviderName, ServerName};
use doorward_core::identity::tokeninfo::Question;
use doorward_core::oauth::form::encoded;
use doorward_core::oidc::answer::BadAnswer;
use doorward_core::oidc::keys::BadKeys;
use doorward_core::oidc::provider::{BadMetadata, Endpoint, Place};
use doorward_core::secret::Secret;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use std::time::Duration;

/// Asks one provider.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    name: ProviderName,
    egress: Egress,
    /// For one question, from the name to the last byte.
    patience: Duration,
    trust: Option<Trust>,
}

/// What is asked.
pub(super) enum Asked<'a> {
    /// A public document.
    Document,
    /// Tokens for a code.
    Tokens {
        /// The form.
        pairs: &'a [(&'a str, &'a str)],
        /// Id and secret for an `Authorization` header.
        basic: Option<(&'a str, &'a Secret<String>)>,
    },
    /// What else is known of whoever this access token is of.
    UserInfo(&'a str),
    /// Whose a token is that somebody showed: in a form, so that it stands in no address.
    TokenInfo(&'a Question),
}

/// An answer, unread.
pub(super) struct Said {
    /// Its text.
    pub(super) body: Bytes,
    /// How long the provider says that it is good for.
    pub(super) fresh: Option<Duration>,
}

/// Why a provider gave nothing. No variant repeats what it sent, but for an error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Not reached, or not safely.
    #[error("it could not be reached: {0}")]
    Unreachable(EgressError),
    /// It took too long.
    #[error("it took too long")]
    TimedOut,
    /// It failed just now, and is left alone for a moment.
    #[error("it failed just now")]
    Resting,
    /// Another status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// Not declared as JSON.
    #[error("its answer is not declared as JSON")]
    MediaType,
    /// Its metadata is of no use.
    #[error("its metadata: {0}")]
    Metadata(BadMetadata),
    /// The file of its keys cannot be read.
    #[error("the file of its keys cannot be read, or is larger than 256 KiB")]
    File,
    /// Its keys are of no use.
    #[error("its keys: {0}")]
    Keys(BadKeys),
    /// Asked about a token, it does not know it.
    #[error("it does not know the token")]
    Unknown,
    /// What it says of a token cannot be read.
    #[error("what it says of the token cannot be read")]
    Unreadable,
    /// What it gave for the code is of no use.
    #[error("its tokens: {0}")]
    Answer(BadAnswer),
}

/// Largest answer, in bytes.
const LARGEST: u64 = 256 * 1024;

impl Asker {
    /// For a provider of this name.
    pub(crate) const fn new(name: ProviderName, egress: Egress, patience: Duration) -> Self {
        Self { name, egress, patience, trust: None }
    }

    /// The same, which believes these authorities alone.
    pub(crate) fn trusting(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Asks one of its endpoints.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(super) async fn ask(&self, endpoint: &Endpoint, asked: Asked<'_>) -> Result<Said, Trouble> {
        tokio::time::timeout(self.patience, self.asking(endpoint, asked)).await.unwrap_or(Err(Trouble::TimedOut))
    }

    async fn asking(&self, endpoint: &Endpoint, asked: Asked<'_>) -> Result<Said, Trouble> {
        // Only what is on the issuer's own origin was written by the administrator; the rest reaches public hosts alone (OC-04).
        let reach = match endpoint.place {
            Place::Issuer => Reach::Configured,
            Place::Elsewhere => Reach::Public,
        };
        let unfit = |what| Trouble::Unreachable(EgressError::BadRequest(what));
        let mut target = Target::new(&endpoint.url, reach).map_err(|_| unfit("the address"))?;
        if let Some(trust) = &self.trust {
            target = target.trusting(trust.clone());
        }
        let server = ServerName::new(self.name.as_str()).map_err(|_| unfit("the name"))?;
        let pool = PoolKey { server, user: None, credential: None, version: 0 };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("Doorward"));
        let (mut method, mut body, tells_errors) = (Method::GET, Bytes::new(), matches!(asked, Asked::Tokens { .. }));
        let (form, is_about_token) = (HeaderValue::from_static("application/x-www-form-urlencoded"), matches!(asked, Asked::TokenInfo(_)));
        let secret = |text: String| {
            HeaderValue::try_from(text)
                .map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
                .map_err(|_| unfit("a header"))
        };
        match asked {
            Asked::Document => {}
            Asked::Tokens { pairs, basic } => {
                method = Method::POST;
                headers.insert(CONTENT_TYPE, form);
                if let Some((id, key)) = basic {
                    // Both encoded before they are joined (RFC 6749 section 2.3.1).
                    let pair = format!("{}:{}", encoded(id), encoded(key.expose()));
                    headers.insert(AUTHORIZATION, secret(format!("Basic {}", STANDARD.encode(pair)))?);
                }
                let form: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
                body = Bytes::from(form.join("&"));
            }
            Asked::TokenInfo(question) => {
                method = Method::POST;
                headers.insert(CONTENT_TYPE, form);
                body = Bytes::from(question.form().expose().clone());
            }
            Asked::UserInfo(token) => drop(headers.insert(AUTHORIZATION, secret(format!("Bearer {token}"))?)),
        }
        let limits = ReplyLimits { headers: self.patience, whole: LARGEST, stream: 0, idle: self.patience };
        let outbound = Outbound { method, headers, body };
        let reply = self.egress.send(&target, &pool, outbound, &limits).await.map_err(Trouble::Unreachable)?;
        let (head, body) = reply.into_parts();
        let is_refusal = tells_errors && matches!(head.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        // Only where it says so as such an endpoint does: a page of somebody in between is no word on a token.
        if is_about_token && head.status == StatusCode::BAD_REQUEST && is_json(&head.headers) {
            return Err(Trouble::Unknown);
        }
        if head.status != StatusCode::OK && !is_refusal {
            return Err(Trouble::Status(head.status.as_u16()));
        }
        if !is_json(&head.headers) {
            return Err(if is_refusal { Trouble::Status(head.status.as_u16()) } else { Trouble::MediaType });
        }
        let body = body.whole().await.map_err(Trouble::Unreachable)?;
        match (is_refusal, doorward_core::oidc::answer::Tokens::parse(&body)) {
            (true, Err(refused @ BadAnswer::Refused(_))) => Err(Trouble::Answer(refused)),
            (true, _) => Err(Trouble::Status(head.status.as_u16())),
            (false, _) => Ok(Said { body, fresh: fresh(&head.headers) }),
        }
    }
}

/// `max-age` (RFC 9111 section 5.2.2.1); the bounds are whoever's who asks.
fn fresh(headers: &HeaderMap) -> Option<Duration> {
    let all = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = all.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok().map(Duration::from_secs))
}

impl Trouble {
    /// For the record: a short stable word.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Unreachable(EgressError::Redirect(_)) => "provider_redirects".to_owned(),
            Self::Unreachable(EgressError::TooLarge) => "provider_too_large".to_owned(),
            Self::Unreachable(_) | Self::TimedOut | Self::Resting => "provider_unreachable".to_owned(),
            Self::Status(_) | Self::MediaType => "provider_failed".to_owned(),
            Self::Metadata(_) => "bad_metadata".to_owned(),
            Self::Keys(_) | Self::File => "keys_unavailable".to_owned(),
            Self::Unknown | Self::Unreadable => "bad_answer".to_owned(),
            Self::Answer(BadAnswer::Refused(code)) => format!("token_refused {code}").trim_end().to_owned(),
            Self::Answer(_) => "bad_answer".to_owned(),
        }
    }
}
