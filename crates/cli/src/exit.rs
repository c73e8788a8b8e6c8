//! How a command can end. The one table behind the program, its manual page and `version --json`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// All is well.
    Fine,
    /// Something was found, failed or was denied.
    Findings,
    /// The command line makes no sense.
    Usage,
    /// The configuration is not usable.
    Configuration,
    /// A file, host or gateway cannot be reached.
    Unreachable,
    /// Somebody has to sign in first.
    SignIn,
    /// The record, the store or a key is not what it should be.
    Integrity,
    /// A fault of Doorward.
    Internal,
    /// Interrupted from the keyboard.
    Interrupted,
}

/// Every way, in the order of the numbers.
pub const ALL: [Exit; 9] = [
    Exit::Fine,
    Exit::Findings,
    Exit::Usage,
    Exit::Configuration,
    Exit::Unreachable,
    Exit::SignIn,
    Exit::Integrity,
    Exit::Internal,
    Exit::Interrupted,
];

// === impl Exit ===

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Unreachable => 4,
            Self::SignIn => 5,
            Self::Integrity => 6,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Findings => "findings, a failed test, denied",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Unreachable => "cannot reach a file, a host or the gateway",
            Self::SignIn => "sign-in needed",
            Self::Integrity => "integrity: audit chain, store or key",
            Self::Internal => "internal fault",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_promised_one() {
        let codes: Vec<u8> = ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 70, 130]);
    }
}
