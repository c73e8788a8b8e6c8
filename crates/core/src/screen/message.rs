//! One JSON-RPC message of a server: its texts, one by one and joined, and what becomes of it.
//!
//! What is covered is covered in the text of a string, so that the JSON stays JSON. What stands where no words can stand in its
//! place (a key, a number, an address, an encoded blob), or is of a form that was promised, is kept back with the message.

use super::modes::{Binary, Mode};
use super::rules::{HIGH, Subject};
use super::search::{Asked, Found, Layer};
use super::{Action, Blocked, Means, Screen, Screened, Seen, Tail, Why, own, views};
use crate::credential::UpstreamSecret;
use crate::json::RawJson;
use crate::json::leaves::{Leaf, Placed};
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// What the message must still be after something in it was covered.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// Nothing was promised but JSON.
    Free,
    /// The structured content of its result was: says whether a message still keeps to it. `None`: nobody can tell.
    Promised(Option<&'a dyn Fn(&RawJson) -> bool>),
}

/// A text or number of the message.
struct Piece<'a> {
    text: Cow<'a, str>,
    span: Range<usize>,
    place: Place,
    /// Part of what a reader sees as one text.
    flows: bool,
    found: Vec<Found>,
}

/// Where a piece stands, as far as covering it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a text.
    Open,
    /// In a text of the structured content.
    Structured,
    /// In base64 that is to be decoded by its reader.
    Coded,
    /// Where nothing else may stand: a key, a number, an address, a word of the protocol.
    Fixed,
}

/// Texts that a reader joins: of content blocks, of progress, of logs.
const FLOWING: [&str; 5] = ["text", "message", "data", "statusMessage", "delta"];
/// The same as keys, and the end of an element of an array, to be found. Made once: each takes as long as reading a short message.
static FLOWING_KEYS: LazyLock<[Finder<'static>; 5]> =
    LazyLock::new(|| ["\"text\"", "\"message\"", "\"data\"", "\"statusMessage\"", "\"delta\""].map(Finder::new));
static END_OF_ELEMENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\","));
/// Members whose text means something to a program.
const FIXED: [&str; 12] =
    ["uri", "uriTemplate", "mimeType", "type", "role", "level", "status", "url", "src", "protocolVersion", "elicitationId", "taskId"];

/// Screens a message that is not too large and shows no credential of the gateway as it stands.
pub(super) fn screened(means: &Means<'_>, shape: Shape<'_>, tail: Option<&mut Tail>, content: RawJson) -> Result<Screened, Blocked> {
    let Means { screen, secret, .. } = *means;
    let modes = &screen.modes;
    let is_alone = tail.is_none() && !is_in_parts(content.as_bytes());
    let asks_rules = *modes != super::Modes::NONE;
    if is_alone && (!asks_rules || is_plain(screen, &content)) {
        return Ok(Screened { content, seen: Vec::new() });
    }
    if modes.binary == Binary::Block && is_binary(&content) {
        return Err(Blocked::because(Why::Binary));
    }
    let mut pieces = Vec::new();
    let read = content.leaves(|leaf| {
        if !is_ours(means, &leaf) {
            pieces.push(if asks_rules { looked_at(screen, leaf) } else { Piece::of(leaf) });
        }
    });
    if read.is_none() {
        return Err(Blocked::because(Why::Failed)); // not what a strict reader has passed
    }
    join(screen, secret, &mut pieces, tail)?;
    let mut weights = Vec::<(&'static str, u8)>::new();
    for found in pieces.iter().flat_map(|piece| &piece.found).filter(|found| found.rule.subject == Subject::Injection) {
        if !weights.iter().any(|(id, _)| *id == found.rule.id) {
            weights.push((found.rule.id, found.rule.weight));
        }
    }
    let is_instructed = weights.iter().map(|(_, weight)| u32::from(*weight)).sum::<u32>() >= u32::from(HIGH);
    let mut verdict = Verdict::default();
    for piece in &pieces {
        piece.judge(screen, is_instructed, &mut verdict);
    }
    let Verdict { edits, mut seen, block, covered, is_structured } = verdict;
    let content = if edits.is_empty() { content } else { content.with_texts(&edits) };
    // What was promised binds what words were put into, too: who relies on it would fail on the rest.
    let broken = is_structured
        && match shape {
            Shape::Free => false,
            Shape::Promised(fits) => !fits.is_some_and(|fits| fits(&content)),
        };
    if let Some((subject, rule)) = block.or(covered.filter(|_| broken)) {
        for seen in &mut seen {
            if seen.action == Action::Redacted {
                seen.action = Action::Blocked;
            }
        }
        return Err(Blocked { why: Why::Content(subject, rule), seen: once(seen) });
    }
    Ok(Screened { content, seen: once(seen) })
}

/// The rules about credentials that find something in a value, each once.
pub(super) fn credentials(screen: &Screen, value: &RawJson) -> Vec<&'static str> {
    if !is_in_parts(value.as_bytes()) && is_plain(screen, value) {
        return Vec::new();
    }
    let mut pieces = Vec::new();
    if value.leaves(|leaf| pieces.push(looked_at(screen, leaf))).is_none() {
        return vec![Why::Failed.rule()];
    }
    if join(screen, None, &mut pieces, None).is_err() {
        return vec![Why::Failed.rule()];
    }
    let found = pieces.iter().flat_map(|piece| &piece.found).filter(|found| found.rule.subject == Subject::Credential);
    let mut rules: Vec<&'static str> = found.map(|found| found.rule.id).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// What is done about the pieces of a message.
#[derive(Default)]
struct Verdict {
    edits: Vec<(Range<usize>, String)>,
    seen: Vec<Seen>,
    block: Option<(Subject, &'static str)>,
    /// The first that words stand in the place of.
    covered: Option<(Subject, &'static str)>,
    is_structured: bool,
}

/// Whether nothing in these bytes, in one piece, can be anything that a rule finds: one look at each, and no copy.
fn is_plain(screen: &Screen, content: &RawJson) -> bool {
    let bytes = content.as_bytes();
    bytes.is_ascii() && screen.modes.binary == Binary::Allow && !views::may_hide(bytes) && !screen.searcher.has_words(bytes)
}

/// Whether several texts may be parts of one: of content blocks, or elements of arrays. Says yes where it is not sure.
fn is_in_parts(bytes: &[u8]) -> bool {
    let behind = |at: usize| bytes.get(at..).unwrap_or_default().iter().find(|byte| !byte.is_ascii_whitespace());
    let mut parts = 0;
    for key in FLOWING_KEYS.iter() {
        parts += key.find_iter(bytes).filter(|at| behind(at + key.needle().len()) == Some(&b':')).take(2).count();
    }
    // The first element of an array. In a text its quotation mark is escaped, and none.
    parts += memchr::memchr_iter(b'[', bytes).filter(|at| behind(at + 1) == Some(&b'"')).take(2).count();
    parts > 1
        || END_OF_ELEMENT.find_iter(bytes).any(|at| {
            let rest = bytes.get(at + 2..).unwrap_or_default();
            let rest = rest.get(rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0)..).unwrap_or_default();
            let Some(inside) = rest.strip_prefix(b"\"") else { return false };
            let end = memchr::memchr(b'"', inside).unwrap_or(inside.len());
            let is_escaped = end > 0 && inside.get(end - 1) == Some(&b'\\');
            let behind = inside.get(end + 1..).unwrap_or_default().iter().find(|byte| !byte.is_ascii_whitespace());
            is_escaped || behind != Some(&b':')
        })
}

/// Whether an image, audio or a blob that is no text is in a message.
fn is_binary(content: &RawJson) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut found = false;
    content.leaves(|leaf| {
        let last = leaf.trail.last().map_or("", AsRef::as_ref);
        if leaf.leaf == Leaf::Text && !is_structured(&leaf) {
            let is_text = || STANDARD.decode(leaf.text.as_bytes()).is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok());
            found |= last == "blob" && !is_text();
            found |= last == "type" && matches!(leaf.text.as_ref(), "image" | "audio");
        }
    });
    found
}

fn is_structured(leaf: &Placed<'_, '_>) -> bool {
    leaf.trail.iter().skip(1).any(|key| key == "structuredContent")
}

/// What Doorward wrote into the message itself: the frame, and at places that a server could fill too only what is known to be
/// ours. Ids and sealed values look random, and random text may look like anything.
fn is_ours(means: &Means<'_>, leaf: &Placed<'_, '_>) -> bool {
    let at = |depth: usize| leaf.trail.get(depth).map_or("", AsRef::as_ref);
    let is_place = match leaf.trail.len() {
        1 => return matches!(at(0), "id" | "jsonrpc" | "method"),
        2 => matches!((at(0), at(1)), ("params", "progressToken") | ("result", "nextCursor" | "requestState")),
        3 => matches!(at(0), "params" | "result") && at(1) == "_meta" && at(2) == "io.modelcontextprotocol/subscriptionId",
        _ => false,
    };
    is_place && leaf.leaf != Leaf::Key && means.ours.iter().any(|ours| *ours == leaf.text)
}

fn looked_at<'a>(screen: &Screen, leaf: Placed<'a, '_>) -> Piece<'a> {
    let mut found = screen.searcher.find(&leaf.text, Asked::Alone);
    let key = leaf.trail.last().map_or("", AsRef::as_ref);
    // What a member is named says what it is. A text that is known for a secret without its name needs no second look.
    let is_known = found.iter().any(|found| found.rule.subject == Subject::Credential);
    if leaf.leaf == Leaf::Text && !is_known && leaf.text.len() >= 20 && names_a_secret(key) {
        let named = format!("{key}={}", leaf.text);
        let shift = key.len() + 1;
        let inside = screen.searcher.find(&named, Asked::Credentials).into_iter().filter(|found| found.span.start >= shift);
        found.extend(inside.map(|found| Found { span: found.span.start - shift..found.span.end - shift, ..found }));
    }
    Piece { found, ..Piece::of(leaf) }
}

fn names_a_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    ["key", "secret", "token", "passw", "authorization"].iter().any(|word| lower.contains(word))
}

/// Finds what begins in one text and ends in another, and in what the stream said before.
///
/// # Errors
/// [`Why::OwnCredential`], where it is together what none of them is alone.
fn join(screen: &Screen, secret: Option<&UpstreamSecret>, pieces: &mut [Piece<'_>], tail: Option<&mut Tail>) -> Result<(), Blocked> {
    let before = tail.as_ref().map_or("", |tail| tail.text()).to_owned();
    let before = zeroize::Zeroizing::new(before);
    let flowing: Vec<usize> = pieces.iter().enumerate().filter(|(_, piece)| piece.flows).map(|(at, _)| at).collect();
    let mut whole = zeroize::Zeroizing::new(String::with_capacity(
        before.len() + flowing.iter().filter_map(|at| pieces.get(*at)).map(|piece| piece.text.len()).sum::<usize>(),
    ));
    whole.push_str(&before);
    let mut segments = Vec::with_capacity(flowing.len());
    for at in flowing {
        let Some(piece) = pieces.get(at) else { continue };
        segments.push((at, whole.len()..whole.len() + piece.text.len()));
        whole.push_str(&piece.text);
    }
    let is_joined = segments.len() + usize::from(!before.is_empty()) > 1;
    if is_joined && secret.is_some_and(|secret| own::shows(secret, whole.as_bytes())) {
        // What it began with has left; what comes next begins anew.
        tail.into_iter().for_each(Tail::clear);
        return Err(Blocked::because(Why::OwnCredential));
    }
    if is_joined && screen.modes != super::Modes::NONE {
        let near = tail.as_ref().map_or(0, |tail| tail.near(&screen.searcher));
        for found in screen.searcher.find(whole.get(near..).unwrap_or_default(), Asked::Alone) {
            let found = Found { span: found.span.start + near..found.span.end + near, ..found };
            let over = |segment: &Range<usize>| segment.start.max(found.span.start)..segment.end.min(found.span.end);
            let touched: Vec<(usize, Range<usize>)> = segments
                .iter()
                .map(|(at, segment)| (*at, segment.start, over(segment)))
                .filter(|(_, _, part)| !part.is_empty())
                .map(|(at, start, part)| (at, part.start - start..part.end - start))
                .collect();
            // What one text holds alone was found in it, and what went before is gone.
            if touched.len() < 2 && found.span.start >= before.len() {
                continue;
            }
            for (number, (at, part)) in touched.into_iter().enumerate() {
                if let Some(piece) = pieces.get_mut(at) {
                    piece.found.push(Found { rule: found.rule, span: part, layer: found.layer, is_rest: number > 0 });
                }
            }
        }
    }
    if let Some(tail) = tail {
        for (at, _) in segments {
            if let Some(piece) = pieces.get(at) {
                tail.push(&piece.text, &screen.searcher);
            }
        }
    }
    Ok(())
}

impl std::fmt::Debug for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Free => "Free",
            Self::Promised(None) => "Promised(nobody can tell)",
            Self::Promised(Some(_)) => "Promised",
        })
    }
}

impl<'a> Piece<'a> {
    /// A piece in which nobody has looked yet.
    fn of(leaf: Placed<'a, '_>) -> Self {
        let key = leaf.trail.last().map_or("", AsRef::as_ref);
        let place = match leaf.leaf {
            Leaf::Key | Leaf::Number => Place::Fixed,
            Leaf::Text if is_structured(&leaf) => Place::Structured,
            Leaf::Text if FIXED.contains(&key) => Place::Fixed,
            Leaf::Text if matches!(key, "blob" | "data") => Place::Coded,
            Leaf::Text => Place::Open,
        };
        let flows = leaf.leaf == Leaf::Text && (FLOWING.contains(&key) || leaf.array > 0);
        Self { text: leaf.text, span: leaf.span, place, flows, found: Vec::new() }
    }

    fn judge(&self, screen: &Screen, is_instructed: bool, verdict: &mut Verdict) {
        let mut covers: Vec<&Found> = Vec::new();
        for found in &self.found {
            let rule = found.rule;
            let mode = match rule.subject {
                Subject::Credential => screen.modes.secrets,
                Subject::Personal => screen.modes.personal,
                Subject::Injection if is_instructed => screen.modes.injection,
                Subject::Injection => Mode::Off,
            };
            let fixed = self.place == Place::Fixed || (self.place == Place::Coded && found.layer == Layer::Decoded);
            let action = match mode {
                Mode::Off => continue,
                Mode::Flag => Action::Flagged,
                Mode::Redact if fixed => Action::Blocked,
                Mode::Redact => Action::Redacted,
                Mode::Block => Action::Blocked,
            };
            match action {
                Action::Flagged => {}
                Action::Redacted => {
                    verdict.covered = verdict.covered.or(Some((rule.subject, rule.id)));
                    covers.push(found);
                }
                Action::Blocked => verdict.block = verdict.block.or(Some((rule.subject, rule.id))),
            }
            verdict.seen.push(Seen::new(rule, action));
        }
        if covers.is_empty() {
            return;
        }
        verdict.is_structured |= self.place == Place::Structured;
        covers.sort_by_key(|found| (found.span.start, std::cmp::Reverse(found.span.end)));
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        for Found { rule, span, is_rest, .. } in covers {
            // Readings of a text may end inside of a character; what is covered is covered whole.
            let (start, end) = (self.text.floor_char_boundary(span.start), self.text.ceil_char_boundary(span.end));
            if start >= at {
                text.push_str(self.text.get(at..start).unwrap_or_default());
                if !is_rest {
                    text.push_str("[redacted: ");
                    text.push_str(rule.id);
                    text.push(']');
                }
            }
            at = at.max(end);
        }
        text.push_str(self.text.get(at..).unwrap_or_default());
        verdict.edits.push((self.span.clone(), text));
    }
}

/// Each rule and action once, in the order of their names.
fn once(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_by_key(|seen| (seen.rule, seen.action));
    seen.dedup();
    seen
}
