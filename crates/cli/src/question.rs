//! Questions to whoever sits at the terminal. Nobody is asked who is not there, and silence is a no.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// What a person answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No, or nothing.
    No,
}

/// Whether there is somebody who can be asked.
#[must_use]
pub fn somebody() -> Answer {
    if io::stdin().is_terminal() && io::stderr().is_terminal() { Answer::Yes } else { Answer::No }
}

/// Asks a person; the empty answer is the one in capitals. Only where [`somebody`] is there.
#[must_use]
pub fn ask(question: &str) -> String {
    let mut err = io::stderr().lock();
    drop(write!(err, "? {question} "));
    drop(err.flush());
    let mut line = String::new();
    drop(io::stdin().lock().read_line(&mut line));
    line.trim().to_ascii_lowercase()
}

/// A question with yes or no, no by default. Without a terminal it is answered by the command line itself.
#[must_use]
pub fn confirmed(question: &str, otherwise: Answer) -> Answer {
    if somebody() == Answer::No {
        return otherwise;
    }
    if matches!(ask(&format!("{question} [y/N]")).as_str(), "y" | "yes") { Answer::Yes } else { Answer::No }
}
