//! The way of one client from nothing to its first call, as it was seen here: its steps, how far it came, and where it stands.
//!
//! A note for people (product 5.5, "Connection attempts"; P23). It proves nothing, no decision reads it, and it never stands in for the
//! record: writing it may fail. Must not know the store or pages. What a stop means and what helps is in [`advice`].

pub mod advice;

use crate::id::{ClientId, UserId};
use crate::secret::sha256;
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// Names an attempt: 12 bytes, printed as 24 lowercase hexadecimal digits. It opens nothing: whose it is, is asked each time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId([u8; 12]);

/// A step, in the order of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Somebody at the address asked without a token, and was told where the metadata is (401).
    Challenge,
    /// Somebody at the address read metadata.
    Metadata,
    /// The client registered itself (RFC 7591).
    Registration,
    /// Its document was read, or a copy of it stood in.
    Document,
    /// It was known already: of the configuration, or registered before.
    Known,
    /// It sent a browser to the authorization endpoint, or asked for a device.
    Request,
    /// Somebody is signed in.
    SignIn,
    /// The person was asked.
    Question,
    /// The person decided.
    Decision,
    /// An earlier yes counted.
    Remembered,
    /// The code was sent to the client; for a device: it may fetch its tokens.
    Answer,
    /// Tokens were given.
    Token,
    /// A request with the token was let in.
    Call,
}

/// One step: when, and why it was refused if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    step: Step,
    at: Timestamp,
    reason: Option<String>,
}

/// All steps of an attempt, in the order in which they were heard of. The same step with the same outcome is kept once, the first time;
/// at most [`STEPS`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Way(Vec<Mark>);

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// A call was let in, and nothing was refused since.
    Arrived,
    /// The person said no.
    Declined,
    /// This step is to come, and it is early yet.
    Waiting(Step),
    /// This step was refused, with the reason, or did not come in the time that it takes.
    Stopped(Step, Option<&'a str>),
}

/// The seven places of the way that are shown, in their order (product 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Metadata was asked for.
    Discovery,
    /// The client is known here.
    Registration,
    /// A person's browser came.
    Request,
    /// The person was asked.
    Consent,
    /// The code was sent.
    Code,
    /// Tokens were given.
    Token,
    /// The first call was let in.
    Call,
}

/// Steps that are kept of one attempt.
pub const STEPS: usize = 32;
/// Longest reason, in bytes.
const REASON: usize = 40;
/// Every step with the word that stands for it in the store and in JSON; a word is never changed.
const WORDS: [(Step, &str); 13] = [
    (Step::Challenge, "challenge"),
    (Step::Metadata, "metadata"),
    (Step::Registration, "registration"),
    (Step::Document, "document"),
    (Step::Known, "known"),
    (Step::Request, "request"),
    (Step::SignIn, "sign_in"),
    (Step::Question, "question"),
    (Step::Decision, "decision"),
    (Step::Remembered, "remembered"),
    (Step::Answer, "answer"),
    (Step::Token, "token"),
    (Step::Call, "call"),
];

// === impl AttemptId ===

impl AttemptId {
    /// Of an authorization request, by the random id of its ticket: for each person to whom it was shown another one, and one for nobody.
    #[must_use]
    pub fn of_request(ticket: &[u8; 16], user: Option<&UserId>) -> Self {
        let (issuer, subject) = user.map_or(("", ""), |user| (user.issuer(), user.subject()));
        Self::of("request", &[ticket, issuer.as_bytes(), subject.as_bytes()])
    }

    /// Of the registration of a client, until it asks for the first time.
    #[must_use]
    pub fn of_registration(client: &ClientId) -> Self {
        Self::of("registration", &[client.as_str().as_bytes()])
    }

    /// Of what was refused at the token endpoint to somebody who said that they are this client.
    #[must_use]
    pub fn of_claim(client: &ClientId) -> Self {
        Self::of("claim", &[client.as_str().as_bytes()])
    }

    /// Of what somebody without a client id tried from an address.
    #[must_use]
    pub fn of_address(address: &str) -> Self {
        Self::of("address", &[address.as_bytes()])
    }

    /// From its printed form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if text.len() != 24 {
            return None;
        }
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        bytes?.try_into().ok().map(Self)
    }

    /// Each part with its length before it, so that no two lists are the same bytes.
    fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut text = format!("doorward attempt: {kind}").into_bytes();
        for part in parts {
            text.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend(*part);
        }
        let mut id = [0; 12];
        id.iter_mut().zip(sha256(&text)).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttemptId({self})")
    }
}

// === impl Step ===

impl Step {
    /// Its word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        WORDS.iter().find(|(step, _)| *step == self).map_or("", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(step, _)| *step)
    }

    /// Whether nobody can say for certain that it was this client: it is known by an address alone.
    #[must_use]
    pub const fn is_guess(self) -> bool {
        matches!(self, Self::Challenge | Self::Metadata)
    }

    /// That it was done, for people.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Challenge => "Somebody at the same address asked without a token, and was told where to sign in",
            Self::Metadata => "Somebody at the same address read how to sign in",
            Self::Registration => "The application registered itself",
            Self::Document => "Its document was read, or a copy of it",
            Self::Known => "The application was known here",
            Self::Request => "It asked for access",
            Self::SignIn => "The person was signed in",
            Self::Question => "The question was shown",
            Self::Decision => "It was allowed",
            Self::Remembered => "It was allowed before, and that counted",
            Self::Answer => "The answer was sent to it",
            Self::Token => "It fetched its tokens",
            Self::Call => "Its first call was let in",
        }
    }

    /// That it was refused, for people.
    #[must_use]
    pub const fn refused(self) -> &'static str {
        match self {
            Self::Registration => "It could not register",
            Self::Request => "Its request was refused",
            Self::SignIn => "Whoever signed in may not come in",
            Self::Decision => "It was declined",
            Self::Token => "It got no tokens",
            Self::Call => "A call was refused",
            _ => "It was refused",
        }
    }

    /// That it has not come, for people.
    #[must_use]
    pub const fn missing(self) -> &'static str {
        match self {
            Self::Challenge | Self::Metadata => "It has not asked",
            Self::Registration | Self::Document | Self::Known => "It has not registered",
            Self::Request => "It has not asked for access",
            Self::SignIn => "Nobody has signed in",
            Self::Question => "The question was not shown",
            Self::Decision | Self::Remembered => "Nobody has decided",
            Self::Answer => "The answer was not sent",
            Self::Token => "It has not fetched its tokens",
            Self::Call => "It has not made a call",
        }
    }

    /// What comes next after it, if it is not the last one.
    const fn next(self) -> Option<Self> {
        match self {
            Self::Challenge | Self::Metadata => Some(Self::Registration),
            Self::Registration | Self::Document | Self::Known => Some(Self::Request),
            Self::Request => Some(Self::SignIn),
            Self::SignIn => Some(Self::Question),
            Self::Question => Some(Self::Decision),
            Self::Decision | Self::Remembered => Some(Self::Answer),
            Self::Answer => Some(Self::Token),
            Self::Token => Some(Self::Call),
            Self::Call => None,
        }
    }

    /// How long this step may take before something is likely to be wrong. A person has ten minutes, as long as their request counts; a
    /// program has one and a half, more than a code lives.
    const fn patience(self) -> Duration {
        match self {
            Self::SignIn | Self::Question | Self::Decision => Duration::from_secs(600),
            _ => Duration::from_secs(90),
        }
    }

    /// The place of the way that is behind whoever has done it.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Challenge | Self::Metadata => Stage::Discovery,
            Self::Registration | Self::Document | Self::Known => Stage::Registration,
            Self::Request | Self::SignIn => Stage::Request,
            Self::Question | Self::Decision | Self::Remembered => Stage::Consent,
            Self::Answer => Stage::Code,
            Self::Token => Stage::Token,
            Self::Call => Stage::Call,
        }
    }
}

impl Stage {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Registration => "registration",
            Self::Request => "request",
            Self::Consent => "consent",
            Self::Code => "code",
            Self::Token => "token",
            Self::Call => "first call",
        }
    }
}

// === impl Standing ===

impl Standing<'_> {
    /// One word: `connected`, `declined`, `waiting`, `stopped`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Arrived => "connected",
            Self::Declined => "declined",
            Self::Waiting(_) => "waiting",
            Self::Stopped(..) => "stopped",
        }
    }

    /// A sentence without its full stop.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Arrived => Step::Call.done(),
            Self::Declined => Step::Decision.refused(),
            Self::Waiting(step) | Self::Stopped(step, None) => step.missing(),
            Self::Stopped(step, Some(_)) => step.refused(),
        }
    }
}

// === impl Mark ===

impl Mark {
    /// It was done.
    #[must_use]
    pub const fn done(step: Step, at: Timestamp) -> Self {
        Self { step, at, reason: None }
    }

    /// It was refused. A reason is one of our words (`docs/http-status.md`, `docs/attempts.md`): what is none is kept as `other`.
    #[must_use]
    pub fn refused(step: Step, at: Timestamp, reason: &str) -> Self {
        let reason = if is_word(reason) { reason } else { "other" };
        Self { step, at, reason: Some(reason.to_owned()) }
    }

    /// Which step.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Why it was refused; `None` if it was not.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

fn is_word(text: &str) -> bool {
    (1..=REASON).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

// === impl Way ===

impl Way {
    /// Adds a step. False if it is there with this outcome, or there are [`STEPS`] already.
    pub fn add(&mut self, mark: Mark) -> bool {
        let is_new = !self.0.iter().any(|known| known.step == mark.step && known.reason == mark.reason);
        let fits = is_new && self.0.len() < STEPS;
        if fits {
            // By time: what a replica heard of later may have been before.
            let place = self.0.iter().rposition(|known| known.at <= mark.at).map_or(0, |before| before + 1);
            self.0.insert(place, mark);
        }
        fits
    }

    /// The steps, oldest first.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.0
    }

    /// From the store: a line for each step, `milliseconds word [reason]`. `None` for what was never written by [`Display`](fmt::Display).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut way = Self::default();
        for line in text.lines() {
            let mut parts = line.split(' ');
            let at = Timestamp::from_millis(parts.next()?.parse().ok()?);
            let step = Step::parse(parts.next()?)?;
            let reason = parts.next();
            if parts.next().is_some() || way.0.len() >= STEPS || reason.is_some_and(|reason| !is_word(reason)) {
                return None;
            }
            way.0.push(Mark { step, at, reason: reason.map(str::to_owned) });
        }
        Some(way)
    }

    /// The last step that was done, by the order of the way.
    #[must_use]
    pub fn furthest(&self) -> Option<Step> {
        self.0.iter().filter(|mark| mark.reason.is_none()).map(|mark| mark.step).max()
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing<'_> {
        let Some(last) = self.0.last() else { return Standing::Waiting(Step::Challenge) };
        if let Some(reason) = &last.reason {
            let is_no = last.step == Step::Decision;
            // It works; what it may not do is no step of the way.
            if last.step == Step::Call && self.0.iter().any(|mark| mark.step == Step::Call && mark.reason.is_none()) {
                return Standing::Arrived;
            }
            return if is_no { Standing::Declined } else { Standing::Stopped(last.step, Some(reason)) };
        }
        let Some(next) = self.furthest().and_then(Step::next) else { return Standing::Arrived };
        if now.since(last.at) < next.patience() { Standing::Waiting(next) } else { Standing::Stopped(next, None) }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mark in &self.0 {
            write!(f, "{} {}", mark.at.as_millis(), mark.step.as_str())?;
            if let Some(reason) = &mark.reason {
                write!(f, " {reason}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn way(steps: &[(Step, u64, Option<&str>)]) -> Way {
        let mut way = Way::default();
        for (step, seconds, reason) in steps {
            let mark = reason.map_or_else(|| Mark::done(*step, at(*seconds)), |reason| Mark::refused(*step, at(*seconds), reason));
            assert!(way.add(mark));
        }
        way
    }

    #[test]
    fn a_way_says_what_is_missing_and_since_when() {
        let registered = way(&[(Step::Registration, 10, None)]);
        assert_eq!(registered.standing(at(11)), Standing::Waiting(Step::Request));
        assert_eq!(registered.standing(at(200)), Standing::Stopped(Step::Request, None));
        let asked = way(&[(Step::Known, 1, None), (Step::Request, 1, None), (Step::SignIn, 2, None), (Step::Question, 2, None)]);
        assert_eq!(asked.standing(at(300)), Standing::Waiting(Step::Decision), "a person may read");
        assert_eq!(asked.standing(at(900)), Standing::Stopped(Step::Decision, None));
        let sent = way(&[(Step::Decision, 5, None), (Step::Answer, 5, None)]);
        assert_eq!(sent.standing(at(100)), Standing::Stopped(Step::Token, None));
        let no = way(&[(Step::Question, 5, None), (Step::Decision, 6, Some("consent_declined"))]);
        assert_eq!(no.standing(at(7)), Standing::Declined);
    }

    #[test]
    fn what_was_refused_last_is_where_it_stands_until_it_is_done() {
        let mut way = way(&[(Step::Answer, 1, None), (Step::Token, 2, Some("foreign_grant"))]);
        assert_eq!(way.standing(at(3)), Standing::Stopped(Step::Token, Some("foreign_grant")));
        assert!(way.add(Mark::done(Step::Token, at(4))));
        assert_eq!(way.standing(at(5)), Standing::Waiting(Step::Call));
        assert!(way.add(Mark::done(Step::Call, at(6))));
        assert_eq!(way.standing(at(9_999)), Standing::Arrived);
        assert!(way.add(Mark::refused(Step::Call, at(7), "not_granted")));
        assert_eq!(way.standing(at(8)), Standing::Arrived, "a refusal later on is no end of the way");
    }

    #[test]
    fn repeats_and_floods_take_no_room_and_nothing_but_words_is_kept() {
        let mut way = Way::default();
        assert!(way.add(Mark::refused(Step::Token, at(1), "unknown_grant")));
        assert!(!way.add(Mark::refused(Step::Token, at(2), "unknown_grant")));
        for reason in ["two words", "line\nbreak", "<b>", "", "Upper", &"x".repeat(41)] {
            assert_eq!(Mark::refused(Step::Token, at(1), reason).reason(), Some("other"), "{reason:?}");
        }
        for n in 0..100_u64 {
            way.add(Mark::refused(Step::Call, at(n), &format!("r{n}")));
        }
        assert_eq!(way.marks().len(), STEPS);
        assert!(way.to_string().len() < STEPS * 80);
        assert_eq!(Way::parse(&way.to_string()), Some(way));
    }

    #[test]
    fn only_what_was_written_is_read() {
        let text = "1000 challenge\n2000 registration\n3000 token foreign_grant\n";
        assert_eq!(Way::parse(text).map(|way| way.to_string()).as_deref(), Some(text));
        assert_eq!(Way::parse(""), Some(Way::default()));
        for bad in ["x token", "1 nothing", "1", "1 token <b>", "1 token a b", "-1 token", "1  token"] {
            assert_eq!(Way::parse(bad), None, "{bad:?}");
        }
        for (step, word) in WORDS {
            assert_eq!((step.as_str(), Step::parse(word)), (word, Some(step)));
        }
    }

    #[test]
    fn steps_stand_by_their_time() {
        let way = way(&[(Step::Request, 20, None), (Step::Registration, 10, None), (Step::SignIn, 20, None)]);
        let steps: Vec<Step> = way.marks().iter().map(Mark::step).collect();
        assert_eq!(steps, [Step::Registration, Step::Request, Step::SignIn]);
    }

    #[test]
    fn ids_are_of_one_thing_and_come_back_from_their_text() {
        let (ann, bob) = (UserId::new("a", "bc").expect("user"), UserId::new("ab", "c").expect("user"));
        let client = ClientId::new("c").expect("client");
        let ids = [
            AttemptId::of_request(&[1; 16], None),
            AttemptId::of_request(&[1; 16], Some(&ann)),
            AttemptId::of_request(&[1; 16], Some(&bob)),
            AttemptId::of_request(&[2; 16], Some(&ann)),
            AttemptId::of_registration(&client),
            AttemptId::of_claim(&client),
            AttemptId::of_address("c"),
        ];
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids.iter().skip(n + 1).any(|other| other == id));
            assert_eq!(AttemptId::parse(&id.to_string()), Some(*id));
        }
        for bad in ["", "abc", &"A".repeat(24), &"g".repeat(24), &"0".repeat(25), "../../../../../../../../"] {
            assert_eq!(AttemptId::parse(bad), None, "{bad}");
        }
    }
}
