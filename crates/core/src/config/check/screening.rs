//! `[screening]`: what is done about what is found, for all servers and for each.

use crate::config::file::{BinaryWord, FlagWord, ScreenWord, ScreeningFile};
use crate::contract::Measure;
use crate::screen::{Binary, Mode, Modes};

/// What was typed, laid over what holds without it.
pub(super) fn modes(over: Modes, file: ScreeningFile) -> Modes {
    Modes {
        secrets: file.secrets.map_or(over.secrets, screen),
        personal: file.personal.map_or(over.personal, screen),
        injection: file.injection.map_or(over.injection, flag),
        arguments: file.arguments.map_or(over.arguments, flag),
        binary: file.binary.map_or(over.binary, |word| match word {
            BinaryWord::Allow => Binary::Allow,
            BinaryWord::Block => Binary::Block,
        }),
    }
}

/// What is done about credentials in arguments is done about tokens of other providers, unless their own key says another thing.
pub(super) const fn of_tokens(arguments: Mode) -> Measure {
    match arguments {
        Mode::Off => Measure::Off,
        Mode::Flag => Measure::Flag,
        Mode::Redact | Mode::Block => Measure::Refuse,
    }
}

const fn screen(word: ScreenWord) -> Mode {
    match word {
        ScreenWord::Off => Mode::Off,
        ScreenWord::Flag => Mode::Flag,
        ScreenWord::Redact => Mode::Redact,
        ScreenWord::Block => Mode::Block,
    }
}

const fn flag(word: FlagWord) -> Mode {
    match word {
        FlagWord::Off => Mode::Off,
        FlagWord::Flag => Mode::Flag,
        FlagWord::Block => Mode::Block,
    }
}
