//! The witnesses of the record: [`Intent`] before an effect, [`Receipt`] before an answer.

use crate::policy::permit::Permit;

/// The intent of a permitted call stands in the record. One permit, one intent; one intent, one outcome.
#[derive(Debug)]
pub struct Intent {
    pub(super) permit: Permit,
    pub(super) seq: u64,
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
