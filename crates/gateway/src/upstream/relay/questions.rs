//! What a server asks the client: only what was declared passes, under an id of ours and once (SES-03, SES-11).
//!
//! Belongs to the relay of one call and knows its fields. Must not know how the client's answer goes back: that is `station`.

use super::screening::Part;
use super::{Owner, Relay, Said, base64, text};
use crate::live::Question;
use crate::upstream::fault::Fault;
use doorward_core::blame::{Blame, Refusal, Station, Wire};
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::call::RpcId;
use doorward_core::mcp::encode;
use doorward_core::mcp::error::MISSING_CAPABILITY;
use doorward_core::mcp::version::Era;
use std::sync::Arc;

/// Whether a question was refused in this call, for one record of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unasked {
    No,
    Now,
    Told,
}

impl Relay {
    /// Whose call it is, the first time after a question was refused: one record for a call, however often a server asks.
    pub fn refused_question(&mut self) -> Option<&Owner> {
        if self.unasked != Unasked::Now {
            return None;
        }
        self.unasked = Unasked::Told;
        Some(&self.owner)
    }

    /// Every question is of a kind that the client declared.
    pub(super) fn declared(&self, requests: &RawJson) -> Result<(), Refusal> {
        for (_, request) in requests.members().unwrap_or_default() {
            let method = text(&request, "method").unwrap_or_default();
            if !self.may_ask(&method, request.member("params").as_ref()) {
                let capability = capability_of(&method);
                let data = serde_json::json!({ "requiredCapabilities": { (capability): {} } });
                let wire = Wire::Rpc { status: 400, code: MISSING_CAPABILITY, data: Some(data) };
                let public = "The server asks for what this client did not declare or this gateway does not allow.";
                return Err(Refusal::new(Station::Screen, "undeclared_question", Blame::Caller, wire, public));
            }
        }
        Ok(())
    }

    fn may_ask(&self, method: &str, params: Option<&RawJson>) -> bool {
        let Some(declared) = self.capabilities.member(capability_of(method)) else { return false };
        match method {
            "sampling/createMessage" | "roots/list" => true,
            "elicitation/create" => {
                let mode = params.and_then(|params| text(params, "mode"));
                match mode.as_deref() {
                    None | Some("form") => declared.member("form").is_some() || declared.member("url").is_none(),
                    Some("url") => declared.member("url").is_some(),
                    Some(_) => false,
                }
            }
            _ => false,
        }
    }

    /// A question of a legacy upstream goes to the client under an id of ours, once (protocol 12; SES-03).
    pub(super) async fn question(&mut self, upstream_id: &RpcId, method: String, params: Option<RawJson>) -> Result<Said, Fault> {
        if method == "ping" {
            self.back.answer(&upstream_id.to_raw(), "result", &RawJson::empty_object()).await?;
            return Ok(Said::Nothing);
        }
        let session = self.session.clone().filter(|_| matches!(self.era, Era::Legacy(_)));
        let Some(session) = session.filter(|_| self.may_ask(&method, params.as_ref())) else {
            if self.unasked == Unasked::No {
                self.unasked = Unasked::Now;
            }
            // Modern servers may not ask at all; others only what was declared (2025-11-25, client/elicitation).
            let code =
                if capability_of(&method) == "elicitation" && self.capabilities.member("elicitation").is_some() { -32602 } else { -32601 };
            let mut refusal = ObjectWriter::with_capacity(96);
            refusal.integer("code", code).text("message", "The client did not declare this.");
            self.back.answer(&upstream_id.to_raw(), "error", &refusal.finish()).await?;
            return Ok(Said::Nothing);
        };
        let Ok(random) = self.desk.env.bytes::<16>() else { return Ok(Said::Nothing) };
        let id: Arc<str> = Arc::from(format!("q-{}", base64(&random)));
        let event = encode::downstream(Some(&RawJson::string(&id)), &method, params.as_ref());
        // Screened first: what the client never hears of waits for no answer of it.
        let event = self.screened(event, Part::More).ok();
        let question = Question { upstream_id: upstream_id.to_raw(), method };
        match event.filter(|_| session.ask(id, question).is_ok()) {
            Some(event) => Ok(Said::Event(event)),
            None => {
                let mut refusal = ObjectWriter::with_capacity(64);
                refusal.integer("code", -32603).text("message", "The question was not passed on.");
                self.back.answer(&upstream_id.to_raw(), "error", &refusal.finish()).await?;
                Ok(Said::Nothing)
            }
        }
    }
}

fn capability_of(method: &str) -> &'static str {
    match method {
        "sampling/createMessage" => "sampling",
        "elicitation/create" => "elicitation",
        "roots/list" => "roots",
        _ => "",
    }
}
