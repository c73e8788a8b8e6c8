//! Which records are wanted, as the command line is told.

use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use doorward_core::audit::wanted::{self, Filter, Wanted};
use doorward_core::config::units;
use doorward_core::time::Timestamp;

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

/// The conditions, ready to be asked.
///
/// # Errors
/// [`Failure`] for a time that is none.
pub(super) fn ready(conditions: Conditions, now: Timestamp) -> Result<Filter, Failure> {
    let Conditions { user, client, server, tool, decision, since, until } = conditions;
    let since = since.map(|text| time("--since", &text, now)).transpose()?;
    let until = until.map(|text| time("--until", &text, now)).transpose()?;
    let decision = decision.map(|decision| match decision {
        Decision::Permit => wanted::Decision::Permit,
        Decision::Deny => wanted::Decision::Deny,
        Decision::Refuse => wanted::Decision::Refuse,
    });
    Ok(Filter::new(Wanted { user, client, server, tool, decision, since, until }))
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
}
