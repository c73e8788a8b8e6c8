//! Last good copies of client id metadata documents, one for each client id and a bounded number of them. Judges none.

use crate::Store;
use crate::db::Value;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, millis};
use doorward_core::id::ClientId;
use doorward_core::time::Timestamp;

/// What is known of the document of a client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDocument {
    /// Its text as it was read; `None` if its publisher has taken it away since.
    pub document: Option<Vec<u8>>,
    /// When it was read.
    pub checked: Timestamp,
    /// Until when it need not be read again.
    pub fresh: Timestamp,
}

/// Copies at most; the one that was read longest ago gives way.
const COPIES: i64 = 1_000;
/// Bytes of one at most.
const LONGEST: usize = 8 * 1024;

// === impl Store ===

impl Store {
    /// The copy for a client id.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] for a damaged row, [`StoreError::Unavailable`].
    pub async fn client_document(&self, id: &ClientId) -> Result<Option<ClientDocument>, StoreError> {
        let sql = "SELECT url, document, checked, fresh FROM client_documents WHERE url = $1";
        let Some(row) = self.db().row(sql, &[Value::text(id.as_str())]).await? else { return Ok(None) };
        let reading = Reading::named(&row, "client_documents", "url")?;
        let document = reading.optional_bytes("document")?;
        Ok(Some(ClientDocument { document, checked: reading.instant("checked")?, fresh: reading.instant("fresh")? }))
    }

    /// Keeps a copy in place of an earlier one, or notes that there is none any more. A later one stays.
    ///
    /// # Errors
    /// [`Refused::Unfit`] for a document of more than 8 KiB, [`StoreError::Unavailable`].
    pub async fn keep_client_document(&self, id: &ClientId, copy: &ClientDocument) -> Result<(), StoreError> {
        if copy.document.as_ref().is_some_and(|document| document.len() > LONGEST) {
            return Err(Refused::Unfit("document").into());
        }
        let document = copy.document.as_deref().map_or(Value::Bytes(None), Value::bytes);
        let values = [Value::text(id.as_str()), document, Value::int(millis(copy.checked)?), Value::int(millis(copy.fresh)?)];
        let sql = "INSERT INTO client_documents (url, document, checked, fresh) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (url) DO UPDATE SET document = excluded.document, checked = excluded.checked, fresh = excluded.fresh \
                   WHERE client_documents.checked <= excluded.checked";
        let mut tx = self.db().begin().await?;
        tx.execute(sql, &values).await?;
        let count: i64 = tx.row("SELECT COUNT(*) AS n FROM client_documents", &[]).await?.map_or(Ok(0), |row| row.column("n"))?;
        if count > COPIES {
            let oldest = "DELETE FROM client_documents WHERE url <> $1 AND url IN \
                          (SELECT url FROM client_documents WHERE url <> $1 ORDER BY checked, url LIMIT $2)";
            tx.execute(oldest, &[Value::text(id.as_str()), Value::int(count - COPIES)]).await?;
        }
        tx.commit().await
    }
}
