//! The records of Doorward in SQLite or PostgreSQL. The only crate with SQL; callers never learn which database runs.
//!
//! [`Store`] speaks the domain: keys, users, sessions, tasks, approvals, sealed values, single use, budgets and the revocation epoch.
//! It reads no clock and no random source of its own and decides nothing about a caller: facts go to the makers of the core.
//! Only digests of tokens and session ids are kept; what must be read back is sealed in its row (security invariants I3, I8, I10).

mod approvals;
mod attempts;
mod binding;
mod blocks;
mod browsers;
mod budgets;
mod clock;
mod connect;
mod connections;
mod credentials;
mod db;
mod deeds;
mod devices;
mod dialect;
mod documents;
mod endings;
mod epoch;
mod error;
mod exchanged;
mod granted;
mod grants;
mod known;
mod logout;
mod marker;
mod once;
mod rows;
mod schema;
mod seal;
mod seen;
mod sessions;
mod sweep;
mod tasks;
mod tokens;
mod users;
mod vault;

pub use approvals::Pin;
pub use attempts::{Attempt, HeardOf, Named, NewAttempt};
pub use binding::Keys;
pub use blocks::Block;
pub use browsers::BrowserInfo;
pub use budgets::{Budget, Given};
pub use connect::StoreUrl;
pub use connections::{Connection, ConnectionInfo, ConnectionKind, ConnectionState, Farewell, NewConnection};
pub use credentials::{ApiKeyInfo, NewApiKey};
pub use deeds::{Deed, OnRecord};
pub use devices::{Asked, DeviceInfo, NewDevice, NoTokens, PresentedDevice};
pub use documents::ClientDocument;
pub use doorward_core::identity::caller::Standing;
pub use endings::{Ended, Ending, SessionInfo};
pub use error::{Cause, Refused, StoreError};
pub use granted::GrantInfo;
pub use grants::{Gives, NewGrant, NotRedeemed, Owner, PresentedCode, PresentedRefresh, Redeemed, Successors};
pub use known::KnownClient;
pub use logout::{CameFrom, SignedOut};
pub use seal::{NoKey, NoRandom, Random, Sealer};
pub use seen::SeenInfo;
pub use sessions::SessionCaps;
pub use sweep::Swept;
pub use tasks::{LIFE as TASK_LIFE, NewTask, StoredTask, TaskEnd, Word};
pub use users::UserInfo;

use crate::db::{Db, Row};
use crate::dialect::Dialect;
use doorward_core::secret::Secret;
use std::sync::Arc;

/// Every record of one installation. Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Db,
    sealer: Sealer,
    once: once::Gauges,
}

// === impl Store ===

impl Store {
    /// Connects, brings the schema to this release and checks that the data is sealed under this key.
    ///
    /// `pool` is the number of connections: readers on SQLite (next to one writer), all of them on PostgreSQL; 0 counts as 1.
    /// The password of PostgreSQL is given apart, since a URL with one would end in logs.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] over data of another key, [`StoreError::Schema`] over one of a newer release,
    /// [`StoreError::Setup`] for a URL or file that cannot be used, [`StoreError::Unavailable`] if nothing answers.
    pub async fn open(url: &StoreUrl, password: Option<Secret<String>>, pool: u32, seal: Sealer) -> Result<Self, StoreError> {
        let db = connect::connected(url, password, pool.max(1)).await?;
        let mut tx = schema::migrated(&db).await?;
        marker::check(&mut tx, &seal).await?;
        tx.commit().await?;
        let db = connect::with_readers(db, url, pool.max(1));
        Ok(Self { inner: Arc::new(Inner { db, sealer: seal, once: once::Gauges::default() }) })
    }

    /// Asks the database for a sign of life, reading only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without an answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db().row("SELECT 1 AS one", &[]).await.map(|_: Option<Row>| ())
    }

    /// Whether other processes that serve may change it: PostgreSQL has replicas, the file of SQLite has one gateway, whose lock on
    /// its record keeps a second one out.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.db().dialect() == Dialect::Postgres
    }

    /// Closes every connection of every clone and waits for it; later calls answer [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.db().close().await;
    }

    fn db(&self) -> &Db {
        &self.inner.db
    }

    fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }
}
