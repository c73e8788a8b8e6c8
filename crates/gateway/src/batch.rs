//! Batches of 2025-03-26 (D18; RPC-04): each element walks the corridor on its own, with its own decision and record.
//!
//! No other revision has them. A batch never opens a session, and nothing in it can become a stream.

use crate::Gateway;
use crate::listen::Inbound;
use crate::listen::body::Body;
use crate::path::{Asked, Entered, HangUp, Walk};
use bytes::Bytes;
use doorward_core::blame::{Refusal, Station};
use doorward_core::id::ServerName;
use doorward_core::identity::caller::Caller;
use doorward_core::json::RawJson;
use doorward_core::mcp::decode::{self, Shape};
use doorward_core::mcp::error::{INVALID_REQUEST, wrong};
use doorward_core::mcp::headers::Accept;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::session::era::Claimed;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body_util::BodyExt as _;
use std::collections::HashSet;
use std::sync::Arc;

/// A verified caller at a server, with an array in hand.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) caller: Caller,
    pub(crate) server: ServerName,
    pub(crate) claimed: Claimed,
    pub(crate) elements: Vec<RawJson>,
}

/// Elements of one batch.
const MOST: usize = 20;

impl Gateway {
    /// Serves a batch in a session of 2025-03-26.
    pub(crate) async fn serve_batch(self: &Arc<Self>, inbound: &Inbound, batch: Batch, walk: Walk) -> Response<Body> {
        let Batch { caller, server, claimed, elements } = batch;
        let (known, user) = (caller.known(), caller.user().clone());
        let messages = match self.batch(caller, &server, &claimed, &elements).await {
            Ok(messages) => messages,
            Err(refusal) => return self.refuse(refusal.informed(&known, &server), &walk).await,
        };
        let mut answers = Vec::new();
        for (at, message) in messages.into_iter().enumerate() {
            // A caller is proved anew for each: what one element does may end the right of the next.
            let (hang_up, gone) = HangUp::pair();
            let mut own = Walk::new(inbound, gone, self.epoch.subscribe());
            own.id = self.env.correlation();
            own.accept = Accept::Json;
            let caller = self.identify(inbound).await.map_err(|stopped| stopped.informed(&known, &server));
            // The first was counted with the request that brought them all.
            let counted = match caller {
                Ok(caller) if at > 0 => self.within_rate(&caller, Some(&server)).await.map(|()| caller).map_err(Into::into),
                caller => caller,
            };
            let response = match counted {
                Ok(caller) => {
                    let asked = Asked::Message(Box::new(message), Box::default());
                    self.walk(Entered { caller, server: server.clone(), claimed: claimed.clone(), asked }, own).await
                }
                Err(stopped) => self.stopped(stopped, &own).await,
            };
            drop(hang_up);
            let json = response.headers().get(CONTENT_TYPE).is_some_and(|media| media.as_bytes() == b"application/json");
            let Ok(body) = response.into_body().collect().await;
            let body = body.to_bytes();
            if json && !body.is_empty() {
                // Copied, it is not counted any more: the next one may have to wait for room, and would wait for this one.
                answers.push(Bytes::copy_from_slice(&body));
            }
        }
        together(&answers, |whole| self.replies.hold(&user, whole))
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

/// One array of the answers; 202 where nothing was to be answered.
fn together(answers: &[Bytes], hold: impl FnOnce(Bytes) -> Bytes) -> Response<Body> {
    let mut response = if answers.is_empty() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::ACCEPTED;
        response
    } else {
        let mut body = vec![b'['];
        for (at, answer) in answers.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(answer);
        }
        body.push(b']');
        let mut response = Response::new(Body::whole(hold(Bytes::from(body))));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
