//! Why there is no credential for a call, and what its client is told: how to connect, in the way that it can show to a person
//! (product 2.7; protocol 16.7). Never our own 401, never a link with rights in it.

use crate::Gateway;
use doorward_core::blame::{Refusal, Wire};
use doorward_core::credential::NoLease;
use doorward_core::id::ServerName;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::{Call, Method};
use doorward_core::mcp::error::{INTERNAL, OWN_QUESTION, URL_ELICITATION_REQUIRED};
use doorward_core::mcp::version::{Era, Version};
use doorward_core::secret::hex;
use doorward_core::session::Bound;
use serde_json::json;

/// What a client shows to its person.
struct Invitation {
    url: String,
    text: String,
}

impl Gateway {
    /// What a call without a credential is told.
    pub(crate) fn no_lease(&self, why: &NoLease, bound: &Bound, call: &Call) -> Refusal {
        let refusal = why.refusal(bound.server().as_str());
        if !why.needs_person() {
            // A model should see what it can repeat to a person.
            let wire = if call.method() == Method::ToolsCall && *why != NoLease::Store { Wire::ToolResult } else { refusal.wire.clone() };
            return Refusal { wire, ..refusal };
        }
        let invitation = self.invitation(why, bound.server());
        let wire = self.wire_of(&invitation, why, bound, call);
        Refusal { wire, public: invitation.text, ..refusal }
    }

    /// The address of a page of ours, without any right in it: whoever opens it connects their own account (product 5.4).
    fn invitation(&self, why: &NoLease, server: &ServerName) -> Invitation {
        let title = self.upstreams.find(server).map_or_else(|| server.to_string(), |upstream| upstream.config.title.clone());
        let url = format!("{}/connect/{server}", self.root());
        let what = if *why == NoLease::NotConnected { "is not connected" } else { "has to be connected again" };
        Invitation { text: format!("Your account at {title} {what}. Open {url} and try again."), url }
    }

    fn wire_of(&self, invitation: &Invitation, why: &NoLease, bound: &Bound, call: &Call) -> Wire {
        let Invitation { url, text } = invitation;
        let takes_input = matches!(call.method(), Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead);
        match call.era() {
            Era::Modern if takes_input && call.capabilities().is_some_and(shows_urls) => Wire::InputRequired {
                requests: json!({OWN_QUESTION: {"method": "elicitation/create", "params": {"mode": "url", "url": url, "message": text}}}),
            },
            Era::Legacy(version) if version >= Version::V2025_11_25 && session_shows_urls(bound) => {
                // It names this question to this client; nothing is looked up by it.
                let id = self.env.bytes::<16>().map(|random| hex(&random));
                let elicitation = json!({"mode": "url", "elicitationId": id.unwrap_or_default(), "url": url, "message": text});
                Wire::Rpc { status: 200, code: URL_ELICITATION_REQUIRED, data: Some(json!({"elicitations": [elicitation]})) }
            }
            _ if call.method() == Method::ToolsCall => Wire::ToolResult,
            _ => Wire::Rpc { status: 200, code: INTERNAL, data: Some(json!({"reason": why.reason(), "effect": "none", "url": url})) },
        }
    }
}

/// Whether a client has declared that it shows addresses to its person (`elicitation.url`).
fn shows_urls(capabilities: &RawJson) -> bool {
    capabilities.member("elicitation").is_some_and(|elicitation| elicitation.member("url").is_some_and(|url| url.is_object()))
}

fn session_shows_urls(bound: &Bound) -> bool {
    let declared = bound.session().map(|stored| bytes::Bytes::from(stored.capabilities.clone()));
    declared.and_then(|text| RawJson::parse(&text, 64).ok()).is_some_and(|capabilities| shows_urls(&capabilities))
}
