//! Batches of 2025-03-26 (D18; RPC-04): each element walks the corridor on its own, with its own decision and record.
//!
//! No other revision has them. A batch never opens a session, and nothing in it can become a stream.

use crate::Gateway;
use crate::listen::Inbound;
use crate::listen::body::Body;
use crate::path::{Asked, Entered, HangUp, Walk, answers_unread};
use crate::replies::{Counted, of_batch};
use doorward_core::blame::{Blame, Known, Refusal, Retry, Station, Wire};
use doorward_core::id::ServerName;
use doorward_core::identity::caller::Caller;
use doorward_core::json::RawJson;
use doorward_core::mcp::decode::{self, Message, Shape};
use doorward_core::mcp::error::{self, INTERNAL, INVALID_REQUEST, wrong};
use doorward_core::mcp::headers::Accept;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::session::era::Claimed;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A verified caller at a server, with an array in hand.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) caller: Caller,
    pub(crate) server: ServerName,
    pub(crate) claimed: Claimed,
    pub(crate) elements: Vec<RawJson>,
}

/// The answers to a batch so far: an array without its end.
#[derive(Debug, Default)]
struct Answers(Vec<u8>);

/// Elements of one batch.
const MOST: usize = 20;

const TOO_LARGE: &str = "This was not done: the answers of the batch are too large together. Send it by itself.";

impl Gateway {
    /// Serves a batch in a session of 2025-03-26.
    pub(crate) async fn serve_batch(self: &Arc<Self>, inbound: &Inbound, batch: Batch, walk: Walk) -> Response<Body> {
        let Batch { caller, server, claimed, elements } = batch;
        let (known, user) = (caller.known(), caller.user().clone());
        let messages = match self.batch(caller, &server, &claimed, &elements).await {
            Ok(messages) => messages,
            Err(refusal) => return self.refuse(refusal.informed(&known, &server), &walk).await,
        };
        let Some(mut counted) = self.batches.reserve(&user, of_batch(self.desk.result_bytes)) else {
            let refusal = if self.batches.has_unread(&user) { answers_unread() } else { too_many_batches() };
            return self.refuse(refusal.informed(&known, &server), &walk).await;
        };
        let mut answers = Answers::default();
        for (at, message) in messages.into_iter().enumerate() {
            // A caller is proved anew for each: what one element does may end the right of the next.
            let (hang_up, gone) = HangUp::pair();
            let mut own = Walk::new(inbound, gone, self.epoch.subscribe());
            own.id = self.env.correlation();
            own.accept = Accept::Json;
            let id = match message.shape() {
                Shape::Request { id, .. } => Some(id.to_json()),
                _ => None,
            };
            let response = if id.is_some() && answers.0.len() >= self.desk.result_bytes {
                let refusal = wrong(Station::Decode, "batch_too_large", 200, INVALID_REQUEST, TOO_LARGE);
                self.refuse(refusal.knowing(Known { rpc_id: id.clone(), server: Some(server.clone()), ..known.clone() }), &own).await
            } else {
                self.element(inbound, (at, message), (&server, &claimed, &known), own).await
            };
            drop(hang_up);
            let json = response.headers().get(CONTENT_TYPE).is_some_and(|media| media.as_bytes() == b"application/json");
            let Ok(body) = response.into_body().collect().await;
            answers.add(id.as_deref(), &body.to_bytes(), json);
        }
        counted.shrink(answers.0.len());
        answers.together(counted)
    }

    /// One element on its own way through the corridor.
    async fn element(
        self: &Arc<Self>,
        inbound: &Inbound,
        (at, message): (usize, Message),
        (server, claimed, known): (&ServerName, &Claimed, &Known),
        walk: Walk,
    ) -> Response<Body> {
        let caller = self.identify(inbound).await.map_err(|stopped| stopped.informed(known, server));
        // The first was counted with the request that brought them all.
        let counted = match caller {
            Ok(caller) if at > 0 => self.within_rate(&caller, Some(server)).await.map(|()| caller).map_err(Into::into),
            caller => caller,
        };
        match counted {
            Ok(caller) => {
                let asked = Asked::Message(Box::new(message), Box::default());
                self.walk(Entered { caller, server: server.clone(), claimed: claimed.clone(), asked }, walk).await
            }
            Err(stopped) => self.stopped(stopped, &walk).await,
        }
    }

    async fn batch(
        &self,
        caller: Caller,
        server: &ServerName,
        claimed: &Claimed,
        elements: &[RawJson],
    ) -> Result<Vec<decode::Message>, Refusal> {
        let refuse = |public: &str| wrong(Station::Decode, "batch", 400, INVALID_REQUEST, public);
        let bound = self.session(caller, server, claimed).await?;
        if bound.era() != Era::Legacy(Version::V2025_03_26) {
            return Err(refuse("Batches are served in 2025-03-26 only."));
        }
        if elements.is_empty() || elements.len() > MOST {
            return Err(refuse("A batch has 1 to 20 messages."));
        }
        let (mut messages, mut ids) = (Vec::new(), HashSet::new());
        for element in elements {
            let message = decode::message(element)?;
            if message.method() == Some("initialize") {
                return Err(refuse("initialize does not belong in a batch."));
            }
            if let Shape::Request { id, .. } = message.shape()
                && !ids.insert(id.clone())
            {
                return Err(refuse("Two requests of the batch have one id."));
            }
            messages.push(message);
        }
        Ok(messages)
    }
}

fn too_many_batches() -> Refusal {
    let public = "You have too many batches under way.";
    Refusal::new(Station::Listen, "too_much_at_once", Blame::Caller, Wire::Http(429), public).retry(Retry::After(Duration::from_secs(1)))
}

impl Answers {
    /// Adds what was said to the request of this id. Whatever stands outside of JSON-RPC elsewhere, as 429 does, is an error in a batch:
    /// each request has an answer (JSON-RPC 2.0 section 6).
    fn add(&mut self, id: Option<&str>, said: &[u8], is_json: bool) {
        let error;
        let answer = match id {
            _ if is_json && !said.is_empty() => said,
            Some(_) => {
                error = error::body(id, INTERNAL, String::from_utf8_lossy(said).trim_end(), None);
                error.as_bytes()
            }
            None => return,
        };
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        self.0.extend_from_slice(answer);
    }

    /// One array of them; 202 where nothing was to be answered.
    fn together(mut self, counted: Counted) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if self.0.is_empty() {
            *response.status_mut() = StatusCode::ACCEPTED;
        } else {
            self.0.push(b']');
            *response.body_mut() = Body::whole(counted.unread().around(self.0.into()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
