//! Migrations: embedded, append-only, all or nothing, in one transaction that other programs wait for. Knows no record.

use crate::db::{Db, Tx, Value};
use crate::error::StoreError;
use doorward_core::secret::sha256;

/// Number and text of every migration, in order. A released one is never edited: its digest is in every database.
pub(crate) const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001_first.sql")),
    (2, include_str!("../migrations/0002_budgets.sql")),
    (3, include_str!("../migrations/0003_tasks_that_are_over.sql")),
    (4, include_str!("../migrations/0004_findings_that_were_seen.sql")),
    (5, include_str!("../migrations/0005_front_office.sql")),
    (6, include_str!("../migrations/0006_client_documents.sql")),
    (7, include_str!("../migrations/0007_what_was_seen.sql")),
    (8, include_str!("../migrations/0008_what_was_offered.sql")),
    (9, include_str!("../migrations/0009_addresses_of_people.sql")),
    (10, include_str!("../migrations/0010_how_tasks_ended.sql")),
    (11, include_str!("../migrations/0011_devices.sql")),
    (12, include_str!("../migrations/0012_keys_of_tokens.sql")),
    (13, include_str!("../migrations/0013_blocked_clients.sql")),
    (14, include_str!("../migrations/0014_exchanged_tokens.sql")),
    (15, include_str!("../migrations/0015_attempts.sql")),
    (16, include_str!("../migrations/0016_sessions_at_providers.sql")),
    (17, include_str!("../migrations/0017_connections.sql")),
];

/// Number of the lock that keeps two programs from migrating at once.
const LOCK: i64 = 0x646f_6f72_7761_7264;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_history (version {int} NOT NULL PRIMARY KEY, digest {bytes} NOT NULL) {strict}";

/// Brings the schema to this release and leaves the transaction open for what belongs to the same step.
pub(crate) async fn migrated(db: &Db) -> Result<Tx, StoreError> {
    let dialect = db.dialect();
    let mut tx = db.begin().await?;
    tx.lock(LOCK).await?;
    tx.script(dialect.render(HISTORY)).await?;
    let mut known = MIGRATIONS.iter();
    for row in tx.rows("SELECT version, digest FROM schema_history ORDER BY version", &[]).await? {
        let (version, digest) = (row.column::<i64>("version")?, row.column::<Vec<u8>>("digest")?);
        match known.next() {
            Some((number, text)) if *number == version && sha256(text.as_bytes()).as_slice() == digest.as_slice() => {}
            _ => return Err(StoreError::Schema { version }),
        }
    }
    for (number, text) in known {
        tx.script(dialect.render(text)).await?;
        let digest = sha256(text.as_bytes());
        tx.execute("INSERT INTO schema_history (version, digest) VALUES ($1, $2)", &[Value::int(*number), Value::bytes(&digest)]).await?;
    }
    Ok(tx)
}
