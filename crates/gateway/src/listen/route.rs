//! Routes as types. The table is complete: what is not here answers 404.

use super::metrics::RouteKind;
use doorward_core::id::ServerName;
use doorward_core::identity::caller::Door;
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
pub const ROUTES: [(&str, bool); 6] =
    [("/healthz", true), ("/readyz", true), ("/mcp", false), ("/k/mcp", false), ("/s/{server}/mcp", false), ("/k/{server}/mcp", false)];

impl Route {
    /// The route of a path, byte for byte: no decoding, no trailing slash, no case folding.
    #[must_use]
    pub fn of(path: &str) -> Self {
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
            Self::Unknown => RouteKind::Unknown,
        }
    }

    fn mcp(door: Door, server: &str) -> Self {
        ServerName::new(server).map_or(Self::Unknown, |server| Self::Mcp(McpRoute { door, server: Some(server) }))
    }
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
            "/",
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
        ] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
        assert!(matches!(Route::of("/k/alpha/mcp"), Route::Mcp(McpRoute { door: Door::Key, server: Some(_) })));
        assert!(matches!(Route::of("/s/alpha/mcp"), Route::Mcp(McpRoute { door: Door::OAuth, server: Some(_) })));
        assert!(matches!(Route::of("/k/mcp"), Route::Mcp(McpRoute { door: Door::Key, server: None })));
    }
}
