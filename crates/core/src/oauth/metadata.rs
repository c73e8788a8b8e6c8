//! What clients read to find their way: RFC 8414 of the authorization server, RFC 9728 of each MCP server.
//!
//! Everything is derived from the public root; exactly what works is advertised (DISC-02), and no catalogue of scopes (DISC-03).

use super::device;
use super::dpop::{ALGS, Binding};
use super::exchange;
use super::scope::{Scope, resource};
use super::token::JWT_BEARER;
use crate::id::ServerName;
use crate::oidc::jose::Alg;
use crate::policy::facts::RiskClass;
use serde_json::{Value, json};

/// What of the authorization server depends on its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// RFC 7591 is served.
    pub registration: bool,
    /// Client id metadata documents are taken.
    pub documents: bool,
    /// Some client may sign assertions: one with a document, or one of the configuration.
    pub assertions: bool,
    /// Some client may act for itself.
    pub own: bool,
    /// Tokens of some other issuer are taken as grants.
    pub attested: bool,
    /// Whether tokens are bound to keys.
    pub binding: Binding,
    /// Some client may exchange tokens.
    pub exchanges: bool,
    /// Some client may ask without a browser.
    pub devices: bool,
}

/// The document of the authorization server. One text under every name that clients try (AS2).
#[must_use]
pub fn server(root: &str, offers: Offers) -> Value {
    let secrets = ["client_secret_basic", "client_secret_post"];
    let signed = offers.assertions.then_some("private_key_jwt");
    let confidential: Vec<&str> = secrets.into_iter().chain(signed).collect();
    let methods: Vec<&str> = ["none"].into_iter().chain(confidential.iter().copied()).collect();
    let more = [
        offers.own.then_some("client_credentials"),
        offers.attested.then_some(JWT_BEARER),
        offers.devices.then_some(device::GRANT_TYPE),
        offers.exchanges.then_some(exchange::GRANT_TYPE),
    ];
    let grants: Vec<&str> = ["authorization_code", "refresh_token"].into_iter().chain(more.into_iter().flatten()).collect();
    let mut document = json!({
        "issuer": root,
        "authorization_endpoint": format!("{root}/oauth/authorize"),
        "token_endpoint": format!("{root}/oauth/token"),
        "revocation_endpoint": format!("{root}/oauth/revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "introspection_endpoint": format!("{root}/oauth/introspect"),
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": confidential,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": offers.documents,
    });
    if let Some(members) = document.as_object_mut() {
        if offers.registration {
            members.insert("registration_endpoint".to_owned(), json!(format!("{root}/oauth/register")));
        }
        if offers.binding != Binding::Off {
            members.insert("dpop_signing_alg_values_supported".to_owned(), proof_algorithms());
        }
        if offers.devices {
            members.insert("device_authorization_endpoint".to_owned(), json!(format!("{root}/oauth/device")));
        }
        if offers.assertions {
            // RFC 8414 section 2: where assertions are taken, their algorithms have to be said.
            let algorithms: Vec<&str> = Alg::ALL.iter().map(|alg| alg.as_str()).collect();
            for endpoint in ["token", "revocation", "introspection"] {
                members.insert(format!("{endpoint}_endpoint_auth_signing_alg_values_supported"), json!(algorithms));
            }
        }
    }
    document
}

/// The document of one MCP server.
#[must_use]
pub fn protected_resource(root: &str, name: &ServerName, title: &str, binding: Binding) -> Value {
    let mut document = json!({
        "resource": resource(root, name),
        "resource_name": title,
        "authorization_servers": [root],
        "scopes_supported": [Scope::new(name.clone(), RiskClass::Read).to_string()],
        "bearer_methods_supported": ["header"],
    });
    if let Some(members) = document.as_object_mut().filter(|_| binding != Binding::Off) {
        members.insert("dpop_signing_alg_values_supported".to_owned(), proof_algorithms());
        if binding == Binding::Required {
            members.insert("dpop_bound_access_tokens_required".to_owned(), json!(true));
        }
    }
    document
}

/// RFC 9449 section 5.1, RFC 9728 section 2.
fn proof_algorithms() -> Value {
    json!(ALGS.iter().map(|alg| alg.as_str()).collect::<Vec<_>>())
}
