//! The one sealed row that tells whether this key is the key of the data (VLT-03). Knows no other record.

use crate::db::{Tx, Value};
use crate::error::StoreError;
use crate::seal::{Place, Sealer};

const ID: &str = "key";
const TEXT: &[u8] = b"doorward";

/// Seals the marker in a new store, opens it in an existing one.
///
/// A store with sealed rows and no marker was tampered with or half restored: no key is right for it.
pub(crate) async fn check(tx: &mut Tx, sealer: &Sealer) -> Result<(), StoreError> {
    let place = Place { table: "marker", column: "sealed", row: &[ID.as_bytes()], owner: ("", ""), version: 1 };
    match tx.row("SELECT sealed FROM marker WHERE id = $1", &[Value::text(ID)]).await? {
        Some(row) => match sealer.open(&place, &row.column::<Vec<u8>>("sealed")?) {
            Ok(text) if text.expose() == TEXT => Ok(()),
            _ => Err(StoreError::WrongKey),
        },
        None => {
            let sealed_rows = "SELECT 1 AS one FROM vault UNION ALL SELECT 1 FROM tasks \
                               UNION ALL SELECT 1 FROM sessions WHERE upstream_id IS NOT NULL LIMIT 1";
            if tx.row(sealed_rows, &[]).await?.is_some() {
                return Err(StoreError::WrongKey);
            }
            let sealed = sealer.seal(&place, TEXT)?;
            tx.execute("INSERT INTO marker (id, sealed) VALUES ($1, $2)", &[Value::text(ID), Value::bytes(&sealed)]).await.map(|_| ())
        }
    }
}
