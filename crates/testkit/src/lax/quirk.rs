//! What a lax server does wrong. Owns the names of the quirks on the command line; the doing is elsewhere.

use std::str::FromStr;

/// The sum of what one server does wrong. Without any quirk it is a plain server of 2025-11-25 that has never heard of later revisions, believes
/// every session id, state, task id and cursor, and ignores header mirrors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    quirks: Vec<Quirk>,
}

impl Behaviour {
    /// A lax server without further quirks.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// The same with one more quirk.
    #[must_use]
    pub fn with(mut self, quirk: Quirk) -> Self {
        self.quirks.push(quirk);
        self
    }

    /// Whether a quirk is among them.
    #[must_use]
    pub fn has(&self, quirk: &Quirk) -> bool {
        self.quirks.contains(quirk)
    }

    /// The first value that `pick` finds.
    pub fn find<T>(&self, pick: impl Fn(&Quirk) -> Option<T>) -> Option<T> {
        self.quirks.iter().find_map(pick)
    }
}

impl FromIterator<Quirk> for Behaviour {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        Self { quirks: quirks.into_iter().collect() }
    }
}

/// One thing that a server does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quirk {
    /// `modern`: also speaks 2026-07-28, with unprotected `requestState` and predictable task ids.
    Modern,
    /// `echoes-version`: answers `initialize` with whatever version was asked for.
    EchoesVersion,
    /// `refuses-versions`: 400 with plain text for a version header that it does not know.
    RefusesVersions,
    /// `pages=N`: lists N more tools in pages of 100, with an empty page in the middle and an empty string as one cursor.
    Pages(usize),
    /// `endless-pages`: every page names a next one.
    EndlessPages,
    /// `listens`: keeps subscriptions of 2026-07-28 open and pushes to them what it pushes to GET streams.
    Listens,
    /// `asks-on-get`: the question of the tool `ask` goes to the GET streams instead of the POST stream.
    AsksOnGet,
    /// `asks-by-request`: asks by requests in 2026-07-28 too.
    AsksByRequest,
    /// `asks-unasked`: asks to sample, to elicit and for roots at the start of every stream, whatever was declared.
    AsksUnasked,
    /// `storm=N`: sends N `list_changed` on each GET stream.
    Storm(usize),
    /// `redirect=STATUS,LOCATION`: answers every `tools/call` with a redirect.
    Redirect(u16, String),
    /// `rug=CHANGE,FIRST[,LAST]`: the listed definition of `echo` differs from the FIRST-th list on (counted from 1), up to the LAST-th.
    Rug(Change, usize, Option<usize>),
    /// `answer=NAME`: how every `tools/call` is answered.
    Answer(Answer),
}

/// What differs in a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The description.
    Description,
    /// The input schema.
    Schema,
    /// An annotation.
    Annotations,
    /// The title.
    Title,
    /// The input schema, to one that stands somewhere else.
    AwaySchema,
    /// The output schema.
    OutputSchema,
    /// The header that mirrors an argument.
    Header,
    /// One more tool, and `echo` unchanged.
    Adds,
    /// A character without width in the description.
    Invisible,
    /// The description, and only for every second `Authorization` value seen.
    ForSome,
}

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With another request's id.
    WrongId,
    /// With a text as id where a number was sent.
    TextId,
    /// Twice.
    Twice,
    /// With a page of HTML and status 200.
    Html,
    /// With a well-formed result as `text/plain`.
    PlainText,
    /// Compressed, although nobody asked for it.
    Gzip,
    /// With an event stream that never ends its first line.
    NoNewline,
    /// With bytes that are no UTF-8.
    BadUtf8,
    /// With a JSON-RPC error whose message is a megabyte long.
    HugeError,
    /// With a result of 900 KB.
    LargeResult,
    /// The same as an event.
    LargeEvent,
    /// With a result of 100 MB.
    HugeResult,
    /// With half a result, and then the connection ends.
    Crash,
    /// With one byte a second.
    Slow,
    /// Never.
    Never,
    /// With ten thousand notifications first.
    Flood,
    /// With event-stream fields inside the data.
    InjectedFields,
    /// With a `resultType` that nobody knows.
    UnknownType,
    /// With two members of one name.
    DuplicateKeys,
    /// With `Content-Length` and `Transfer-Encoding` together.
    TwoFramings,
    /// With two different `Content-Length`.
    TwoLengths,
    /// With two status lines.
    TwoStatuses,
    /// With fields that a gateway must not relay.
    HostileFields,
    /// With a NUL in a field.
    NulField,
    /// With ten thousand fields.
    ManyFields,
    /// With 101.
    Switching,
    /// With a storm of 103 first.
    EarlyHints,
    /// With trailers.
    Trailers,
    /// With a batch.
    Batch,
}

/// A quirk that is not known, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownQuirk(pub String);

impl std::fmt::Display for UnknownQuirk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "unknown quirk: {}", self.0)
    }
}

impl std::error::Error for UnknownQuirk {}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(text: &str) -> Result<Self, UnknownQuirk> {
        let unknown = || UnknownQuirk(text.to_owned());
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let number = |value: &str| value.parse::<usize>().map_err(|_| unknown());
        Ok(match name {
            "modern" => Self::Modern,
            "echoes-version" => Self::EchoesVersion,
            "refuses-versions" => Self::RefusesVersions,
            "pages" => Self::Pages(number(value)?),
            "endless-pages" => Self::EndlessPages,
            "listens" => Self::Listens,
            "asks-on-get" => Self::AsksOnGet,
            "asks-by-request" => Self::AsksByRequest,
            "asks-unasked" => Self::AsksUnasked,
            "storm" => Self::Storm(number(value)?),
            "redirect" => {
                let (status, location) = value.split_once(',').ok_or_else(unknown)?;
                Self::Redirect(status.parse().map_err(|_| unknown())?, location.to_owned())
            }
            "rug" => {
                let mut parts = value.split(',');
                let change = named(CHANGES, parts.next().unwrap_or_default()).ok_or_else(unknown)?;
                let first = number(parts.next().unwrap_or("2"))?;
                Self::Rug(change, first, parts.next().map(number).transpose()?)
            }
            "answer" => Self::Answer(named(ANSWERS, value).ok_or_else(unknown)?),
            _ => return Err(unknown()),
        })
    }
}

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

const CHANGES: &[(&str, Change)] = &[
    ("description", Change::Description),
    ("schema", Change::Schema),
    ("annotations", Change::Annotations),
    ("title", Change::Title),
    ("away-schema", Change::AwaySchema),
    ("output-schema", Change::OutputSchema),
    ("header", Change::Header),
    ("adds", Change::Adds),
    ("invisible", Change::Invisible),
    ("for-some", Change::ForSome),
];

/// Every answer by its name on the command line.
pub const ANSWERS: &[(&str, Answer)] = &[
    ("wrong-id", Answer::WrongId),
    ("text-id", Answer::TextId),
    ("twice", Answer::Twice),
    ("html", Answer::Html),
    ("plain-text", Answer::PlainText),
    ("gzip", Answer::Gzip),
    ("no-newline", Answer::NoNewline),
    ("bad-utf8", Answer::BadUtf8),
    ("huge-error", Answer::HugeError),
    ("large-result", Answer::LargeResult),
    ("large-event", Answer::LargeEvent),
    ("huge-result", Answer::HugeResult),
    ("crash", Answer::Crash),
    ("slow", Answer::Slow),
    ("never", Answer::Never),
    ("flood", Answer::Flood),
    ("injected-fields", Answer::InjectedFields),
    ("unknown-type", Answer::UnknownType),
    ("duplicate-keys", Answer::DuplicateKeys),
    ("two-framings", Answer::TwoFramings),
    ("two-lengths", Answer::TwoLengths),
    ("two-statuses", Answer::TwoStatuses),
    ("hostile-fields", Answer::HostileFields),
    ("nul-field", Answer::NulField),
    ("many-fields", Answer::ManyFields),
    ("switching", Answer::Switching),
    ("early-hints", Answer::EarlyHints),
    ("trailers", Answer::Trailers),
    ("batch", Answer::Batch),
];

#[cfg(test)]
mod tests {
    use super::{ANSWERS, Answer, Change, Quirk, UnknownQuirk};

    #[test]
    fn quirks_are_read_from_the_command_line_and_unknown_ones_are_refused() {
        assert_eq!("rug=schema,2,3".parse(), Ok(Quirk::Rug(Change::Schema, 2, Some(3))));
        assert_eq!("redirect=307,http://evil.test/".parse(), Ok(Quirk::Redirect(307, "http://evil.test/".to_owned())));
        assert_eq!("answer=gzip".parse(), Ok(Quirk::Answer(Answer::Gzip)));
        assert_eq!("answer=grow".parse::<Quirk>(), Err(UnknownQuirk("answer=grow".to_owned())));
        assert_eq!("pages=many".parse::<Quirk>(), Err(UnknownQuirk("pages=many".to_owned())));
        assert!(ANSWERS.iter().all(|(name, answer)| format!("answer={name}").parse() == Ok(Quirk::Answer(*answer))));
    }
}
