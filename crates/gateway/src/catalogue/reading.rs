//! The lists of a server, read whole over a way of Doorward's own, and what can be offered of them.

use super::{Definition, Family, LEAST_READING, Listing, Offered, PAGE};
use crate::egress::pool::PoolKey;
use crate::tasks::Tasks;
use crate::upstream::fault::Fault;
use crate::upstream::http::Line;
use crate::upstream::own::Way;
use crate::upstream::{Reached, Upstream};
use doorward_core::credential::UpstreamSecret;
use doorward_core::id::{ServerName, ToolName};
use doorward_core::json::RawJson;
use doorward_core::mcp::headers::mirrored;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::policy::facts::RiskClass;
use std::collections::HashSet;
use std::sync::Arc;

/// Reads the lists of a server over a way of Doorward's own.
///
/// # Errors
/// [`Fault`]; never [`Fault::SessionLost`]: the session that was lost is Doorward's own, and no caller's ends with it.
pub async fn read(
    upstream: &Upstream,
    tasks: &Tasks,
    secret: Option<Arc<UpstreamSecret>>,
    approved: Option<[u8; 32]>,
    family: Family,
) -> Result<Listing, Fault> {
    let way = match &upstream.reach {
        Reached::Http(server) => {
            let pool = PoolKey { server: upstream.config.name.clone(), user: None, credential: None, version: 0 };
            Way::Http(Arc::clone(server), Line { pool, secret, session: None, why: None })
        }
        Reached::Stdio(stdio) => Way::Pipe(stdio.launch(upstream, tasks, approved).await?),
    };
    let listing = read_over(upstream, way, family).await;
    listing.map_err(|fault| if fault == Fault::SessionLost { Fault::Incomplete } else { fault })
}

async fn read_over(upstream: &Upstream, way: Way, family: Family) -> Result<Listing, Fault> {
    let (way, version) = match family {
        Family::Modern => {
            let ready = upstream.ensure_modern(&way).await;
            if ready.is_err() {
                upstream.close(&way, Version::V2026_07_28).await;
            }
            ready.map(|()| (way, Version::V2026_07_28))?
        }
        Family::Legacy => match upstream.open_session(way.clone(), Version::V2025_11_25, &crate::upstream::no_capabilities()).await {
            Ok(Ok(opened)) => {
                if let Err(fault) = upstream.initialized(&opened.way, opened.version).await {
                    upstream.close(&opened.way, opened.version).await;
                    return Err(fault);
                }
                (opened.way, opened.version)
            }
            Ok(Err(_)) => {
                upstream.close(&way, Version::V2025_11_25).await;
                return Err(Fault::Incomplete);
            }
            Err(fault) => {
                upstream.close(&way, Version::V2025_11_25).await;
                return Err(fault);
            }
        },
    };
    let era = if version.is_modern() { Era::Modern } else { Era::Legacy(version) };
    let limit = upstream.config.timeout.max(LEAST_READING);
    let listing = tokio::time::timeout(limit, read_lists(upstream, &way, era)).await.unwrap_or(Err(Fault::Silent));
    upstream.close(&way, version).await;
    listing
}

async fn read_lists(upstream: &Upstream, way: &Way, era: Era) -> Result<Listing, Fault> {
    let mut tools = match upstream.whole_list(way, era, "tools/list", "tools").await? {
        Ok(tools) => Offered::Entries(tools.into_iter().filter_map(|json| definition(&upstream.config.name, json)).collect::<Vec<_>>()),
        Err(error) => Offered::Refused(error),
    };
    let mut prompts = match upstream.whole_list(way, era, "prompts/list", "prompts").await? {
        Ok(prompts) => Offered::Entries(prompts.into_iter().filter_map(named).collect::<Vec<_>>()),
        Err(error) => Offered::Refused(error),
    };
    let templates = match upstream.whole_list(way, era, "resources/templates/list", "resourceTemplates").await? {
        Ok(templates) => Offered::Entries(templates),
        Err(error) => Offered::Refused(error),
    };
    if let Offered::Entries(tools) = &mut tools {
        distinct(tools);
        // The order that the server gives is kept on one page; names decide between pages, so they are sorted once.
        if tools.len() > PAGE {
            tools.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
    if let Offered::Entries(prompts) = &mut prompts
        && prompts.len() > PAGE
    {
        prompts.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(Listing { tools, prompts, templates })
}

/// Members that a server leaves out of its definitions where it speaks an older version than its catalogue was read in.
const NEWER: [&str; 4] = ["title", "outputSchema", "icons", "execution"];

/// True where a process says of a tool what was permitted, all of it but for what an older version does not know.
pub(super) fn is_said(said: Option<&RawJson>, permitted: &RawJson) -> bool {
    let Some(said) = said else { return false };
    if said.canonical_digest() == permitted.canonical_digest() {
        return true;
    }
    let (Some(said), Some(permitted)) = (said.members(), permitted.members()) else { return false };
    let of = |name: &str| said.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let none_more = said.iter().all(|(key, _)| permitted.iter().any(|(known, _)| known == key));
    none_more
        && permitted.iter().all(|(key, value)| match of(key) {
            Some(said) => said.canonical_digest() == value.canonical_digest(),
            None => NEWER.contains(&key.as_str()),
        })
}

/// Leaves the first tool of each name, in whatever order they are: one name is one tool, and the same one everywhere.
pub(super) fn distinct(tools: &mut Vec<Definition>) {
    let mut seen = HashSet::new();
    tools.retain(|tool| seen.insert(tool.name.clone()));
}

/// A tool that can be offered; one with a bad name or bad header annotations is left out with a warning (C3).
pub(super) fn definition(server: &ServerName, json: RawJson) -> Option<Definition> {
    let name = json.member("name").and_then(|name| ToolName::new(name.as_text()?.as_ref()).ok())?;
    let value = json.to_value().ok()?;
    let mirrors = match mirrored(value.get("inputSchema").unwrap_or(&serde_json::Value::Null)) {
        Ok(mirrors) => mirrors,
        Err(bad) => {
            tracing::warn!(%server, tool = %name, %bad, "a tool was left out");
            return None;
        }
    };
    let digest = json.canonical_digest();
    Some(Definition { claimed: RiskClass::claimed(&value), json, name, mirrors, digest })
}

fn named(json: RawJson) -> Option<(String, RawJson)> {
    let name = json.member("name")?.as_text()?.into_owned();
    Some((name, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_what_was_permitted_or_leaves_out_what_is_newer_than_its_version() {
        let json = |text: &'static str| RawJson::parse(&bytes::Bytes::from_static(text.as_bytes()), 8).expect("json");
        let permitted = json(r#"{"name":"a","title":"A","description":"d","inputSchema":{"type":"object"},"icons":[]}"#);
        let says = |text| is_said(Some(&json(text)), &permitted);
        assert!(says(r#"{"icons":[],"description":"d","name":"a","title":"A","inputSchema":{"type":"object"}}"#));
        assert!(says(r#"{"name":"a","description":"d","inputSchema":{"type":"object"}}"#), "in an older version");
        assert!(!says(r#"{"name":"a","inputSchema":{"type":"object"}}"#), "without its description");
        assert!(!says(r#"{"name":"a","title":"B","description":"d","inputSchema":{"type":"object"},"icons":[]}"#));
        assert!(!says(r#"{"name":"a","title":"A","description":"d","inputSchema":{},"icons":[]}"#));
        assert!(!says(r#"{"name":"a","description":"d","inputSchema":{"type":"object"},"_meta":{}}"#), "more than was permitted");
        assert!(!is_said(None, &permitted));
    }

    #[test]
    fn of_tools_with_one_name_the_first_stays_wherever_the_others_are() {
        let server = ServerName::new("test").expect("name");
        let tool = |name: &str, title: &str| {
            let json = format!(r#"{{"name":"{name}","title":"{title}","inputSchema":{{}}}}"#);
            definition(&server, RawJson::parse(&bytes::Bytes::from(json), 8).expect("json")).expect("a tool")
        };
        let mut tools = vec![tool("b", "first"), tool("a", "first"), tool("b", "second"), tool("a", "third"), tool("a", "fourth")];
        let first = [tools[0].digest, tools[1].digest];
        distinct(&mut tools);
        assert_eq!(tools.iter().map(|tool| tool.digest).collect::<Vec<_>>(), first);
    }
}
