//! What of a consent is bound to a key (RFC 9449): with which proof it goes on, and that each proof is used up with what it allows.

use crate::Store;
use crate::db::{Tx, Value};
use crate::epoch::raise;
use crate::error::StoreError;
use crate::exchanged::end_exchanged;
use crate::grants::NotRedeemed;
use crate::once;
use crate::rows::millis;
use doorward_core::id::CredentialId;
use doorward_core::oauth::dpop::{self, Proven, Thumbprint};
use doorward_core::time::Timestamp;

/// Which key a consent whose tokens are bound goes on with (RFC 9449 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The one that it has: nothing else shows who a public client is.
    Same,
    /// Any: the client has proved itself.
    Any,
}

// === impl Store ===

impl Store {
    /// Room for one more proof. Looked for before the transaction, in which only one row is written.
    pub(crate) async fn room_for(&self, proof: Option<&Proven>, now: Timestamp) -> Result<(), StoreError> {
        match proof {
            Some(_) => self.check_room(dpop::ONCE, now).await,
            None => Ok(()),
        }
    }
}

/// Uses up the proof inside the transaction that records what it allows. None is no use.
pub(crate) async fn used_up(tx: &mut Tx, proof: Option<&Proven>, now: Timestamp) -> Result<bool, StoreError> {
    match proof {
        Some(proof) => once::consumed(tx, dpop::ONCE, proof.once(), now).await,
        None => Ok(true),
    }
}

/// Whether what is bound, or is not, may go on with this proof. Bound once, it is never unbound; and what a public client was given unbound
/// is not bound later: whoever stole its refresh token would take it for themselves, and its owner could not show any more that it was used.
pub(crate) fn goes_on(bound: Option<Thumbprint>, proof: Option<&Proven>, keys: Keys) -> Result<(), NotRedeemed> {
    match (bound, proof.map(Proven::key)) {
        (Some(_), None) => Err(NotRedeemed::Unproven),
        (Some(bound), Some(key)) if bound != key && keys == Keys::Same => Err(NotRedeemed::OtherKey),
        (None, Some(_)) if keys == Keys::Same => Err(NotRedeemed::OtherKey),
        _ => Ok(()),
    }
}

/// Binds a consent to the key of a proof from here on. What it gave before without one counts no more: a consent has tokens of one kind, and
/// so has a session of it. The key that it has then.
pub(crate) async fn bind(
    tx: &mut Tx,
    id: &CredentialId,
    bound: Option<Thumbprint>,
    proof: Option<&Proven>,
    now: Timestamp,
) -> Result<Option<Thumbprint>, StoreError> {
    let Some(key) = proof.map(Proven::key).filter(|key| bound != Some(*key)) else { return Ok(bound) };
    tx.execute("UPDATE grants SET jkt = $2 WHERE id = $1", &[Value::text(id.as_str()), Value::bytes(key.as_bytes())]).await?;
    if bound.is_none() {
        let sql = "UPDATE access_tokens SET revoked = $2 WHERE id = $1 AND jkt IS NULL AND revoked IS NULL";
        if tx.execute(sql, &[Value::text(id.as_str()), Value::int(millis(now)?)]).await? > 0 {
            end_exchanged(tx, id, now).await?;
            raise(tx, "consent bound to a key", now).await?;
        }
    }
    Ok(Some(key))
}
