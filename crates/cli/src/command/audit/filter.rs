//! Which records are wanted. Every condition must hold; outcomes belong to the intents that they settle.

use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use doorward_core::audit::event::{Kind, Record};
use doorward_core::config::units;
use doorward_core::time::Timestamp;
use std::collections::HashSet;

/// Conditions.
#[derive(Debug, Clone, Default, Args)]
pub struct Conditions {
    /// Only this user: SUBJECT or ISSUER/SUBJECT
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only this client
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<String>,
    /// Only this server
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
    /// Only this tool: TOOL or SERVER__TOOL
    #[arg(long, value_name = "TOOL")]
    pub tool: Option<String>,
    /// Only this decision
    #[arg(long, value_name = "DECISION")]
    pub decision: Option<Decision>,
    /// From this time on: 2026-11-24, 2026-11-24T05:03:31Z, or an age such as 2h or 30d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// Permitted.
    Permit,
    /// Denied by the policy.
    Deny,
    /// Refused by anything else.
    Refuse,
}

/// Conditions, ready to be asked.
#[derive(Debug)]
pub(super) struct Filter {
    conditions: Conditions,
    since: Option<String>,
    until: Option<String>,
    wanted: HashSet<u64>,
}

impl Filter {
    pub(super) fn new(conditions: Conditions, now: Timestamp) -> Result<Self, Failure> {
        let since = conditions.since.as_deref().map(|text| time("--since", text, now)).transpose()?;
        let until = conditions.until.as_deref().map(|text| time("--until", text, now)).transpose()?;
        Ok(Self { conditions, since, until, wanted: HashSet::new() })
    }

    /// Whether a record is wanted. Asked in the order of the file.
    pub(super) fn wants(&mut self, record: &Record<'_>) -> bool {
        // All times of records have one form, so that their order is that of their texts.
        let in_time = self.since.as_deref().is_none_or(|since| *record.time >= *since)
            && self.until.as_deref().is_none_or(|until| *record.time < *until);
        if let Some(intent) = record.intent {
            return in_time && (self.wanted.contains(&intent) || !self.is_narrow());
        }
        let fits = self.fits(record);
        if fits && record.kind == Kind::Intent && self.is_narrow() {
            self.wanted.insert(record.seq);
        }
        in_time && fits
    }

    const fn is_narrow(&self) -> bool {
        let c = &self.conditions;
        c.user.is_some() || c.client.is_some() || c.server.is_some() || c.tool.is_some() || c.decision.is_some()
    }

    fn fits(&self, record: &Record<'_>) -> bool {
        let c = &self.conditions;
        let user = |wanted: &str| {
            record.user.as_ref().is_some_and(|user| {
                *user.sub == *wanted || wanted.split_once('/').is_some_and(|_| format!("{}/{}", user.iss, user.sub) == wanted)
            })
        };
        let tool = |wanted: &str| {
            let of_tool = record.method.as_deref() == Some("tools/call");
            let name = record.name.as_deref().unwrap_or_default();
            let server = record.server.as_deref().unwrap_or_default();
            of_tool && (name == wanted || wanted.split_once("__").is_some_and(|(s, t)| s == server && t == name))
        };
        let decision = |wanted: Decision| {
            let name = match wanted {
                Decision::Permit => "permit",
                Decision::Deny => "deny",
                Decision::Refuse => "refuse",
            };
            record.decision.as_deref() == Some(name)
        };
        c.user.as_deref().is_none_or(user)
            && c.client.as_deref().is_none_or(|wanted| record.client.as_deref() == Some(wanted))
            && c.server.as_deref().is_none_or(|wanted| record.server.as_deref() == Some(wanted))
            && c.tool.as_deref().is_none_or(tool)
            && c.decision.is_none_or(decision)
    }
}

/// A point in time as records write it.
fn time(option: &str, text: &str, now: Timestamp) -> Result<String, Failure> {
    let millis = |ms: i64| u64::try_from(ms).ok().map(|ms| Timestamp::from_millis(ms).to_string());
    let age = units::duration(text).map(|age| {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_sub(age)).to_string()
    });
    let instant = || text.parse::<jiff::Timestamp>().ok().and_then(|instant| millis(instant.as_millisecond()));
    let day = || {
        let day = text.parse::<jiff::civil::Date>().ok()?;
        millis(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
    };
    age.or_else(day_or(text, day)).or_else(instant).ok_or_else(|| {
        let help = "write 2026-11-24 (midnight UTC), 2026-11-24T05:03:31Z, or an age such as 2h or 30d";
        Failure::new(Exit::Usage, "audit.time", format!("{option} is not a time: {text}"), help)
    })
}

/// The same, as an instant.
///
/// # Errors
/// [`Failure`] for a text that is no time.
pub(super) fn instant(option: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let written = time(option, text, now)?;
    let millis = written.parse::<jiff::Timestamp>().ok().and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
    Ok(Timestamp::from_millis(millis.unwrap_or(0)))
}

/// A date is ten characters; longer texts are instants and must not lose their time of day.
fn day_or<'a>(text: &'a str, day: impl Fn() -> Option<String> + 'a) -> impl FnOnce() -> Option<String> + 'a {
    move || if text.len() == 10 { day() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_795_496_611_007)
    }

    #[test]
    fn times_become_what_records_write() {
        let read = |text: &str| time("--since", text, now()).ok();
        assert_eq!(read("2026-11-24").as_deref(), Some("2026-11-24T00:00:00.000Z"));
        assert_eq!(read("2026-11-24T05:03:31Z").as_deref(), Some("2026-11-24T05:03:31.000Z"));
        assert_eq!(read("2026-11-24T06:03:31+01:00").as_deref(), Some("2026-11-24T05:03:31.000Z"));
        assert_eq!(read("1h").as_deref(), Some("2026-11-24T04:03:31.007Z"));
        for bad in ["", "yesterday", "2026-13-01", "24.11.2026", "5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn outcomes_follow_their_intents() {
        let mut filter = Filter::new(Conditions { tool: Some("github__merge".into()), ..Conditions::default() }, now()).expect("valid");
        let mut intent = Record::new(Kind::Intent);
        (intent.seq, intent.server) = (4, Some(Cow::Borrowed("github")));
        (intent.method, intent.name) = (Some(Cow::Borrowed("tools/call")), Some(Cow::Borrowed("merge")));
        assert!(filter.wants(&intent));
        let mut outcome = Record::new(Kind::Outcome);
        outcome.intent = Some(4);
        assert!(filter.wants(&outcome));
        outcome.intent = Some(5);
        assert!(!filter.wants(&outcome));
        intent.server = Some(Cow::Borrowed("gitlab"));
        assert!(!filter.wants(&intent));
    }
}
