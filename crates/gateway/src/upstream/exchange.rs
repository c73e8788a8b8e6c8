//! One request to an upstream and everything that comes back for it, read when asked for: nobody buffers more than one event.
//!
//! Dropping an exchange gives the request up: an HTTP stream is closed, a child is told that the call is cancelled.

use super::fault::Fault;
use super::http::Resume;
use super::pace::Pace;
use super::pipe::{PipeCall, Said};
use crate::egress::error::EgressError;
use crate::egress::reply::ReplyBody;
use crate::replies::{Counted, Replies, UNCOUNTED};
use bytes::Bytes;
use doorward_core::config::units::Rate;
use doorward_core::id::UserId;
use doorward_core::mcp::reply::{self, Incoming};
use doorward_core::mcp::sse::{BadStream, Event, Reader};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Nesting of an upstream's JSON.
pub const DEPTH: usize = 128;

/// What comes back for one request.
#[derive(Debug)]
pub enum Exchange {
    /// One message, known already.
    Whole(Option<Incoming>),
    /// A stream of events.
    Events(Box<Events>),
    /// Messages of a child process.
    Pipe(PipeCall),
    /// What a child process says outside any call.
    Rest(tokio::sync::mpsc::Receiver<Said>),
}

/// The next thing that came back.
#[derive(Debug)]
pub enum Item {
    /// A message.
    Message(Incoming),
    /// The upstream closed its stream before the answer and wants to be asked again (2025-11-25, SSE polling).
    Paused(Duration),
}

/// An event stream of an HTTP upstream, picked up again where it breaks if the upstream gave event ids (legacy).
#[derive(Debug)]
pub struct Events {
    body: Option<ReplyBody>,
    reader: Reader,
    limit: usize,
    pace: Pace,
    /// What is reserved for the event that is being read, once it is seen to be large, and how long its server may still take.
    counted: Option<(Counted, Duration)>,
    whose: Whose,
    queue: VecDeque<Event>,
    last_id: Option<String>,
    retry: Duration,
    resume: Option<Resume>,
    tries: u32,
}

/// Where a stream's large events are counted, and for whom.
#[derive(Debug)]
pub struct Whose {
    /// The count of all replies.
    pub replies: Replies,
    /// For nobody in particular with `None`.
    pub user: Option<UserId>,
}

/// How often a broken stream is picked up again without a message in between.
const MOST_TRIES: u32 = 5;
/// The longest wait before that.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// What a server may take for the rest of a large event.
const WHOLE: Duration = Duration::from_secs(60);

impl Exchange {
    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// [`Fault`]: the exchange is over.
    pub async fn next(&mut self) -> Result<Option<Item>, Fault> {
        match self {
            Self::Whole(message) => Ok(message.take().map(Item::Message)),
            Self::Events(events) => events.next().await,
            Self::Rest(messages) => Ok(messages.recv().await.map(|said| Item::Message(said.message))),
            Self::Pipe(call) => call.next().await.map(|message| message.map(Item::Message)),
        }
    }
}

impl Events {
    /// A stream whose events are at most `limit` bytes, read at a pace. `resume` says how to pick it up again, where the era has that.
    #[must_use]
    pub fn new(body: ReplyBody, limit: usize, pace: Rate, resume: Option<Resume>, whose: Whose) -> Self {
        Self {
            body: Some(body),
            reader: Reader::new(limit),
            limit,
            pace: Pace::of(pace),
            counted: None,
            whose,
            queue: VecDeque::new(),
            last_id: None,
            retry: Duration::from_secs(1),
            resume,
            tries: 0,
        }
    }

    async fn next(&mut self) -> Result<Option<Item>, Fault> {
        loop {
            self.pace.rest().await;
            while let Some(event) = self.queue.pop_front() {
                self.pace.read(event.data.len());
                if let Some(message) = self.take(event)? {
                    self.tries = 0;
                    return Ok(Some(Item::Message(message)));
                }
            }
            let Some(body) = &mut self.body else {
                // Rare and large: a quiet stream does not hold room for it.
                Box::pin(self.pick_up()).await?;
                continue;
            };
            // The server waits, not the memory: what is large is read once there is room for the largest that it may be.
            if self.reader.begun() <= UNCOUNTED {
                self.counted = None;
            } else if self.counted.is_none() {
                let room = self.whose.replies.admit_soon(self.whose.user.as_ref(), self.limit);
                let counted = Box::pin(room).await.ok_or(Fault::NoRoom)?;
                self.counted = Some((counted, WHOLE));
            }
            let piece = match &mut self.counted {
                None => body.frame().await,
                // What is reserved is not there for others. Of the time of its server alone, not of ours.
                Some((_, left)) => {
                    let begun = Instant::now();
                    let piece = Box::pin(tokio::time::timeout(*left, body.frame())).await.map_err(|_| Fault::Silent)?;
                    *left = left.saturating_sub(begun.elapsed());
                    piece
                }
            };
            match piece {
                Some(Ok(piece)) => {
                    let mut events = Vec::new();
                    self.reader.push(&piece, &mut events).map_err(|bad| {
                        Fault::BadStream(match bad {
                            BadStream::TooLarge => "an event is larger than the limit",
                            BadStream::NotUtf8 => "a line is not UTF-8",
                        })
                    })?;
                    // Lines that make no event cost as much to read as others.
                    if events.is_empty() {
                        self.pace.read(piece.len());
                    }
                    self.queue.extend(events);
                }
                None if self.can_pick_up() => {
                    self.body = None;
                    return Ok(Some(Item::Paused(self.retry)));
                }
                None => return Ok(None),
                Some(Err(EgressError::Broken { .. })) if self.can_pick_up() => self.body = None,
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<Option<Incoming>, Fault> {
        if let Some(id) = event.id.filter(|id| !id.is_empty() && id.len() <= 1024 && id.bytes().all(|b| b.is_ascii_graphic() || b == b' '))
        {
            self.last_id = Some(id);
        }
        if let Some(retry) = event.retry {
            self.retry = Duration::from_millis(retry).min(LONGEST_RETRY);
        }
        if event.data.is_empty() {
            return Ok(None);
        }
        let mut data = Bytes::from(event.data);
        // Catalogues are nobody's, stay for long, and have bounds of their own.
        if data.len() > UNCOUNTED
            && self.whose.user.is_some()
            && let Some((mut counted, _)) = self.counted.take()
        {
            counted.shrink(data.len());
            data = counted.around(data);
        }
        Ok(Some(reply::read(&data, DEPTH)?))
    }

    fn can_pick_up(&self) -> bool {
        self.resume.is_some() && self.last_id.is_some() && self.tries < MOST_TRIES
    }

    async fn pick_up(&mut self) -> Result<(), Fault> {
        let (Some(resume), Some(last_id)) = (&self.resume, &self.last_id) else { return Err(Fault::Incomplete) };
        self.tries = self.tries.saturating_add(1);
        if self.tries > MOST_TRIES {
            return Err(Fault::Incomplete);
        }
        tokio::time::sleep(self.retry).await;
        self.body = Some(resume.open(Some(last_id)).await?);
        self.reader.restart();
        self.counted = None;
        Ok(())
    }
}
