//! The ways in which a text can be read: as it stands, without what hides, with escapes undone, decoded. Each reading knows
//! where its bytes come from, so that what is found in it can be covered where it stands.

use super::rules::is_hidden;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization as _;

/// A text as it may be read.
#[derive(Debug)]
pub(super) struct View {
    /// The bytes that are read.
    pub(super) bytes: Vec<u8>,
    /// Where each byte comes from, and one more for the end.
    from: Vec<u32>,
}

/// A run of characters that may be an encoding, and what it may mean.
#[derive(Debug)]
pub(super) struct Decoded {
    /// The run.
    pub(super) span: Range<usize>,
    /// What it decodes to.
    pub(super) bytes: Vec<u8>,
}

/// The shortest run that is decoded.
pub(super) const SHORTEST_RUN: usize = 32;

const IN_BASE64: [bool; 256] = class(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=");
/// With what a line break is in the text of JSON and outside of it.
const IN_RUN: [bool; 256] = class(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n");
const IN_RAW_RUN: [bool; 256] = class(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\\");
const IN_NUMBER: [bool; 256] = class(b"0123456789 -");
const IN_ACCOUNT: [bool; 256] = class(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ ");
const NO_DIGIT: u8 = 0xff;

const fn class(of: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < of.len() {
        #[expect(clippy::indexing_slicing, reason = "below the length, while the program is compiled")]
        {
            table[of[at] as usize] = true;
        }
        at += 1;
    }
    table
}

fn is_in(table: &[bool; 256], byte: u8) -> bool {
    table.get(usize::from(byte)).copied().unwrap_or(false)
}

/// The first run of at least so many bytes of a class, from `from` on. Looks at one byte in `shortest` where there is none.
fn run_of(table: &[bool; 256], shortest: usize, text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut begin = from;
    loop {
        let end = begin.checked_add(shortest)?;
        let window = text.get(begin..end)?;
        match window.iter().rposition(|byte| !is_in(table, *byte)) {
            Some(outside) => begin += outside + 1,
            None => {
                let more = text.get(end..).unwrap_or_default().iter().position(|byte| !is_in(table, *byte));
                return Some(begin..more.map_or(text.len(), |more| end + more));
            }
        }
    }
}

/// Whether something in the bytes of a JSON text may be read in another way, or may be a number of a card or an account.
pub(super) fn may_hide(json: &[u8]) -> bool {
    // Of the escapes only these can spell what stands in a word or a token.
    memchr::memchr_iter(b'\\', json).any(|at| matches!(json.get(at + 1), Some(b'u' | b'/')))
        || is_percent_coded(json)
        || has_run(json)
        || may_be_number(json)
        || json.contains(&0x7f)
}

/// Whether there are as many digits, or capitals and digits, as the number of a card or an account has.
pub(super) fn may_be_number(text: &[u8]) -> bool {
    let has_digits = |run: Range<usize>| {
        text.get(run).is_some_and(|run| run.iter().filter(|byte| byte.is_ascii_digit()).count() >= super::rules::SHORTEST_NUMBER - 2)
    };
    let (mut at, mut account) = (0, 0);
    while let Some(run) = run_of(&IN_NUMBER, super::rules::SHORTEST_NUMBER, text, at) {
        if has_digits(run.clone()) {
            return true;
        }
        at = run.end;
    }
    while let Some(run) = run_of(&IN_ACCOUNT, 15, text, account) {
        if has_digits(run.clone()) || text.get(run.clone()).is_some_and(|run| run.iter().any(u8::is_ascii_digit)) {
            return true;
        }
        account = run.end;
    }
    false
}

/// Where the end of a text begins: at least `least` bytes of it, from the beginning of any run that reaches into them, with the
/// character in front.
pub(super) fn begin_of_end(text: &str, least: usize) -> usize {
    let at = text.len().saturating_sub(least);
    let front = text.as_bytes().get(..at).unwrap_or_default();
    let begin_of = |class: &[bool; 256]| front.iter().rposition(|byte| !is_in(class, *byte)).unwrap_or(0);
    let begin = [&IN_RUN, &IN_NUMBER, &IN_ACCOUNT].map(begin_of).into_iter().min();
    text.floor_char_boundary(begin.unwrap_or(0))
}

/// Whether something in a text may be read in another way than it stands, but for runs that may be encoded.
pub(super) fn may_read_otherwise(text: &str) -> bool {
    let bytes = text.as_bytes();
    folds(text) || may_be_hidden(text) || memchr::memchr2(b'\\', 0x7f, bytes).is_some() || is_percent_coded(bytes)
}

fn is_percent_coded(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).any(|at| text.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
}

/// The letter that a character of another script looks like. Only the pairs that fonts do not tell apart (UTS 39).
const fn looks_like(c: char) -> Option<char> {
    Some(match c {
        'а' => 'a',
        'е' | 'ё' => 'e',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'с' => 'c',
        'у' => 'y',
        'х' => 'x',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'ѕ' => 's',
        'ԁ' => 'd',
        'һ' => 'h',
        'ѵ' | 'ν' => 'v',
        'α' => 'a',
        'Α' | 'А' => 'A',
        'Β' | 'В' => 'B',
        'Ε' | 'Е' => 'E',
        'Η' | 'Н' => 'H',
        'Ι' | 'І' => 'I',
        'Κ' | 'К' => 'K',
        'Μ' | 'М' => 'M',
        'Ν' => 'N',
        'Ο' | 'О' => 'O',
        'Ρ' | 'Р' => 'P',
        'С' => 'C',
        'Τ' | 'Т' => 'T',
        'Χ' | 'Х' => 'X',
        _ => return None,
    })
}

/// Blocks in which nothing folds to ASCII: letters of Latin with marks, of Greek, Cyrillic and further scripts, ideographs, syllables,
/// box drawing, pictographs. A quick no for common texts.
const fn never_folds(c: char) -> bool {
    matches!(c, '\u{a1}'..='\u{a7}' | '\u{ab}'..='\u{ac}' | '\u{b0}'..='\u{b1}' | '\u{b6}'..='\u{b7}' | '\u{bb}' | '\u{bf}'..='\u{131}'
        | '\u{180}'..='\u{1c3}' | '\u{2010}'..='\u{2023}' | '\u{2030}'..='\u{2032}' | '\u{20a0}'..='\u{20a7}' | '\u{2190}'..='\u{23ff}'
        | '\u{2500}'..='\u{2a73}' | '\u{3001}'..='\u{31ff}' | '\u{3400}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{1f300}'..='\u{1faff}')
}

/// Whether anything in a text is not what it would be in a plain one. A quick no for most.
fn folds(text: &str) -> bool {
    if memchr::memchr(ESCAPE, text.as_bytes()).is_some() {
        return true;
    }
    if text.is_ascii() {
        return false;
    }
    let may = |c: char| is_hidden(c) || looks_like(c).is_some() || !never_folds(c);
    text.chars().any(|c| !c.is_ascii() && may(c))
}

/// Begins a sequence that a terminal obeys and does not show.
const ESCAPE: u8 = 0x1b;

/// The length of the control sequence that a text begins with (ECMA-48 section 5.4); of another escape that character alone.
fn sequence(text: &[u8]) -> usize {
    if text.get(1) != Some(&b'[') {
        return 1;
    }
    let body = text.get(2..).unwrap_or_default();
    let parameters = body.iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
    match body.get(parameters) {
        Some(0x40..=0x7e) => parameters + 3,
        _ => 1,
    }
}

/// Whether a character that people do not see may be in a text.
pub(super) fn may_be_hidden(text: &str) -> bool {
    memchr::memchr(0x1b, text.as_bytes()).is_some() || (!text.is_ascii() && text.chars().any(|c| is_hidden(c) || c == '\u{9b}'))
}

const fn is_escape(kind: u8) -> bool {
    matches!(kind, b'u' | b'x' | b'/' | b'n' | b'r' | b't' | b'b' | b'f' | b'"' | b'\\')
}

/// Whether an escape in a text spells a letter or a digit, and so may be in the middle of a word or a token.
pub(super) fn spells(text: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', text).any(|at| matches!(text.get(at + 1), Some(b'u' | b'x' | b'/')))
}

/// The character that an escape at the beginning of a text stands for, and the length of the escape.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let kind = text.strip_prefix(b"\\")?.first()?;
    let digits = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match kind {
        b'u' => {
            let unit = digits(2, 6)?;
            // What is beyond the first plane comes in two.
            let low = || digits(8, 12).filter(|low| text.get(6..8) == Some(b"\\u") && (0xdc00..0xe000).contains(low));
            match (0xd800..0xdc00).contains(&unit).then(low).flatten() {
                Some(low) => char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).map(|c| (c, 12)),
                None => char::from_u32(unit).map(|c| (c, 6)),
            }
        }
        b'x' => digits(2, 4).and_then(char::from_u32).map(|c| (c, 4)),
        b'n' => Some(('\n', 2)),
        b'r' => Some(('\r', 2)),
        b't' => Some(('\t', 2)),
        b'b' => Some(('\u{8}', 2)),
        b'f' => Some(('\u{c}', 2)),
        b'"' | b'\\' | b'/' => Some((char::from(*kind), 2)),
        _ => None,
    }
}

/// Whether a run of a text is long enough to be decoded, with the escapes in it.
pub(super) fn has_run(text: &[u8]) -> bool {
    run_of(&IN_RAW_RUN, SHORTEST_RUN, text, 0).is_some()
}

impl View {
    /// The text with compatible characters folded (NFKC of each), lookalikes in words of Latin letters exchanged, hidden ones and
    /// what colours a terminal left out, and tags as the letters that they stand for; `None` where that is the text itself.
    pub(super) fn folded(text: &str) -> Option<Self> {
        if !folds(text) {
            return None;
        }
        let mut view = Self { bytes: Vec::with_capacity(text.len()), from: Vec::with_capacity(text.len() + 1) };
        let mut differs = false;
        let mut before = None;
        let mut behind = 0;
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let near_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
            let after = chars.peek().map(|(_, c)| *c);
            let mut shown = c;
            if at < behind {
                continue; // of a sequence
            }
            if c == char::from(ESCAPE) {
                differs = true;
                behind = at + sequence(text.as_bytes().get(at..).unwrap_or_default());
                continue;
            }
            if c.is_ascii() {
                view.push(c, at);
            } else if ('\u{e0020}'..='\u{e007e}').contains(&c) {
                differs = true;
                let letter = u8::try_from(u32::from(c) - 0xe_0000).map_or(' ', char::from);
                view.push(letter, at);
            } else if is_hidden(c) {
                differs = true;
            } else if let Some(letter) = looks_like(c).filter(|_| near_letter(before) || near_letter(after)) {
                differs = true;
                shown = letter; // the next one may be a lookalike, too
                view.push(letter, at);
            } else if never_folds(c) {
                view.push(c, at);
            } else {
                let mut own = [0; 4];
                for folded in c.encode_utf8(&mut own).nfkc() {
                    differs |= folded != c;
                    view.push(folded, at);
                }
            }
            before = Some(shown);
        }
        view.close(text.len());
        differs.then_some(view)
    }

    /// The text with the escapes of JSON undone once more (RFC 8259 section 7), where there are any.
    pub(super) fn unescaped(text: &[u8]) -> Option<Self> {
        memchr::memchr_iter(b'\\', text).find(|at| text.get(at + 1).is_some_and(|kind| is_escape(*kind)))?;
        let mut view = Self { bytes: Vec::with_capacity(text.len()), from: Vec::with_capacity(text.len() + 1) };
        let mut at = 0;
        while let Some(byte) = text.get(at).copied() {
            match escaped(text.get(at..).unwrap_or_default()) {
                Some((c, length)) => {
                    view.push(c, at);
                    at += length;
                }
                None => {
                    view.bytes.push(byte);
                    view.from.push(u32::try_from(at).unwrap_or(u32::MAX));
                    at += 1;
                }
            }
        }
        view.close(text.len());
        Some(view)
    }

    /// The text with each `%XX` as the byte that it stands for, where there is any.
    pub(super) fn percent_decoded(text: &[u8]) -> Option<Self> {
        if !is_percent_coded(text) {
            return None;
        }
        let mut view = Self { bytes: Vec::with_capacity(text.len()), from: Vec::with_capacity(text.len() + 1) };
        let mut at = 0;
        while let Some(byte) = text.get(at).copied() {
            let coded = text.get(at + 1..at + 3).filter(|two| byte == b'%' && two.iter().all(u8::is_ascii_hexdigit));
            let coded = coded.and_then(|two| std::str::from_utf8(two).ok()).and_then(|two| u8::from_str_radix(two, 16).ok());
            view.bytes.push(coded.unwrap_or(byte));
            view.from.push(u32::try_from(at).unwrap_or(u32::MAX));
            at += if coded.is_some() { 3 } else { 1 };
        }
        view.close(text.len());
        Some(view)
    }

    /// This view of another one, as a view of what that one shows.
    pub(super) fn of(mut self, other: &Self) -> Self {
        for from in &mut self.from {
            *from = other.from.get(usize::try_from(*from).unwrap_or(usize::MAX)).copied().unwrap_or(u32::MAX);
        }
        self
    }

    /// Where a part of the view comes from.
    pub(super) fn source(&self, span: &Range<usize>) -> Range<usize> {
        let at = |place: usize| self.from.get(place).and_then(|from| usize::try_from(*from).ok()).unwrap_or(0);
        let last = span.end.saturating_sub(1);
        let next = self.from.get(last..).unwrap_or_default();
        // Up to where the next byte of another source comes from.
        let end = next.iter().find(|from| next.first() != Some(from)).and_then(|from| usize::try_from(*from).ok());
        at(span.start)..end.unwrap_or_else(|| at(self.from.len().saturating_sub(1)))
    }

    fn push(&mut self, c: char, at: usize) {
        let mut bytes = [0; 4];
        for byte in c.encode_utf8(&mut bytes).bytes() {
            self.bytes.push(byte);
            self.from.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
    }

    fn close(&mut self, length: usize) {
        self.from.push(u32::try_from(length).unwrap_or(u32::MAX));
    }
}

/// What each long run of a text may decode to: base64 of both alphabets from each of four beginnings, and hexadecimal digits from
/// both. Line breaks in it do not count.
pub(super) fn decoded(text: &[u8], mut look: impl FnMut(Decoded)) {
    let mut at = 0;
    while let Some(span) = run_of(&IN_RUN, SHORTEST_RUN, text, at) {
        at = span.end;
        // The letter of an escape is not of the run: covered with it, it would leave the escape without its end.
        let is_escaped = span.start.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\\');
        let span = span.start + usize::from(is_escaped)..span.end;
        let run = text.get(span.clone()).unwrap_or_default();
        let letters = run.iter().filter(|byte| is_in(&IN_BASE64, **byte)).count();
        if letters < SHORTEST_RUN {
            continue;
        }
        for skip in 0..4 {
            look(Decoded { span: span.clone(), bytes: base64(run, skip) });
        }
        let hex = run.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
        if hex >= SHORTEST_RUN && hex * 10 >= letters * 9 {
            for skip in 0..2 {
                look(Decoded { span: span.clone(), bytes: hexadecimal(run, skip) });
            }
        }
    }
}

fn base64(run: &[u8], skip: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(run.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut left = skip;
    for byte in run {
        let value = sextet(*byte);
        if value == NO_DIGIT {
            continue; // a line break, or the end
        }
        if left > 0 {
            left -= 1;
            continue;
        }
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            out.push(byte);
        }
    }
    out
}

const SEXTETS: [u8; 256] = sextets();

const fn sextets() -> [u8; 256] {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0_u8;
    while value < 64 {
        let byte = match value {
            0..=25 => b'A' + value,
            26..=51 => b'a' + value - 26,
            52..=61 => b'0' + value - 52,
            62 => b'+',
            _ => b'/',
        };
        #[expect(clippy::indexing_slicing, reason = "a byte is below 256, while the program is compiled")]
        {
            table[byte as usize] = value;
        }
        value += 1;
    }
    #[expect(clippy::indexing_slicing, reason = "while the program is compiled")]
    {
        table[b'-' as usize] = 62;
        table[b'_' as usize] = 63;
    }
    table
}

fn sextet(byte: u8) -> u8 {
    SEXTETS.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT)
}

fn hexadecimal(run: &[u8], skip: usize) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(NO_DIGIT);
    let mut out = Vec::with_capacity(run.len() / 2);
    let mut high = None;
    for value in run.iter().skip(skip).map(digit).filter(|value| *value != NO_DIGIT) {
        match high.take() {
            None => high = Some(value),
            Some(high) => out.push(high << 4 | value),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_knows_where_its_bytes_come_from() {
        let text = "x \u{200b}ＡＫ\u{200d}IA\u{e0041} é";
        let view = View::folded(text).expect("a view");
        assert_eq!(String::from_utf8_lossy(&view.bytes), "x AKIAA é");
        let at = memchr::memmem::find(&view.bytes, b"AKIA").expect("there");
        assert_eq!(text.get(view.source(&(at..at + 4))), Some("ＡＫ\u{200d}IA"));
        assert!(View::folded("Grüße, 日本, ✓, 😀").is_none());
        assert_eq!(String::from_utf8_lossy(&View::folded("іgnоrе").expect("a view").bytes), "ignore");
        assert!(View::folded("привет").is_none(), "a word of its own script");

        let escaped = br"a\u0041\u004bIA\/\n%41";
        let view = View::unescaped(escaped).expect("a view");
        assert_eq!(view.bytes, b"aAKIA/\n%41");
        let twice = View::percent_decoded(&view.bytes).expect("a view").of(&view);
        assert_eq!(twice.bytes, b"aAKIA/\nA");
        let span = twice.source(&(1..5));
        assert_eq!(&escaped[span], br"\u0041\u004bIA");
        let last = twice.bytes.len() - 1;
        assert_eq!(&escaped[twice.source(&(last..last + 1))], b"%41");
    }

    #[test]
    fn long_runs_are_decoded_from_every_beginning() {
        use ::base64::Engine as _;
        use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let secret = "something that is not to be seen";
        let broken = STANDARD.encode(secret).as_bytes().chunks(11).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\r\n");
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in [STANDARD.encode(secret), format!("ab{}", URL_SAFE_NO_PAD.encode(secret)), broken, hex.clone(), format!("f{hex}")] {
            let mut found = false;
            decoded(format!("<{text}>").as_bytes(), |decoded| {
                found |= memchr::memmem::find(&decoded.bytes, secret.as_bytes()).is_some();
                assert_eq!(decoded.span, 1..text.len() + 1);
            });
            assert!(found, "{text}");
        }
    }

    #[test]
    fn what_cannot_hide_is_told_at_once() {
        for plain in [r#"{"a":"plain words, with \"quotes\" and 12 numbers: 2026-11-27"}"#, r#"{"total":1234567890}"#, "[]"] {
            assert!(!may_hide(plain.as_bytes()), "{plain}");
        }
        let run = format!("{{\"a\":\"{}\"}}", "Zm9vYmFy".repeat(5));
        for other in [r#"{"a":"\u0041"}"#, r#"{"a":"%41KIA"}"#, r#"{"a":4111111111111111}"#, "{\"a\":\"4111 1111 1111 1111\"}", &run] {
            assert!(may_hide(other.as_bytes()), "{other}");
        }
    }
}
