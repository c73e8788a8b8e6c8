//! What is done about what is found: `[screening]` of the configuration, for all servers and for each.

/// What is done about one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nobody looks.
    Off,
    /// It passes and is on the record.
    Flag,
    /// Words stand in its place; where they cannot, the message is kept back.
    Redact,
    /// The message is kept back.
    Block,
}

/// What is done about content that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// It passes.
    Allow,
    /// The message is kept back.
    Block,
}

/// What is done about the messages of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// Credentials in what a server says.
    pub secrets: Mode,
    /// Numbers of cards, accounts and persons in what a server says.
    pub personal: Mode,
    /// Hidden text and instructions in what a server says; never [`Mode::Redact`], which would leave half an instruction.
    pub injection: Mode,
    /// Credentials in the arguments of a caller; never [`Mode::Redact`]: a call is made as it was decided, or not.
    pub arguments: Mode,
    /// Images, audio and blobs.
    pub binary: Binary,
}

impl Modes {
    /// Nothing is looked for.
    pub const NONE: Self =
        Self { secrets: Mode::Off, personal: Mode::Off, injection: Mode::Off, arguments: Mode::Off, binary: Binary::Allow };

    /// Unless something else is configured: secrets are covered, the rest is on the record.
    pub const DEFAULT: Self =
        Self { secrets: Mode::Redact, personal: Mode::Flag, injection: Mode::Flag, arguments: Mode::Flag, binary: Binary::Allow };
}

impl Mode {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Flag => "flag",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

impl Binary {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}
