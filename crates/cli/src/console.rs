//! What people and programs see (product 2.3): data on stdout, talk on stderr, one JSON document where JSON was asked for,
//! no colour and no drawing where there is no terminal, nothing from outside unescaped.

use crate::args::{Color, Global};
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

/// Where output goes and how it may look.
#[derive(Debug, Clone)]
pub struct Console {
    form: Form,
    talk: Talk,
    color: bool,
    unicode: bool,
    progress: bool,
    width: usize,
}

/// For whom stdout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Talk {
    Errors,
    Normal,
}

/// A sign before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Worth a look.
    Note,
}

/// How a piece of text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// Worth a look.
    Note,
    /// A heading.
    Strong,
    /// Beside the point.
    Dim,
}

const WIDTH: usize = 80;

// === impl Console ===

impl Console {
    /// From the options of the command line, the environment and the terminal.
    #[must_use]
    pub fn of(global: &Global) -> Self {
        let variable = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let terminal = io::stderr().is_terminal();
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if variable("NO_COLOR") => false,
            Color::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            Color::Auto => terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let unicode = locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"));
        let width =
            if terminal { rustix::termios::tcgetwinsize(io::stderr()).map_or(WIDTH, |size| usize::from(size.ws_col)) } else { WIDTH };
        Self {
            form: if global.json { Form::Json } else { Form::Text },
            talk: if global.quiet { Talk::Errors } else { Talk::Normal },
            color,
            unicode,
            progress: terminal && !global.quiet,
            width: width.clamp(40, 120),
        }
    }

    /// For a command line that could not be read and asked for JSON.
    #[must_use]
    pub const fn json() -> Self {
        Self { form: Form::Json, talk: Talk::Normal, color: false, unicode: false, progress: false, width: WIDTH }
    }

    /// For whom stdout is.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// Whether colours are wanted.
    #[must_use]
    pub const fn color(&self) -> bool {
        self.color
    }

    /// Whether the terminal shows more than ASCII.
    #[must_use]
    pub const fn unicode(&self) -> bool {
        self.unicode
    }

    /// Whether lines may be drawn over on stderr.
    #[must_use]
    pub const fn progress(&self) -> bool {
        self.progress
    }

    /// Columns.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Data: one line on stdout. A reader who left early is no error.
    pub fn line(&mut self, text: impl Display) {
        let _ = self.raw(&format!("{text}\n"));
    }

    /// Data as it is, on stdout. False once the reader has left.
    pub fn raw(&mut self, text: &str) -> Reader {
        match io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => Reader::There,
            Err(_) => Reader::Gone,
        }
    }

    /// One JSON document on stdout, with `"v": 1`. What [`inert`] would change is written as `\uXXXX`: the same JSON, and it draws nothing on
    /// a terminal.
    pub fn document(&mut self, mut members: serde_json::Map<String, serde_json::Value>) {
        members.insert("v".to_owned(), 1.into());
        self.line(escaped(&serde_json::Value::Object(members).to_string()));
    }

    /// Talk: one line on stderr, unless quiet.
    pub fn say(&mut self, text: impl Display) {
        if self.talk >= Talk::Normal {
            drop(writeln!(io::stderr().lock(), "{text}"));
        }
    }

    /// An error: on stderr, always.
    pub fn fail(&mut self, text: impl Display) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    /// A sign as this terminal shows it.
    #[must_use]
    pub fn sign(&self, sign: Sign) -> String {
        let (plain, drawn, color) = match sign {
            Sign::Good => ("v", "\u{2713}", anstyle::AnsiColor::Green),
            Sign::Bad => ("x", "\u{2717}", anstyle::AnsiColor::Red),
            Sign::Note => ("!", "!", anstyle::AnsiColor::Yellow),
        };
        let text = if self.unicode { drawn } else { plain };
        if !self.color {
            return text.to_owned();
        }
        let style = anstyle::Style::new().fg_color(Some(color.into())).bold();
        format!("{style}{text}{style:#}")
    }

    /// A text in colour, where colours are wanted.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let plain = anstyle::Style::new();
        let style = match paint {
            Paint::Good => plain.fg_color(Some(anstyle::AnsiColor::Green.into())),
            Paint::Bad => plain.fg_color(Some(anstyle::AnsiColor::Red.into())),
            Paint::Note => plain.fg_color(Some(anstyle::AnsiColor::Yellow.into())),
            Paint::Strong => plain.bold(),
            Paint::Dim => plain.dimmed(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Whether anybody still reads stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Reader {
    /// Somebody does.
    There,
    /// `head` has seen enough.
    Gone,
}

/// Text from outside, inert on a terminal: control, bidirectional and invisible characters are escaped.
#[must_use]
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_strange(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// A JSON text in one line whose strings hold nothing strange. Such characters stand in strings only, where an escape means the same (RFC 8259
/// section 7).
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_strange(c) {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_strange(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A number with its thousands apart: `918,204`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 record", "2 records".
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Text in lines of at most `width` characters, broken at spaces.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_draw() {
        assert_eq!(inert("a\u{1b}[2Jb\nc\u{202e}d\u{200b}"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{200b}");
        assert_eq!(inert("Grüße 日本 ✓"), "Grüße 日本 ✓");
    }

    #[test]
    fn a_document_draws_nothing_and_means_the_same() {
        let text = "a\u{1b}[2J\u{9b}2J\u{85}\u{7f}\u{202e}\u{200b}\u{feff}\u{e0041}\"\\\n Gr\u{fc}\u{df}e \u{1f600}";
        let value = serde_json::json!({text: [text, 1, null]});
        let written = escaped(&value.to_string());
        assert_eq!(inert(&written), written, "{written}");
        assert!(written.contains("\\u009b2J\\u0085\\u007f\\u202e\\u200b\\ufeff\\udb40\\udc41"), "{written}");
        assert!(written.contains("Gr\u{fc}\u{df}e \u{1f600}"), "what is readable stays: {written}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("JSON"), value);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 918_204, 1_000_000].map(grouped), ["0", "999", "1,000", "918,204", "1,000,000"]);
        assert_eq!((counted(1, "seal"), counted(0, "seal")), ("1 seal".to_owned(), "0 seals".to_owned()));
    }
}
