//! Messages of one call through the screen, and what of it goes on the record (POL-04).
//!
//! Belongs to the relay of one call and knows its fields. What is found is the business of `core`; what the client is told of a
//! message that was kept back is decided here.

use super::{Desk, Final, Relay};
use doorward_core::audit::outcome::Class;
use doorward_core::contract::{Fit, Promise};
use doorward_core::credential::UpstreamSecret;
use doorward_core::flag::Flag;
use doorward_core::id::ServerName;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::{Method, RpcId};
use doorward_core::mcp::error::{self, INTERNAL};
use doorward_core::screen::{self, Blocked, Means, Screened, Seen, Shape, Tail};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the screen remembers of a stream.
#[derive(Debug, Default)]
pub(super) struct Screening {
    /// What was said, where a text may go on in the next message.
    tail: Tail,
    /// What was found so far, each once, until it is on the record.
    seen: BTreeSet<Seen>,
    /// The last value that was sealed for the message that is screened next.
    pub(super) sealed: Option<String>,
}

/// Whether more comes behind a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It may: what it says may go on.
    More,
    /// Nothing does.
    Last,
}

/// Findings in the form of the record.
pub(super) fn flags<'a>(seen: impl IntoIterator<Item = &'a Seen>) -> Vec<Flag> {
    seen.into_iter().map(|seen| Flag::screened(*seen)).collect()
}

impl Desk {
    /// How messages of this server are screened. One that is not configured says nothing that would have to be.
    #[must_use]
    pub fn screen_of<'a>(&'a self, server: &ServerName, secret: Option<&'a UpstreamSecret>) -> Option<Means<'a>> {
        self.screens.get(server).map(|screen| Means { screen, secret, limit: self.result_bytes, ours: &[] })
    }
}

impl Relay {
    /// What the screen found in messages so far, once: each rule and what was done.
    pub fn findings(&mut self) -> Vec<Flag> {
        flags(&std::mem::take(&mut self.screening.seen))
    }

    /// One message of the stream through the screen, with what was said before it.
    pub(super) fn screened(&mut self, content: RawJson, part: Part) -> Result<Screened, Blocked> {
        let desk = Arc::clone(&self.desk);
        let Some(means) = desk.screen_of(&self.owner.server, self.secret.as_deref()) else { return Err(Blocked::unscreened()) };
        let ids = [&self.progress, &self.client_id].map(|id| id.as_ref().map(RpcId::text));
        let sealed = self.screening.sealed.take();
        let ours: Vec<&str> = ids.iter().flatten().map(AsRef::as_ref).chain(sealed.as_deref()).collect();
        let means = Means { ours: &ours, ..means };
        let tail = Some(&mut self.screening.tail).filter(|tail| part == Part::More || !tail.is_empty());
        let screened = match &self.promise {
            // Only a result has structured content that was promised.
            Some(Promise { contract, .. }) => {
                let (method, era) = (self.method, self.era);
                let fits = |body: &RawJson| {
                    body.member("result").is_none_or(|result| !matches!(contract.result(method, era, &result), Fit::Misfit(_)))
                };
                screen::apply(&means, Shape::Promised(Some(&fits)), tail, content)
            }
            None => screen::apply(&means, Shape::Promised(None), tail, content),
        };
        let seen = match &screened {
            Ok(screened) => screened.seen(),
            Err(blocked) => blocked.seen(),
        };
        self.screening.seen.extend(seen);
        screened
    }

    /// What the client gets in place of an answer that was kept back.
    pub(super) fn blocked(&self, id: &str, blocked: &Blocked) -> Final {
        let named = self.named.map(|id| format!(" (audit {id})")).unwrap_or_default();
        let text = format!("Result blocked: {blocked}.{named}");
        let body = match self.method {
            Method::ToolsCall => error::result(id, &self.complete(error::tool_refusal(&text))),
            _ => error::body(Some(id), INTERNAL, &text, None),
        };
        Final { status: 200, body: screen::own(body), class: Class::Blocked, reason: Some(blocked.reason()), flags: Vec::new() }
    }
}
