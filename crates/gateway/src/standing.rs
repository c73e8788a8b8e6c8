//! What a credential is worth here and now, beyond what it says of itself: the configuration and the administrator may have taken back what
//! they gave. One answer for everybody who asks.

use crate::Gateway;
use doorward_core::id::{ClientId, CredentialId, UserId};
use doorward_core::identity::attested;
use doorward_core::identity::caller::{Level, Record, Why};
use doorward_core::oauth::client;
use doorward_store::StoreError;
use std::collections::BTreeSet;

impl Gateway {
    /// Whether a credential that is good in itself counts here and now: as the configuration is, and what an administrator did beside it. Asked
    /// wherever something is done with one: at a server, for a stream that goes on, when it is exchanged, and when its client asks about it.
    ///
    /// The inner error says why not.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows, so nobody comes in.
    pub(crate) async fn still_counts(&self, record: &Record) -> Result<Result<(), Why>, StoreError> {
        // Keys have no client that could be blocked, and nothing that the configuration gives: they are revoked.
        if record.level == Level::StaticKey {
            return Ok(Ok(()));
        }
        if record.level == Level::OAuth && !self.is_bound_as_wanted(record) {
            return Ok(Err(Why::MustBeBound));
        }
        // What the configuration does not let in any more is over, whatever it holds.
        if !self.may_still(record) {
            return Ok(Err(Why::Revoked));
        }
        for client in record.via().iter().chain([&record.client]) {
            // `idp:<name>` means every client that this issuer names.
            let vouching = attested::vouching(client);
            if (vouching != *client && self.is_blocked(&vouching).await?) || self.is_blocked(client).await? {
                return Ok(Err(Why::ClientBlocked));
            }
            // A machine that acts for somebody else is stopped as one that acts for itself.
            if record.delegation.is_some() && self.is_disabled(client).await? {
                return Ok(Err(Why::UserDisabled));
            }
        }
        Ok(Ok(()))
    }

    /// Whether the command line blocked a client, or every client that its issuer names; asked now, since something is about to be given.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows.
    pub(crate) async fn is_blocked_now(&self, client: &ClientId) -> Result<bool, StoreError> {
        let vouching = attested::vouching(client);
        Ok((vouching != *client && self.store.is_client_blocked(&vouching).await?) || self.store.is_client_blocked(client).await?)
    }

    /// Whether a token is bound, or need not be. What came of one that has to be bound was exchanged before that was so.
    fn is_bound_as_wanted(&self, record: &Record) -> bool {
        (record.bound.is_some() || !self.proofs.must_bind(&record.client))
            && !record.via().iter().any(|client| self.proofs.must_bind(client))
    }

    /// Whether the configuration lets a client go on with what it was given: it is not blocked, and what it has without a person is still
    /// given to it.
    pub(crate) fn may_still(&self, record: &Record) -> bool {
        let hands: Vec<&ClientId> = record.via().iter().chain([&record.client]).collect();
        // Each was given it by the one before: the configuration may have taken back that it may exchange.
        let exchanges = hands.windows(2).all(|pair| matches!(pair, [from, to] if self.clients.may_exchange(to, from)));
        let blocked =
            |client: &&ClientId| self.clients.admission().blocks(client) || self.clients.admission().blocks(&attested::vouching(client));
        exchanges
            && !hands.iter().any(blocked)
            && self.is_still_given((&record.credential, &record.user), record.first_client(), &record.granted)
    }

    /// Whether the one that was given it without a person would be given as much now.
    fn is_still_given(&self, (credential, user): (&CredentialId, &UserId), client: &ClientId, granted: &BTreeSet<String>) -> bool {
        let own = user.issuer() != client::ISSUER || self.clients.still_own(client, granted);
        let attested = !client.as_str().starts_with(attested::PREFIX) || self.issuers.still_give(client, user, granted);
        let enterprise = !client::is_without_consent(credential)
            || user.issuer() == client::ISSUER
            || client.as_str().starts_with(attested::PREFIX)
            || self.enterprise_still_gives(client, user, granted);
        own && attested && enterprise
    }
}
