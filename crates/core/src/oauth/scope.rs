//! Scopes and resources: `<server>:<class>` of a token, and the one address that it is for (RFC 8707; product AS4, AS7).

use crate::id::ServerName;
use crate::policy::facts::RiskClass;
use std::collections::BTreeSet;

/// One thing that may be granted: a class of tools of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    server: ServerName,
    class: RiskClass,
}

/// Scopes as a client asked for them; what it asked for besides is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

/// Longest `scope` that is read, in bytes.
const LONGEST: usize = 4096;

// === impl Scope ===

impl Scope {
    /// A class of a server.
    #[must_use]
    pub const fn new(server: ServerName, class: RiskClass) -> Self {
        Self { server, class }
    }

    /// Reads `<server>:<class>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (server, class) = text.split_once(':')?;
        Some(Self { server: ServerName::new(server).ok()?, class: RiskClass::parse(class)? })
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// The class.
    #[must_use]
    pub const fn class(&self) -> RiskClass {
        self.class
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.server, self.class.as_str())
    }
}

// === impl Scopes ===

impl Scopes {
    /// Reads a space-separated list. What is not `<server>:<class>` (`openid`, `offline_access`, names of others) is left out:
    /// the answer says what was granted (OAuth 2.1 section 3.2.3).
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let text = text.filter(|text| text.len() <= LONGEST).unwrap_or_default();
        Self(text.split(' ').filter_map(Scope::parse).collect())
    }

    /// The same list, if each word of it is a scope of ours.
    #[must_use]
    pub fn exact(text: &str) -> Option<Self> {
        let words = Some(text).filter(|text| text.len() <= LONGEST)?.split(' ').filter(|word| !word.is_empty());
        words.map(Scope::parse).collect::<Option<BTreeSet<_>>>().map(Self)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Those of one server.
    pub fn of<'a>(&'a self, server: &'a ServerName) -> impl Iterator<Item = &'a Scope> {
        self.0.iter().filter(move |scope| scope.server == *server)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// The resource identifier of a server: the address at which clients reach it. `root` is the public root, without a slash.
#[must_use]
pub fn resource(root: &str, server: &ServerName) -> String {
    format!("{root}/s/{server}/mcp")
}

/// Which server a `resource` parameter means, byte for byte; nothing is a near miss (I7).
#[must_use]
pub fn server_of(root: &str, resource: &str) -> Option<ServerName> {
    let name = resource.strip_prefix(root)?.strip_prefix("/s/")?.strip_suffix("/mcp")?;
    ServerName::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn az_11_scopes_of_others_are_left_out() {
        let asked =
            Scopes::parse(Some("alpha:read alpha:write openid offline_access * alpha:* alpha alpha:admin ALPHA:read  beta:destructive"));
        assert_eq!(asked.to_string(), "alpha:read alpha:write beta:destructive");
        assert!(Scopes::parse(None).is_empty());
        assert!(Scopes::parse(Some("")).is_empty());
        assert!(Scopes::parse(Some(&"alpha:read ".repeat(1000))).is_empty(), "too long to be meant");
    }

    #[test]
    fn rs_01_a_resource_is_ours_byte_for_byte() {
        let root = "http://127.0.0.1:8417";
        let alpha = ServerName::new("alpha").expect("name");
        assert_eq!(server_of(root, &resource(root, &alpha)), Some(alpha));
        for other in [
            "http://127.0.0.1:8417",
            "http://127.0.0.1:8417/",
            "http://127.0.0.1:8417/mcp",
            "http://127.0.0.1:8417/s/alpha/mcp/",
            "http://127.0.0.1:8417/s/alpha/mcp#x",
            "http://127.0.0.1:8417/s/Alpha/mcp",
            "http://127.0.0.1:8417/s//mcp",
            "http://127.0.0.1:8417/s/a/b/mcp",
            "http://127.0.0.1:8417/k/alpha/mcp",
            "HTTP://127.0.0.1:8417/s/alpha/mcp",
            "http://127.0.0.1:84170/s/alpha/mcp",
            "http://127.0.0.1:8417.evil.test/s/alpha/mcp",
        ] {
            assert_eq!(server_of(root, other), None, "{other}");
        }
    }
}
