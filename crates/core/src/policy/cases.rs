//! Tests of policies, as administrators keep them beside the policies: `given` a request, `expect` a decision.
//!
//! ```toml
//! [[test]]
//! name = "nobody merges"
//! given = { user = "local/bob", groups = ["engineering"], tool = "github__merge_pull_request", class = "write", granted = ["github:write"] }
//! expect = { decision = "deny", rule = "no-merge" }
//! ```

use super::decide::Why;
use super::explain::{Explanation, Question, Subject, explain};
use super::facts::RiskClass;
use super::permit::Obligation;
use super::rules::Rules;
use crate::id::{AgentLabel, ClientId, GroupName, SeenLabel, ServerName, UserId};
use crate::identity::caller::Level;
use crate::json::RawJson;
use crate::mcp::version::{Era, Version};
use crate::time::Timestamp;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// One test.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// Its name.
    pub name: String,
    /// The request.
    pub question: Question,
    /// What should come out.
    pub expect: Expect,
}

/// What a test expects. What is not given is not compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The decision.
    pub decision: Expected,
    /// A determining rule, or the reason of the denial where no rule decided: `not-granted`, `no-rule`.
    pub rule: Option<String>,
    /// The obligations, all of them.
    pub obligations: Option<Vec<String>>,
}

/// The decision expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// The call is permitted.
    Allow,
    /// It is denied.
    Deny,
}

/// How a test went.
#[derive(Debug, Clone)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// What came out otherwise than expected; empty if the test passed.
    pub differences: Vec<String>,
    /// What the decision was.
    pub explanation: Explanation,
}

/// A test file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCase(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    #[serde(default)]
    test: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    given: Given,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    client: Option<String>,
    agent: Option<String>,
    #[serde(default)]
    via: Vec<String>,
    #[serde(default)]
    verified: bool,
    level: Option<String>,
    server: Option<String>,
    tool: Option<String>,
    class: Option<String>,
    #[serde(default)]
    quarantined: bool,
    resource: Option<String>,
    prompt: Option<String>,
    arguments: Option<serde_json::Value>,
    #[serde(default)]
    granted: BTreeSet<String>,
    era: Option<String>,
    peer: Option<IpAddr>,
    now: Option<String>,
    #[serde(default)]
    seen: BTreeSet<String>,
}

/// The depth of nesting in `arguments`.
const DEPTH: usize = 64;

// === impl TestCase ===

impl TestCase {
    /// Reads a test file. `now` is the time of tests that name none.
    ///
    /// Obligations count as fulfilled: a test is about rules, not about one installation.
    ///
    /// # Errors
    /// [`BadCase`] names the test and the value that makes no sense.
    pub fn read(text: &str, now: Timestamp) -> Result<Vec<Self>, BadCase> {
        let file: TestFile = toml::from_str(text).map_err(|error| BadCase(error.to_string()))?;
        file.test.into_iter().map(|written| Self::new(written, now)).collect()
    }

    /// Asks the rules and compares.
    #[must_use]
    pub fn run(&self, rules: &Rules) -> TestResult {
        let explanation = explain(rules, &self.question);
        let mut differences = Vec::new();
        let decision = if explanation.denied.is_none() { Expected::Allow } else { Expected::Deny };
        if decision != self.expect.decision {
            differences.push(format!("expected {}, got {}", self.expect.decision.as_str(), decision.as_str()));
        }
        if let Some(rule) = &self.expect.rule {
            let found = determining(&explanation);
            if !found.iter().any(|id| id == rule) {
                differences.push(format!("expected rule {rule}, got {}", found.join(", ")));
            }
        }
        if let Some(expected) = &self.expect.obligations {
            let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            let found: BTreeSet<&str> = explanation.obligations.iter().map(|obligation| obligation.as_str()).collect();
            if expected != found {
                differences.push(format!("expected obligations {expected:?}, got {found:?}"));
            }
        }
        TestResult { name: self.name.clone(), differences, explanation }
    }

    fn new(written: Written, now: Timestamp) -> Result<Self, BadCase> {
        let Written { name, given, expect } = written;
        let bad = |what: &str| BadCase(format!("test {name:?}: {what}"));
        for obligation in expect.obligations.iter().flatten() {
            Obligation::parse(obligation).ok_or_else(|| bad("expect.obligations names an unknown obligation"))?;
        }
        let user = given.user.split_once('/').unwrap_or(("local", &given.user));
        let (server, subject) = given.subject().map_err(|what| bad(&what))?;
        let arguments = given.arguments.as_ref().map(|value| RawJson::parse(&Bytes::from(value.to_string()), DEPTH));
        let level = given.level.as_deref().unwrap_or("oauth");
        let era = match given.era.as_deref() {
            None | Some("modern") => Era::Modern,
            Some("legacy") => Era::Legacy(Version::V2025_11_25),
            Some(_) => return Err(bad("era is \"modern\" or \"legacy\"")),
        };
        let question = Question {
            user: UserId::new(user.0, user.1).map_err(|_| bad("user is \"<issuer>/<subject>\", or a subject of the issuer local"))?,
            groups: given.groups.iter().map(|group| GroupName::new(group)).collect::<Result<_, _>>().map_err(|_| bad("groups"))?,
            client: ClientId::new(given.client.as_deref().unwrap_or("test")).map_err(|_| bad("client"))?,
            agent: given.agent.as_deref().map(AgentLabel::new).transpose().map_err(|_| bad("agent"))?,
            via: given.via.iter().map(|client| ClientId::new(client)).collect::<Result<_, _>>().map_err(|_| bad("via"))?,
            client_verified: given.verified,
            level: level_named(level).ok_or_else(|| bad("level is static-key, oauth, cloud or impersonation"))?,
            granted: given.granted,
            server,
            subject,
            arguments: arguments.transpose().map_err(|fault| bad(&format!("arguments: {fault}")))?,
            era,
            peer: given.peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            now: given.now.as_deref().map_or(Some(now), instant).ok_or_else(|| bad("now is a time such as 2026-11-24T09:00:00Z"))?,
            seen: given.seen.iter().map(|label| SeenLabel::new(label)).collect::<Result<_, _>>().map_err(|_| bad("seen"))?,
            able: Obligation::ALL.to_vec(),
        };
        Ok(Self { name, question, expect })
    }
}

/// The rules that decided, or the word for a denial without a rule.
fn determining(explanation: &Explanation) -> Vec<String> {
    match (explanation.rules.as_slice(), explanation.denied) {
        (_, Some(Why::NotGranted)) => vec!["not-granted".to_owned()],
        ([], Some(_)) if explanation.missing.is_some() => vec!["not-granted".to_owned()],
        ([], Some(_)) => vec!["no-rule".to_owned()],
        (rules, _) => rules.iter().map(|rule| rule.id.to_string()).collect(),
    }
}

fn level_named(name: &str) -> Option<Level> {
    [Level::StaticKey, Level::OAuth, Level::Cloud, Level::Impersonation].into_iter().find(|level| level.as_str() == name)
}

fn instant(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::from_millis)
}

// === impl Given ===

impl Given {
    fn subject(&self) -> Result<(ServerName, Subject), String> {
        let class = match self.class.as_deref() {
            None => RiskClass::Read,
            Some(name) => RiskClass::parse(name).ok_or("class is read, write or destructive")?,
        };
        let server = |name: &str| ServerName::new(name).map_err(|_| "the server's name is [a-z0-9][a-z0-9-]{0,30}".to_owned());
        let named = || self.server.as_deref().ok_or_else(|| "server is missing".to_owned()).and_then(server);
        match (&self.tool, &self.resource, &self.prompt) {
            (Some(tool), None, None) => {
                // `<server>__<tool>`, or the tool's own name beside `server`.
                let (of, name) = match (&self.server, tool.split_once("__")) {
                    (Some(name), Some((prefix, rest))) if prefix == name => (server(name)?, rest),
                    (Some(name), _) => (server(name)?, tool.as_str()),
                    (None, Some((prefix, rest))) => (server(prefix)?, rest),
                    (None, None) => return Err("tool is <server>__<tool>".to_owned()),
                };
                let name = name.to_owned();
                Ok((of, if self.quarantined { Subject::QuarantinedTool { name, class } } else { Subject::Tool { name, class } }))
            }
            (None, Some(uri), None) => Ok((named()?, Subject::Resource { uri: uri.clone() })),
            (None, None, Some(name)) => Ok((named()?, Subject::Prompt { name: name.clone() })),
            (None, None, None) => Ok((named()?, Subject::Server)),
            _ => Err("give one of tool, resource and prompt".to_owned()),
        }
    }
}

// === impl Expected ===

impl Expected {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

#[cfg(test)]
mod tests;
