//! All that differs between SQLite and PostgreSQL: column types, locks, the clock and error codes. Knows no table.
//!
//! Everything else is one SQL text: `$1` parameters, `ON CONFLICT`, `RETURNING` and guarded updates mean the same in both.

/// Which database runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

// === impl Dialect ===

impl Dialect {
    /// A migration with the types of this database.
    pub(crate) fn render(self, text: &str) -> String {
        let (int, bytes, strict) = match self {
            Self::Sqlite => ("INTEGER", "BLOB", "STRICT"),
            Self::Postgres => ("BIGINT", "BYTEA", ""),
        };
        text.replace("{int}", int).replace("{bytes}", bytes).replace("{strict}", strict)
    }

    /// A lock until the end of the transaction, where writers do not exclude one another anyway.
    ///
    /// SQLite has one writer, and `BEGIN IMMEDIATE` made the transaction that one.
    pub(crate) const fn lock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock($1)"),
        }
    }

    /// The clock of the database in milliseconds, where it may be that of another machine.
    pub(crate) const fn clock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now"),
        }
    }
}

/// True for codes of conditions that pass: busy, full, shut down, connection lost, lock not granted, deadlock.
///
/// SQLite: primary result codes in the low byte. PostgreSQL: classes of appendix A, always five characters.
pub(crate) fn is_passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 && code.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()) {
        let class = code.get(..2).unwrap_or_default();
        return matches!(class, "08" | "40" | "53" | "55" | "57" | "58") || code == "25006";
    }
    // 5 busy, 6 locked, 7 memory, 8 read-only, 9 interrupted, 10 I/O, 13 full, 14 cannot open, 15 protocol
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_conditions_are_told_from_lasting_ones() {
        for passing in ["5", "261", "13", "778", "40P01", "57P01", "53100", "08006", "55P03", "25006"] {
            assert!(is_passing(Some(passing)), "{passing}");
        }
        for lasting in ["1", "11", "26", "19", "42P01", "23514", "22021"] {
            assert!(!is_passing(Some(lasting)), "{lasting}");
        }
        assert!(!is_passing(None));
    }

    #[test]
    fn no_placeholder_is_left_in_a_migration() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for (_, text) in crate::schema::MIGRATIONS {
                let comments_gone: String = text.lines().filter(|line| !line.starts_with("--")).collect();
                assert!(!dialect.render(&comments_gone).contains('{'));
            }
        }
    }
}
