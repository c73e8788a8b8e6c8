//! Columns read exhaustively: what cannot be is an error that names table, column and row. Knows no SQL.

use crate::db::Row;
use crate::error::{Refused, StoreError};
use doorward_core::id::UserId;
use doorward_core::time::Timestamp;

/// One row of a known table with its printable id, for errors.
pub(crate) struct Reading<'r> {
    pub(crate) row: &'r Row,
    pub(crate) table: &'static str,
    pub(crate) id: String,
}

// === impl Reading ===

impl<'r> Reading<'r> {
    /// A row whose id is a text column.
    pub(crate) fn named(row: &'r Row, table: &'static str, column: &'static str) -> Result<Self, StoreError> {
        let id = row.column::<String>(column)?;
        Ok(Self { row, table, id })
    }

    /// A row whose id is a digest.
    pub(crate) fn digested(row: &'r Row, table: &'static str, digest: &[u8]) -> Self {
        Self { row, table, id: short(digest) }
    }

    /// The error for an impossible `column`.
    pub(crate) fn broken(&self, column: &'static str) -> StoreError {
        StoreError::Integrity { table: self.table, column, id: self.id.clone() }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.row.column(column).map_err(|error| self.named_column(column, error))
    }

    pub(crate) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.row.column(column).map_err(|error| self.named_column(column, error))
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.row.column(column).map_err(|error| self.named_column(column, error))
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.row.column(column).map_err(|error| self.named_column(column, error))
    }

    pub(crate) fn optional_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.row.column(column).map_err(|error| self.named_column(column, error))
    }

    /// Exactly 32 bytes.
    pub(crate) fn digest(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        self.bytes(column)?.as_slice().try_into().map_err(|_| self.broken(column))
    }

    /// Exactly 32 bytes, or nothing.
    pub(crate) fn optional_digest(&self, column: &'static str) -> Result<Option<[u8; 32]>, StoreError> {
        self.optional_bytes(column)?.map(|bytes| bytes.as_slice().try_into().map_err(|_| self.broken(column))).transpose()
    }

    pub(crate) fn instant(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        instant(self.int(column)?).ok_or_else(|| self.broken(column))
    }

    pub(crate) fn optional_instant(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let value: Option<i64> = self.row.column(column).map_err(|error| self.named_column(column, error))?;
        value.map(|ms| instant(ms).ok_or_else(|| self.broken(column))).transpose()
    }

    /// A text that a parser takes.
    pub(crate) fn parsed<T, E>(&self, column: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, StoreError> {
        parse(&self.text(column)?).map_err(|_| self.broken(column))
    }

    /// A JSON array of texts, each taken by a parser.
    pub(crate) fn list<T, E, C: FromIterator<T>>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<C, StoreError> {
        let texts: Vec<String> = serde_json::from_str(&self.text(column)?).map_err(|_| self.broken(column))?;
        texts.iter().map(|text| parse(text).map_err(|_| self.broken(column))).collect()
    }

    /// The owner in `issuer` and `subject`.
    pub(crate) fn user(&self) -> Result<UserId, StoreError> {
        UserId::new(&self.text("issuer")?, &self.text("subject")?).map_err(|_| self.broken("subject"))
    }

    /// A column of another type is a damaged row; a lost connection is not.
    fn named_column(&self, column: &'static str, error: StoreError) -> StoreError {
        match error {
            StoreError::Rejected { .. } => self.broken(column),
            other => other,
        }
    }
}

/// The first 8 bytes in hex: enough to find a row.
pub(crate) fn short(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds for a column. A time after the year 292 million is refused.
pub(crate) fn millis(at: Timestamp) -> Result<i64, StoreError> {
    i64::try_from(at.as_millis()).map_err(|_| StoreError::Refused(Refused::Unfit("time out of range")))
}

/// A column that holds a time; negative ones do not exist.
fn instant(ms: i64) -> Option<Timestamp> {
    u64::try_from(ms).ok().map(Timestamp::from_millis)
}

/// A JSON array of texts.
pub(crate) fn json_list<'a>(texts: impl Iterator<Item = &'a str>) -> Result<String, StoreError> {
    serde_json::to_string(&texts.collect::<Vec<_>>()).map_err(|_| StoreError::Refused(Refused::Unfit("list")))
}

/// A free text for people: 1 to 255 bytes without control characters.
pub(crate) fn plain<'a>(text: &'a str, field: &'static str) -> Result<&'a str, StoreError> {
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return Err(StoreError::Refused(Refused::Unfit(field)));
    }
    Ok(text)
}

/// Exactly zero or one row changed; two are damage.
pub(crate) fn at_most_one(rows: u64, table: &'static str) -> Result<bool, StoreError> {
    match rows {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(StoreError::Integrity { table, column: "primary key", id: String::from("several") }),
    }
}
