//! That something could not be recorded: it must not happen, or must not leave, and this is all that is said of it.

use doorward_core::blame::{Blame, Refusal, Retry, Station, Wire};
use std::time::Duration;

/// Something could not be recorded, so it must not happen or must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not recorded: {0}")]
pub struct Unrecorded(pub(super) Cause);

/// Why the record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The last write failed; the next may succeed.
    #[error("the file took no record")]
    Write,
    /// A sync failed: this file is done.
    #[error("the disk did not confirm a record; the file is not written again")]
    Sync,
    /// The disk does not answer; it may yet.
    #[error("the disk does not answer")]
    Stuck,
    /// The seal could not be made.
    #[error("the seal could not be made")]
    Seal,
    /// The file was altered before the place at which the last start began to read.
    #[error("the record was altered; it is not written again")]
    Altered,
    /// A panic happened while writing.
    #[error("the recorder is broken")]
    Broken,
}

// === impl Unrecorded ===

impl Unrecorded {
    /// All that a client is told, whatever the cause.
    pub const BODY: &'static str = "Doorward cannot record this request, so it was not served. Try again later.\n";

    /// Why; for the log, never for a client.
    #[must_use]
    pub const fn cause(self) -> Cause {
        self.0
    }

    /// The one answer that needs no receipt: a constant 503.
    #[must_use]
    pub fn response<B: From<&'static str>>(self) -> http::Response<B> {
        let mut response = http::Response::new(B::from(Self::BODY));
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("5"));
        response
    }

    /// The same as a refusal, where one is needed inside a stream.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        Refusal::new(Station::Audit, "unrecorded", Blame::Us, Wire::Http(503), Self::BODY.trim_end())
            .retry(Retry::After(Duration::from_secs(5)))
            .because(self.0.to_string())
    }
}
