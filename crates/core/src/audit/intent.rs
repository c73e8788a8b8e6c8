//! The witnesses of the record: [`Intent`] before an effect, [`Receipt`] before an answer.

use crate::id::CorrelationId;
use crate::policy::permit::Permit;

/// The intent of a permitted call stands in the record. One permit, one intent; one intent, one outcome.
#[derive(Debug)]
pub struct Intent {
    pub(super) permit: Permit,
    pub(super) id: CorrelationId,
    pub(super) seq: u64,
}

/// An intent whose answer became a stream. It has its receipt, and still owes its outcome.
#[derive(Debug)]
pub struct Ongoing {
    pub(super) intent: Intent,
}

/// An intent that stands in the file without an outcome. A fact, not a witness: it can only be settled as unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    pub(super) seq: u64,
    pub(super) id: String,
}

/// The outcome stands in the record. One receipt, one answer.
#[derive(Debug)]
pub struct Receipt {
    pub(super) seq: u64,
}

/// An answer that cannot leave without its receipt.
#[derive(Debug)]
pub struct Answer<B> {
    response: http::Response<B>,
}

impl Intent {
    /// What was permitted.
    #[must_use]
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Position in the chain of this writer.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The request.
    #[must_use]
    pub const fn id(&self) -> CorrelationId {
        self.id
    }

    /// What remains to be said should the outcome fail to be written.
    #[must_use]
    pub fn open(&self) -> OpenIntent {
        OpenIntent { seq: self.seq, id: self.id.to_string() }
    }
}

impl Ongoing {
    /// The intent of the stream.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }
}

impl OpenIntent {
    /// Position of the intent.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

impl Receipt {
    /// Position in the chain of this writer.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

impl<B> Answer<B> {
    /// A prepared answer.
    #[must_use]
    pub const fn new(response: http::Response<B>) -> Self {
        Self { response }
    }

    /// The only way out: both are consumed.
    #[must_use]
    pub fn release(self, _receipt: Receipt) -> http::Response<B> {
        self.response
    }
}
