//! What is asked: read strictly, and only once the caller is known (protocol 3.2 S4 to S8, 3.3, 3.5).

use super::Walk;
use crate::Gateway;
use crate::listen::route::Verb;
use crate::listen::{BadBody, Inbound};
use doorward_core::blame::{Blame, Refusal, Retry, Station, Wire};
use doorward_core::identity::caller::Caller;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::Call;
use doorward_core::mcp::decode::{self, Message};
use doorward_core::mcp::error::{INVALID_REQUEST, wrong};
use doorward_core::mcp::headers::{Accept, McpHeaders, Single};
use doorward_core::mcp::version::Era;
use doorward_core::session::era::{self, Claimed};
use std::time::Duration;

/// What was asked, before its era gives it a meaning.
#[derive(Debug)]
pub(crate) enum Asked {
    Message(Box<Message>, Box<McpHeaders>),
    Batch(Vec<RawJson>),
    Stream(Option<String>),
    End,
}

/// When there may be room for a body again.
const SOON: Retry = Retry::After(Duration::from_secs(1));
/// Nesting of a client's JSON (protocol S7).
const DEPTH: usize = 128;

impl Asked {
    pub(super) fn decode(self, era: Era) -> Result<Call, Refusal> {
        match self {
            Self::Message(message, headers) => decode::decode(era, *message, &headers),
            Self::Batch(_) => Err(wrong(Station::Decode, "batch", 400, INVALID_REQUEST, "Batches are served in 2025-03-26 only.")),
            Self::Stream(last) => Ok(decode::open_stream(era, last)),
            Self::End => Ok(decode::end_session(era)),
        }
    }
}

impl Gateway {
    /// Reads what is asked, strictly and only now that the caller is known (protocol 3.2 S4 to S8, 3.3, 3.5).
    pub(super) async fn read(&self, inbound: &mut Inbound, caller: &Caller, walk: &mut Walk) -> Result<(Claimed, Asked), Refusal> {
        let headers = McpHeaders::read(&inbound.headers);
        walk.accept = headers.accept;
        let refuse = |reason, status, public: &str| wrong(Station::Decode, reason, status, INVALID_REQUEST, public);
        match inbound.verb {
            Verb::Other => Err(Refusal::new(
                Station::Listen,
                "method_not_allowed",
                Blame::Caller,
                Wire::NotAllowed { allow: "POST, GET, DELETE" },
                "This method is not served here.",
            )),
            Verb::Get | Verb::Delete => {
                let session = era::decide_bodiless(&headers)?;
                if inbound.verb == Verb::Delete {
                    return Ok((Claimed::Session(session), Asked::End));
                }
                if !walk.accept.takes_events() {
                    return Err(refuse("not_acceptable", 406, "GET gives text/event-stream."));
                }
                let last = match headers.last_event_id {
                    Single::Absent => None,
                    Single::Once(id) if id.len() <= 256 => Some(id),
                    _ => return Err(refuse("unknown_event", 400, "Last-Event-ID is not known here.")),
                };
                Ok((Claimed::Session(session), Asked::Stream(last)))
            }
            Verb::Post => {
                if !is_json(&inbound.headers) {
                    return Err(refuse("media_type", 415, "Send application/json without content coding."));
                }
                if walk.accept == Accept::Neither {
                    return Err(refuse("not_acceptable", 406, "Answers are application/json or text/event-stream."));
                }
                let read = inbound.read(self.max_body, &self.room, caller.user()).await;
                let (body, taken) = read.map_err(|bad| match bad {
                    BadBody::TooLarge => refuse("body_too_large", 413, "The body is too large."),
                    BadBody::Broken => refuse("body_broken", 400, "The body did not arrive whole."),
                    BadBody::Full => {
                        let public = "Too much is being read at the moment.";
                        Refusal::new(Station::Listen, "no_room", Blame::Us, Wire::Http(503), public).retry(SOON)
                    }
                    BadBody::Share => {
                        let public = "You send too many large bodies at once.";
                        Refusal::new(Station::Listen, "too_much_at_once", Blame::Caller, Wire::Http(429), public).retry(SOON)
                    }
                })?;
                walk.room = taken;
                let body = decode::read(&body, DEPTH)?;
                // Not what takes something back, or answers a question.
                let begins = !matches!(&body, decode::Body::One(message) if !matches!(message.shape(), decode::Shape::Request { .. }));
                if begins && !self.replies.has_room(caller.user()) {
                    return Err(answers_unread());
                }
                match body {
                    decode::Body::One(message) => Ok((era::decide(&headers, &message)?, Asked::Message(message, Box::new(headers)))),
                    decode::Body::Batch(elements) => Ok((era::decide_batch(&headers)?, Asked::Batch(elements))),
                }
            }
        }
    }
}

/// What this client was given, and has not taken, fills its user's part of the memory.
pub(crate) fn answers_unread() -> Refusal {
    let public = "You have not read your other answers yet.";
    Refusal::new(Station::Listen, "answers_unread", Blame::Caller, Wire::Http(429), public).retry(SOON)
}

fn is_json(headers: &http::HeaderMap) -> bool {
    let mut types = headers.get_all(http::header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next().and_then(|value| value.to_str().ok()), types.next()) else { return false };
    let mut parts = one.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => value.trim_matches('"').eq_ignore_ascii_case("utf-8"),
        _ => true,
    });
    let identity = headers.get_all(http::header::CONTENT_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    json && utf8 && identity
}
