//! The authorization server's endpoints: metadata, authorization requests and their decisions, codes and tokens, revocation.
//!
//! Handlers load, ask, save and render; what happens next is decided in `doorward_core::oauth` (house 11). Must not know the corridor:
//! what is granted here reaches it as a record that the corridor verifies.

mod account;
mod authorize;
pub mod clients;
mod consent;
pub mod device;
mod enterprise;
mod exchange;
pub mod fetch;
mod introspect;
mod key_sets;
mod machine;
mod metadata;
pub mod register;
mod revoke;
mod token;
mod way;
mod workload;

use crate::listen::body::Body;
use crate::listen::page::document;
use crate::ui::headers::{Class, Transport, headers};
use doorward_core::id::ClientId;
use doorward_core::oauth::token::TokenError;
use http::Response;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How consents are remembered, as `[clients]` says.
#[derive(Debug)]
pub(crate) struct Consents {
    /// Clients that need not ask again (product C14).
    pub(crate) need_not_ask: BTreeSet<ClientId>,
    /// How long an earlier choice is shown, and may count.
    pub(crate) remembered: Duration,
}

/// An answer that nobody may keep.
fn credential(status: u16, content: &Value) -> Response<Body> {
    document(status, content, &headers(Class::Credential, Transport::Http))
}

/// An error of the token or revocation endpoint. `basic` if the client tried HTTP Basic (RFC 6749 section 5.2).
fn token_error(error: TokenError, basic: bool) -> Response<Body> {
    let mut response = credential(error.status, &json!({"error": error.code, "error_description": error.description}));
    if error.status == 401 && basic {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"doorward\""));
    }
    if error.status == 503 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
