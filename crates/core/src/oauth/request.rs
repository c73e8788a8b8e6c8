//! The authorization request (OAuth 2.1 section 4.1.1): as it came, then checked against the client that sends it.
//!
//! Errors that come before the redirect URI is known to be the client's are told on a page of our own and nowhere else; only
//! behind a [`RedirectTarget`] they may travel (B6; AZ-06).

use super::client::{Client, Devices};
use super::device::{DeviceName, UserCode};
use super::dpop::Thumbprint;
use super::form::{Form, encoded};
use super::pkce::Challenge;
use super::redirect::{self, BadRedirect, RedirectTarget};
use super::scope::{Scopes, server_of};
use crate::id::ServerName;
use serde::{Deserialize, Serialize};

/// The parameters as they came, each once and bounded, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// `client_id`.
    pub client_id: String,
    /// `redirect_uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_challenge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_challenge_method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dpop_jkt: Option<String>,
    /// `request` or `request_uri` was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// The request of a device that it stands for, never read from a browser: only this gateway puts it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<FrontDevice>,
    /// Nothing is asked yet: somebody is about to type this user code (it may be empty), and signs in first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entering: Option<String>,
    /// Nothing is asked either: somebody is about to connect their account at this server, and signs in first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connecting: Option<String>,
}

/// A request of a device on its way through the pages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FrontDevice {
    name: String,
    code: String,
}

impl std::fmt::Debug for FrontDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrontDevice(..)")
    }
}

/// Why a request cannot even be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// No `client_id`.
    #[error("client_id is missing")]
    NoClient,
    /// A parameter is longer than [`LONGEST`] or holds control characters.
    #[error("a parameter is too long or holds characters that it may not")]
    Unfit,
}

/// A checked request. Made only by [`AuthRequest::check`].
#[derive(Debug)]
pub struct AuthRequest {
    client: Client,
    back: Back,
    server: ServerName,
    scopes: Scopes,
    prompt: Prompt,
    key: Option<Thumbprint>,
}

/// How the answer comes back to the client.
#[derive(Debug)]
pub enum Back {
    /// The browser carries it.
    Browser {
        /// Where to.
        target: RedirectTarget,
        /// Whether the request named it: then the token request must, too (OAuth 2.1 section 4.1.3).
        named: bool,
        /// Goes back as it came.
        state: Option<String>,
        /// What the verifier must digest to.
        challenge: Challenge,
    },
    /// The client fetches it with its device code (RFC 8628): nothing of it is ever in a browser.
    Device(DeviceName),
}

/// Whether the person may be asked (OpenID Connect Core 3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// As needed.
    Default,
    /// Nobody may be asked anything.
    None,
    /// The consent page in any case.
    Consent,
    /// Another sign-in in any case.
    Login,
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refused {
    /// Told on our page only: nobody knows whose address that is.
    Page(BadRedirect),
    /// Told to the client.
    Redirect(Box<Answer>),
    /// The client may not ask without a browser (any more): told on our page.
    NoDevices,
}

/// What goes back to the client through the browser. Needs a target that was checked; carries `iss` exactly once (RFC 9207). Where a device
/// asked, it goes nowhere: the device hears of it from the token endpoint.
#[derive(Debug)]
pub struct Answer {
    to: Option<(RedirectTarget, Option<String>)>,
    what: What,
}

#[derive(Debug)]
enum What {
    Code(String),
    Error(ErrorCode),
}

/// Error codes of an authorization response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// OAuth 2.1 section 4.1.2.1.
    InvalidRequest,
    /// Only `code` is served.
    UnsupportedResponseType,
    /// The person, or the installation, said no.
    AccessDenied,
    /// RFC 8707 section 2: the resource is missing, unknown or not this person's.
    InvalidTarget,
    /// RFC 9101: request objects are not served.
    RequestNotSupported,
    /// OpenID Connect Core 3.1.2.6, under `prompt=none`.
    LoginRequired,
    /// The same.
    ConsentRequired,
    /// Ours is the fault; the client may try again.
    TemporarilyUnavailable,
}

/// Longest parameter, in bytes.
const LONGEST: usize = 2048;

// === impl Front ===

impl Front {
    /// Takes the parameters that mean something here; unknown ones are ignored (OAuth 2.1 section 3.1).
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn read(form: &Form) -> Result<Self, Misfit> {
        let take = |name: &str| match form.get(name) {
            Some(value) if value.len() > LONGEST || value.chars().any(char::is_control) => Err(Misfit::Unfit),
            value => Ok(value.map(str::to_owned)),
        };
        let object = ["request", "request_uri"].into_iter().find(|name| form.get(name).is_some());
        Ok(Self {
            client_id: take("client_id")?.ok_or(Misfit::NoClient)?,
            redirect_uri: take("redirect_uri")?,
            response_type: take("response_type")?,
            response_mode: take("response_mode")?,
            state: take("state")?,
            scope: take("scope")?,
            resource: take("resource")?,
            code_challenge: take("code_challenge")?,
            code_challenge_method: take("code_challenge_method")?,
            prompt: take("prompt")?,
            dpop_jkt: take("dpop_jkt")?,
            object: object.map(str::to_owned),
            device: None,
            entering: None,
            connecting: None,
        })
    }

    /// The parameters of a request that a device makes (RFC 8628 section 3.1).
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn read_device(form: &Form, client_id: &str, (name, code): (DeviceName, &UserCode)) -> Result<Self, Misfit> {
        let fits = |value: &str| value.len() <= LONGEST && !value.chars().any(char::is_control);
        let take = |key: &str| form.get(key).map(|value| if fits(value) { Ok(value.to_owned()) } else { Err(Misfit::Unfit) }).transpose();
        Ok(Self::of_device(client_id, (take("scope")?, take("resource")?), (name, code)))
    }

    /// The same, as it was kept.
    #[must_use]
    pub fn of_device(client_id: &str, (scope, resource): (Option<String>, Option<String>), (name, code): (DeviceName, &UserCode)) -> Self {
        let device = FrontDevice { name: crate::audit::event::hex(&name.0), code: code.shown() };
        Self { scope, resource, device: Some(device), ..Self::empty(client_id) }
    }

    /// No request yet: somebody who signs in first types a user code afterwards, or confirms this one.
    #[must_use]
    pub fn entering(code: Option<&UserCode>) -> Self {
        Self { entering: Some(code.map(UserCode::shown).unwrap_or_default()), ..Self::empty("") }
    }

    fn empty(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            redirect_uri: None,
            response_type: None,
            response_mode: None,
            state: None,
            scope: None,
            resource: None,
            code_challenge: None,
            code_challenge_method: None,
            prompt: None,
            object: None,
            dpop_jkt: None,
            device: None,
            entering: None,
            connecting: None,
        }
    }

    /// No request either: somebody who signs in first connects their account at this server afterwards.
    #[must_use]
    pub fn connecting(server: &ServerName) -> Self {
        Self { connecting: Some(server.to_string()), ..Self::empty("") }
    }

    /// The server at which somebody is about to connect their account.
    #[must_use]
    pub fn connects(&self) -> Option<ServerName> {
        self.connecting.as_deref().and_then(|name| ServerName::new(name).ok())
    }

    /// Whether it asks for this server, of the installation at `root`. What it is worth is for [`AuthRequest::check`] to say.
    #[must_use]
    pub fn is_for(&self, server: &ServerName, root: &str) -> bool {
        self.resource.as_deref().is_some_and(|asked| asked == crate::oauth::scope::resource(root, server))
    }

    /// The user code that is about to be typed, where nothing is asked yet.
    #[must_use]
    pub fn entered(&self) -> Option<&str> {
        self.entering.as_deref()
    }

    /// The user code of the device that asks.
    #[must_use]
    pub fn user_code(&self) -> Option<&str> {
        self.device.as_ref().map(|device| device.code.as_str())
    }

    /// `scope`, as it came.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// `resource`, as it came.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// Whether nobody may be asked anything (`prompt=none`).
    #[must_use]
    pub fn asks_nobody(&self) -> bool {
        self.prompt.as_deref() == Some("none")
    }
}

// === impl AuthRequest ===

impl AuthRequest {
    /// Checks a request of `client`, the one that `front.client_id` names. `root` is the public root of this installation.
    ///
    /// The redirect URI comes first: everything after it may be told to the client.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(front: &Front, client: Client, root: &str) -> Result<Self, Refused> {
        if let Some(device) = &front.device {
            return Self::check_device(front, client, device, root);
        }
        let target = redirect::check(&client, front.redirect_uri.as_deref()).map_err(Refused::Page)?;
        let refuse = |code: ErrorCode| Refused::Redirect(Box::new(Answer::error(Some((target.clone(), front.state.clone())), code)));
        if front.object.is_some() {
            return Err(refuse(ErrorCode::RequestNotSupported));
        }
        match front.response_type.as_deref() {
            Some("code") => {}
            Some(_) => return Err(refuse(ErrorCode::UnsupportedResponseType)),
            None => return Err(refuse(ErrorCode::InvalidRequest)),
        }
        if !matches!(front.response_mode.as_deref(), None | Some("query")) {
            return Err(refuse(ErrorCode::InvalidRequest));
        }
        let prompt = match front.prompt.as_deref() {
            None | Some("select_account") => Prompt::Default,
            Some("none") => Prompt::None,
            Some("consent") => Prompt::Consent,
            Some("login" | "login consent" | "consent login") => Prompt::Login,
            Some(_) => return Err(refuse(ErrorCode::InvalidRequest)),
        };
        let challenge = Challenge::new(front.code_challenge.as_deref(), front.code_challenge_method.as_deref());
        let challenge = challenge.map_err(|_| refuse(ErrorCode::InvalidRequest))?;
        let key = front.dpop_jkt.as_deref().map(|key| Thumbprint::parse(key).ok_or_else(|| refuse(ErrorCode::InvalidRequest)));
        let key = key.transpose()?;
        // Never a default (I7): a token for "whatever is there" is a token for what its client never meant.
        let server = front.resource.as_deref().and_then(|resource| server_of(root, resource));
        let server = server.ok_or_else(|| refuse(ErrorCode::InvalidTarget))?;
        Ok(Self {
            client,
            back: Back::Browser { target, named: front.redirect_uri.is_some(), state: front.state.clone(), challenge },
            server,
            scopes: Scopes::parse(front.scope.as_deref()),
            prompt,
            key,
        })
    }

    /// The same of a device (RFC 8628 section 3.1): the person is always asked, and the resource is no default either.
    fn check_device(front: &Front, client: Client, device: &FrontDevice, root: &str) -> Result<Self, Refused> {
        let name = crate::audit::event::unhex(&device.name).map(DeviceName).ok_or(Refused::NoDevices)?;
        if client.devices() != Devices::Named {
            return Err(Refused::NoDevices);
        }
        let refuse = |code: ErrorCode| Refused::Redirect(Box::new(Answer::error(None, code)));
        let server = front.resource.as_deref().and_then(|resource| server_of(root, resource));
        let server = server.ok_or_else(|| refuse(ErrorCode::InvalidTarget))?;
        Ok(Self {
            client,
            back: Back::Device(name),
            server,
            key: None,
            scopes: Scopes::parse(front.scope.as_deref()),
            prompt: Prompt::Consent,
        })
    }

    /// Who asks.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// How the answer comes back.
    #[must_use]
    pub const fn back(&self) -> &Back {
        &self.back
    }

    /// Where the answer goes, if the browser carries it.
    #[must_use]
    pub const fn target(&self) -> Option<&RedirectTarget> {
        match &self.back {
            Back::Browser { target, .. } => Some(target),
            Back::Device(_) => None,
        }
    }

    /// The key that the code is for (`dpop_jkt`, RFC 9449 section 10).
    #[must_use]
    pub const fn key(&self) -> Option<Thumbprint> {
        self.key
    }

    /// For which server.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// What it would like: a pre-selection, no more (AS4).
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Whether the person may be asked.
    #[must_use]
    pub const fn prompt(&self) -> Prompt {
        self.prompt
    }

    /// A refusal that its client is told.
    #[must_use]
    pub fn refuse(&self, code: ErrorCode) -> Answer {
        Answer { to: self.to(), what: What::Error(code) }
    }

    /// The code for its client.
    pub(super) fn grant(&self, code: String) -> Answer {
        Answer { to: self.to(), what: What::Code(code) }
    }

    fn to(&self) -> Option<(RedirectTarget, Option<String>)> {
        match &self.back {
            Back::Browser { target, state, .. } => Some((target.clone(), state.clone())),
            Back::Device(_) => None,
        }
    }
}

// === impl Answer ===

impl Answer {
    const fn error(to: Option<(RedirectTarget, Option<String>)>, code: ErrorCode) -> Self {
        Self { to, what: What::Error(code) }
    }

    /// The error, if it is one.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self.what {
            What::Code(_) => None,
            What::Error(code) => Some(code),
        }
    }

    /// The address with its parameters; none where a device asked. Holds the code: shown to the browser that the request is bound to, and to
    /// nobody else.
    #[must_use]
    pub fn url(&self, issuer: &str) -> Option<String> {
        let (target, state) = self.to.as_ref()?;
        let mut url = target.as_str().to_owned();
        url.push(if url.contains('?') { '&' } else { '?' });
        match &self.what {
            What::Code(code) => url.push_str(&format!("code={}", encoded(code))),
            What::Error(code) => {
                url.push_str(&format!("error={}&error_description={}", code.as_str(), encoded(code.description())));
            }
        }
        if let Some(state) = state {
            url.push_str(&format!("&state={}", encoded(state)));
        }
        url.push_str(&format!("&iss={}", encoded(issuer)));
        Some(url)
    }
}

// === impl ErrorCode ===

impl ErrorCode {
    /// The value of `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::AccessDenied => "access_denied",
            Self::InvalidTarget => "invalid_target",
            Self::RequestNotSupported => "request_not_supported",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// For the developer of the client.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest => "send response_type=code, a code_challenge of 43 characters and code_challenge_method=S256",
            Self::UnsupportedResponseType => "only response_type=code is served",
            Self::AccessDenied => "the request was declined",
            Self::InvalidTarget => "send resource: the exact address of the MCP server as its metadata states it",
            Self::RequestNotSupported => "request objects are not served",
            Self::LoginRequired => "nobody is signed in",
            Self::ConsentRequired => "the person has to be asked",
            Self::TemporarilyUnavailable => "try again in a moment",
        }
    }
}
