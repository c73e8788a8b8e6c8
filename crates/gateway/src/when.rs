//! Times in words, for pages. In UTC: a page has no script that could know where its reader lives.

use doorward_core::time::Timestamp;

/// How long ago something was.
#[must_use]
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    match now.since(then).as_secs() {
        0..60 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// In how long something will be.
#[must_use]
pub(crate) fn until(now: Timestamp, then: Timestamp) -> String {
    match then.since(now).as_secs() {
        0..60 => "in less than a minute".to_owned(),
        seconds => format!("in {}", span(seconds)),
    }
}

/// An instant to the second: `2026-11-03 10:02:11 UTC`.
#[must_use]
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..8).unwrap_or_default())
}

/// The day of an instant: `2026-11-03`.
#[must_use]
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        assert_eq!(ago(at(1000), at(990)), "just now");
        assert_eq!(ago(at(1000), at(2000)), "just now", "a clock that stepped back");
        assert_eq!(ago(at(1000), at(900)), "1 minute ago");
        assert_eq!(ago(at(10_000), at(1000)), "2 hours ago");
        assert_eq!(until(at(0), at(30 * 86_400)), "in 30 days");
        assert_eq!(until(at(0), at(5)), "in less than a minute");
        assert_eq!(moment(Timestamp::from_millis(1_795_496_611_007)), "2026-11-24 05:03:31 UTC");
        assert_eq!(day(Timestamp::from_millis(1_795_496_611_007)), "2026-11-24");
    }
}
