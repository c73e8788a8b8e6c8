//! Routes as types. The table is complete: what is not here answers 404.

use super::metrics::RouteKind;
use doorward_core::id::{ProviderName, ServerName};
use doorward_core::identity::caller::Door;
use doorward_core::oauth::attempt::AttemptId;
use http::Method;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// An MCP endpoint: the corridor.
    Mcp(McpRoute),
    /// `/healthz`: the process answers. Public.
    Health,
    /// `/readyz`: calls would be served. Public.
    Ready,
    /// The front office: metadata, OAuth endpoints and pages.
    Office(Office),
    /// Nothing here.
    Unknown,
}

/// An MCP endpoint. The route decides two facts only: the server, and whether OAuth is advertised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpRoute {
    /// Which credentials count.
    pub door: Door,
    /// The server, or `None` on the federated endpoints `/mcp` and `/k/mcp`.
    pub server: Option<ServerName>,
}

/// Endpoints and pages of the front office. Each says for itself who may ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Office {
    /// RFC 8414 metadata, under every name that clients try (product AS2).
    Metadata,
    /// RFC 9728 metadata of one server.
    Resource(ServerName),
    /// `/oauth/authorize`: where a client sends the person's browser.
    Authorize,
    /// `/oauth/consent`: the page of a request that is under way, and its decision.
    Consent,
    /// `/oauth/token`.
    Token,
    /// `/oauth/register` (RFC 7591).
    Register,
    /// `/oauth/revoke` (RFC 7009).
    Revoke,
    /// `/oauth/introspect` (RFC 7662).
    Introspect,
    /// `/oauth/device` (RFC 8628): a program without a browser asks.
    AskForDevice,
    /// `/device`: where a person types its code.
    Device,
    /// `/setup`: where a one-time link leads.
    Setup,
    /// `/login`: how to sign in.
    Login,
    /// `/login/<idp>`: leaves for an identity provider.
    Provider(ProviderName),
    /// `/login/<idp>/callback`: comes back from it.
    Callback(ProviderName),
    /// `/login/<idp>/logout`: it says that somebody signed out there.
    ProviderLogout(ProviderName),
    /// `/logout`.
    Logout,
    /// `/me`: what this person allowed, and where they are signed in.
    Me,
    /// `/connect/<server>`: the account of this person at a server.
    Connect(ServerName),
    /// `/connect/<server>/callback`: comes back from its provider.
    Connected(ServerName),
    /// `/me/attempts/<id>`: how far one client of this person came.
    Attempt(AttemptId),
    /// `/`: how to connect.
    Home,
    /// `/admin/...`: what runs here, for those who answer for it.
    Admin(AdminPage),
    /// `/api/v1/...`: the same for programs.
    Api(Api),
    /// The stylesheet.
    Style,
    /// The script of `/setup`.
    SetupScript,
    /// The mark, for the tab of a browser.
    Icon,
}

/// Pages of administrators and auditors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminPage {
    /// `/admin`.
    Overview,
    /// `/admin/servers`.
    Servers,
    /// `/admin/clients`.
    Clients,
    /// `/admin/people`.
    People,
    /// `/admin/people/person`: one, by issuer and subject in the query.
    Person,
    /// `/admin/attempts`.
    Attempts,
    /// `/admin/record`.
    Record,
    /// `/admin/record/<position>`.
    RecordAt(u64),
    /// `/admin/settings`.
    Settings,
}

/// Endpoints of the API of administrators and auditors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// One that is read.
    Read(View),
    /// `/api/v1/changes`.
    Change,
}

/// What is read there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `/api/v1/session`: who asks, and the token of changes.
    Session,
    /// `/api/v1/overview`.
    Overview,
    /// `/api/v1/servers`.
    Servers,
    /// `/api/v1/clients`.
    Clients,
    /// `/api/v1/people`.
    People,
    /// `/api/v1/people/person`.
    Person,
    /// `/api/v1/attempts`.
    Attempts,
    /// `/api/v1/records`.
    Records,
    /// `/api/v1/records/<position>`.
    Record(u64),
    /// `/api/v1/settings`.
    Settings,
}

/// Whose pages may call an endpoint from a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// Those of the configuration, and our own.
    Listed,
    /// Any: it takes no cookie and shows nothing that is not public, or that its caller did not bring along.
    Any,
    /// Our own; forms check besides where they were sent from, since they come with `Origin: null` (product 5.3).
    Own,
}

/// Methods of an MCP endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// A message.
    Post,
    /// The server stream of a legacy session.
    Get,
    /// The end of a legacy session.
    Delete,
    /// Anything else: 405 once the caller is known (Gemini CLI probes with HEAD).
    Other,
}

/// Every route with whether it is public; `crates/gateway/tests/corridor/identity.rs` walks this table without a credential.
pub const ROUTES: [(&str, bool); 57] = [
    ("/healthz", true),
    ("/readyz", true),
    ("/mcp", false),
    ("/k/mcp", false),
    ("/s/{server}/mcp", false),
    ("/k/{server}/mcp", false),
    ("/.well-known/oauth-authorization-server", true),
    ("/.well-known/oauth-authorization-server/s/{server}/mcp", true),
    ("/.well-known/openid-configuration", true),
    ("/.well-known/openid-configuration/s/{server}/mcp", true),
    ("/s/{server}/mcp/.well-known/openid-configuration", true),
    ("/.well-known/oauth-protected-resource/s/{server}/mcp", true),
    ("/oauth/authorize", true),
    ("/authorize", true),
    ("/oauth/consent", true),
    ("/oauth/token", true),
    ("/token", true),
    ("/oauth/register", true),
    ("/register", true),
    ("/oauth/revoke", true),
    ("/oauth/introspect", true),
    ("/oauth/device", true),
    // Shows nothing before a sign-in.
    ("/device", true),
    ("/setup", true),
    ("/setup.js", true),
    ("/style.css", true),
    ("/login", true),
    // Both answer a browser that is nobody yet; the second believes only what it sealed itself (docs/signing-in.md).
    ("/login/{idp}", true),
    ("/login/{idp}/callback", true),
    // Believes only what the provider signed (ADR 29).
    ("/login/{idp}/logout", true),
    // These lead to the sign-in page, and show nothing to whoever is nobody.
    ("/logout", true),
    ("/me", true),
    ("/me/attempts/{attempt}", true),
    ("/connect/{server}", true),
    ("/connect/{server}/callback", true),
    ("/", true),
    ("/favicon.ico", true),
    // The same: nothing for whoever is nobody, and no more for a member.
    ("/admin", true),
    ("/admin/servers", true),
    ("/admin/clients", true),
    ("/admin/people", true),
    ("/admin/people/person", true),
    ("/admin/attempts", true),
    ("/admin/record", true),
    ("/admin/record/{position}", true),
    ("/admin/settings", true),
    // By the cookie of a person with a role alone.
    ("/api/v1/session", false),
    ("/api/v1/overview", false),
    ("/api/v1/servers", false),
    ("/api/v1/clients", false),
    ("/api/v1/people", false),
    ("/api/v1/people/person", false),
    ("/api/v1/attempts", false),
    ("/api/v1/records", false),
    ("/api/v1/records/{position}", false),
    ("/api/v1/settings", false),
    ("/api/v1/changes", false),
];

impl Route {
    /// The route of a path, byte for byte: no decoding, no trailing slash, no case folding.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if let Some(office) = Office::of(path) {
            return Self::Office(office);
        }
        let mut parts = path.split('/').skip(1);
        let found = (parts.next(), parts.next(), parts.next(), parts.next());
        match found {
            (Some("healthz"), None, ..) => Self::Health,
            (Some("readyz"), None, ..) => Self::Ready,
            (Some("mcp"), None, ..) => Self::Mcp(McpRoute { door: Door::OAuth, server: None }),
            (Some("k"), Some("mcp"), None, _) => Self::Mcp(McpRoute { door: Door::Key, server: None }),
            (Some("s"), Some(server), Some("mcp"), None) => Self::mcp(Door::OAuth, server),
            (Some("k"), Some(server), Some("mcp"), None) => Self::mcp(Door::Key, server),
            _ => Self::Unknown,
        }
    }

    /// Its label in metrics.
    #[must_use]
    pub const fn kind(&self) -> RouteKind {
        match self {
            Self::Mcp(McpRoute { door: Door::Key, .. }) => RouteKind::Key,
            Self::Mcp(_) => RouteKind::Oauth,
            Self::Health | Self::Ready => RouteKind::Probe,
            Self::Office(_) => RouteKind::Office,
            Self::Unknown => RouteKind::Unknown,
        }
    }

    fn mcp(door: Door, server: &str) -> Self {
        ServerName::new(server).map_or(Self::Unknown, |server| Self::Mcp(McpRoute { door, server: Some(server) }))
    }
}

impl Office {
    fn of(path: &str) -> Option<Self> {
        let server = |middle: &str| {
            middle.strip_prefix("/s/").and_then(|rest| rest.strip_suffix("/mcp")).and_then(|name| ServerName::new(name).ok())
        };
        Some(match path {
            "/" => Self::Home,
            "/oauth/authorize" | "/authorize" => Self::Authorize,
            "/oauth/consent" => Self::Consent,
            "/oauth/token" | "/token" => Self::Token,
            "/oauth/register" | "/register" => Self::Register,
            "/oauth/revoke" => Self::Revoke,
            "/oauth/introspect" => Self::Introspect,
            "/oauth/device" => Self::AskForDevice,
            "/device" => Self::Device,
            "/setup" => Self::Setup,
            "/setup.js" => Self::SetupScript,
            "/style.css" => Self::Style,
            "/favicon.ico" => Self::Icon,
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/me" => Self::Me,
            _ => {
                if let Some(id) = path.strip_prefix("/me/attempts/") {
                    return AttemptId::parse(id).map(Self::Attempt);
                }
                if let Some(rest) = path.strip_prefix("/connect/") {
                    return match rest.split_once('/') {
                        Some((name, "callback")) => ServerName::new(name).ok().map(Self::Connected),
                        Some(_) => None,
                        None => ServerName::new(rest).ok().map(Self::Connect),
                    };
                }
                if let Some(rest) = path.strip_prefix("/admin") {
                    return AdminPage::of(rest).map(Self::Admin);
                }
                if let Some(rest) = path.strip_prefix("/api/v1/") {
                    return Api::of(rest).map(Self::Api);
                }
                if let Some(rest) = path.strip_prefix("/login/") {
                    return match rest.split_once('/') {
                        Some((name, "callback")) => ProviderName::new(name).ok().map(Self::Callback),
                        Some((name, "logout")) => ProviderName::new(name).ok().map(Self::ProviderLogout),
                        Some(_) => None,
                        None => ProviderName::new(rest).ok().map(Self::Provider),
                    };
                }
                if let Some(resource) = path.strip_prefix("/.well-known/oauth-protected-resource") {
                    return server(resource).map(Self::Resource);
                }
                let metadata = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
                let rest = metadata
                    .iter()
                    .find_map(|name| path.strip_prefix(name))
                    .or_else(|| path.strip_suffix("/.well-known/openid-configuration"))?;
                return (rest.is_empty() || server(rest).is_some()).then_some(Self::Metadata);
            }
        })
    }

    /// What a record of it is about.
    #[must_use]
    pub const fn endpoint(&self) -> &'static str {
        match self {
            Self::Token => "token endpoint",
            Self::Revoke => "revocation endpoint",
            Self::Introspect => "introspection endpoint",
            Self::AskForDevice => "device endpoint",
            _ => "front office",
        }
    }

    /// Whose pages may call it.
    #[must_use]
    pub const fn origins(&self) -> Origins {
        match self {
            Self::Metadata | Self::Resource(_) | Self::Token | Self::Register | Self::Revoke => Origins::Any,
            _ => Origins::Own,
        }
    }

    /// Whether each request counts against its address before it is looked at. Assets cost nothing; the token endpoint counts those
    /// that fail, for a client that has a right to its tokens must not be held up by its neighbours. So does the end of sessions at a
    /// provider: all of its people may be signed out in one minute, from one address.
    #[must_use]
    pub const fn counts_strangers(&self) -> bool {
        let is_asset = matches!(self, Self::Style | Self::SetupScript | Self::Icon);
        !is_asset && !matches!(self, Self::Token | Self::Revoke | Self::Introspect | Self::ProviderLogout(_))
    }

    /// Whether browsers of other sites may read it without asking first: public documents.
    #[must_use]
    pub const fn is_document(&self) -> bool {
        matches!(self, Self::Metadata | Self::Resource(_))
    }
}

impl Route {
    /// Whose pages may call it.
    #[must_use]
    pub const fn origins(&self) -> Origins {
        match self {
            Self::Office(office) => office.origins(),
            _ => Origins::Listed,
        }
    }
}

impl AdminPage {
    /// Its path.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Overview => "/admin".to_owned(),
            Self::Servers => "/admin/servers".to_owned(),
            Self::Clients => "/admin/clients".to_owned(),
            Self::People => "/admin/people".to_owned(),
            Self::Person => "/admin/people/person".to_owned(),
            Self::Attempts => "/admin/attempts".to_owned(),
            Self::Record => "/admin/record".to_owned(),
            Self::RecordAt(seq) => format!("/admin/record/{seq}"),
            Self::Settings => "/admin/settings".to_owned(),
        }
    }

    /// The page of what stands behind `/admin`.
    fn of(rest: &str) -> Option<Self> {
        Some(match rest {
            "" => Self::Overview,
            "/servers" => Self::Servers,
            "/clients" => Self::Clients,
            "/people" => Self::People,
            "/people/person" => Self::Person,
            "/attempts" => Self::Attempts,
            "/record" => Self::Record,
            "/settings" => Self::Settings,
            _ => Self::RecordAt(position(rest.strip_prefix("/record/")?)?),
        })
    }
}

impl Api {
    /// The endpoint of what stands behind `/api/v1/`.
    fn of(rest: &str) -> Option<Self> {
        Some(Self::Read(match rest {
            "changes" => return Some(Self::Change),
            "session" => View::Session,
            "overview" => View::Overview,
            "servers" => View::Servers,
            "clients" => View::Clients,
            "people" => View::People,
            "people/person" => View::Person,
            "attempts" => View::Attempts,
            "records" => View::Records,
            "settings" => View::Settings,
            _ => View::Record(position(rest.strip_prefix("records/")?)?),
        }))
    }
}

/// A position in the record, from 1, as it is written: no sign, no zero in front.
fn position(text: &str) -> Option<u64> {
    let is_one = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_one.then(|| text.parse().ok()).flatten()
}

impl Verb {
    /// The verb of an HTTP method.
    #[must_use]
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::POST => Self::Post,
            Method::GET => Self::Get,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_paths_are_routes() {
        for path in [
            "",
            "/mcp/",
            "//mcp",
            "/s/a",
            "/s//mcp",
            "/s/A/mcp",
            "/s/a/mcp/",
            "/s/a/mcp/x",
            "/k/a_b/mcp",
            "/s/a%2fb/mcp",
            "/MCP",
            "/healthz/",
            "/admin/",
            "/administration",
            "/admin/record/0",
            "/admin/record/01",
            "/admin/record/+1",
            "/admin/record/18446744073709551616",
            "/api/v1",
            "/api/v1/",
            "/api/v1/records/",
            "/api/v2/records",
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
        assert!(matches!(Route::of("/k/alpha/mcp"), Route::Mcp(McpRoute { door: Door::Key, server: Some(_) })));
        assert!(matches!(Route::of("/s/alpha/mcp"), Route::Mcp(McpRoute { door: Door::OAuth, server: Some(_) })));
        assert!(matches!(Route::of("/k/mcp"), Route::Mcp(McpRoute { door: Door::Key, server: None })));
    }
}
