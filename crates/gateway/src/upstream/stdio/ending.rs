//! How a child ended, and whose doing it was.

use std::process::ExitStatus;

/// A child is gone: reaped, and with it everything that it had started and that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Whose doing.
    pub why: Why,
    /// What the kernel says about the process; absent if it could not be asked.
    pub status: Option<ExitStatus>,
}

/// Why a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// By itself.
    Exited,
    /// Its owner or the shutdown of the gateway ended it.
    Closed,
    /// It wrote a line longer than the cap.
    LineTooLong,
    /// It wrote a line that is not UTF-8.
    NotText,
    /// It closed its standard output and ran on.
    OutputClosed,
    /// It closed its standard input and ran on.
    InputClosed,
    /// Nobody reads its lines any more.
    Unheard,
    /// The program could not be executed.
    NotStarted,
}

impl Why {
    /// The name in audit records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Closed => "closed",
            Self::LineTooLong => "line_too_long",
            Self::NotText => "not_text",
            Self::OutputClosed => "output_closed",
            Self::InputClosed => "input_closed",
            Self::Unheard => "unheard",
            Self::NotStarted => "not_started",
        }
    }
}
