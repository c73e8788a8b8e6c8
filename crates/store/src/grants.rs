//! What people allowed, and the codes and tokens that come of it: one code, then one line of refresh tokens (RFC 6749, RFC 9700).
//!
//! Redeeming and recording what it gives are one transaction: a kill leaves both or neither. Which of those who try at once is
//! served is decided by one guarded statement. Digests only; nothing here can be turned back into a code or a token (I3, I10).

use crate::Store;
use crate::binding::{Keys, bind, goes_on, used_up};
use crate::credentials::Columns;
use crate::db::{Tx, Value};
use crate::devices;
use crate::epoch::raise;
use crate::error::{Refused, StoreError, damaged};
use crate::exchanged::end_exchanged;
use crate::granted::{GRANT, GrantInfo, info, written};
use crate::once;
use crate::rows::{Reading, at_most_one, json_list, millis, plain};
use crate::users::{hold, insert};
use doorward_core::id::{ClientId, CredentialId, ServerName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::oauth::device::DeviceName;
use doorward_core::oauth::dpop::{Proven, Thumbprint};
use doorward_core::oauth::standing::Offer;
use doorward_core::secret::{AccessToken, AuthorizationCode, RefreshToken, TokenHash};
use doorward_core::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// A consent to record, with what it gives.
#[derive(Debug)]
pub struct NewGrant<'a> {
    /// Its id, and that of every token that comes of it.
    pub id: &'a CredentialId,
    /// Who allowed it.
    pub user: &'a UserId,
    /// To whom.
    pub client: &'a ClientId,
    /// What the client was when it was allowed.
    pub fingerprint: &'a [u8; 32],
    /// As the page called it, 1 to 255 bytes without control characters.
    pub name: &'a str,
    /// How it was identified on the page: `published`, `approved` or `self-claimed`.
    pub identity: &'a str,
    /// Where the answer went, for people.
    pub target: &'a str,
    /// Of which server.
    pub server: &'a ServerName,
    /// What: `<server>:<class>` each, not empty.
    pub granted: &'a BTreeSet<String>,
    /// What was offered, by class: the tools of each. `None` if nobody was asked: it is no yes that a later one may stand on.
    pub offered: Option<&'a Offer>,
    /// Until when; `None` until it is removed.
    pub expires: Option<Timestamp>,
    /// How its client comes to the tokens.
    pub gives: Gives<'a>,
    /// The authorization request, decided once: its name and until when it must be remembered.
    pub once: (&'a [u8; 32], Timestamp),
}

/// How the client of a consent comes to its tokens.
#[derive(Debug)]
pub enum Gives<'a> {
    /// By a code, which the browser carries.
    Code {
        /// Its digest.
        code: &'a TokenHash<AuthorizationCode>,
        /// The redirect URI that the answer goes to.
        redirect_uri: &'a str,
        /// Whether the token request must name it.
        named: bool,
        /// The PKCE challenge.
        challenge: &'a str,
        /// End of the code.
        expires: Timestamp,
        /// The key that the code is for, where its request named one (RFC 9449 section 10).
        key: Option<Thumbprint>,
    },
    /// By the device code of this request, which it has already.
    Device(&'a DeviceName),
}

/// A code as it is presented.
#[derive(Debug)]
pub struct PresentedCode<'a> {
    /// Its digest.
    pub hash: &'a TokenHash<AuthorizationCode>,
    /// By which client.
    pub client: &'a ClientId,
    /// With which redirect URI.
    pub redirect_uri: Option<&'a str>,
    /// What its verifier digests to.
    pub challenge: &'a str,
    /// For which server, where the client says so again.
    pub server: Option<&'a ServerName>,
    /// With which proof: what it gives is bound to that key.
    pub proof: Option<&'a Proven>,
}

/// A refresh token as it is presented.
#[derive(Debug)]
pub struct PresentedRefresh<'a> {
    /// Its digest.
    pub hash: &'a TokenHash<RefreshToken>,
    /// By which client.
    pub client: &'a ClientId,
    /// For which server, where the client says so again.
    pub server: Option<&'a ServerName>,
    /// Nothing but this, where the client asks for less.
    pub narrowed: Option<&'a BTreeSet<String>>,
    /// With which proof.
    pub proof: Option<&'a Proven>,
    /// Whether the client may have another key than before.
    pub keys: Keys,
}

/// Tokens to record, if the redemption is won.
#[derive(Debug)]
pub struct Successors<'a> {
    /// Digest of the access token.
    pub access: &'a TokenHash<AccessToken>,
    /// How long it lives.
    pub access_life: Duration,
    /// Digest of the refresh token.
    pub refresh: &'a TokenHash<RefreshToken>,
    /// How long it may stay unused.
    pub refresh_life: Duration,
}

/// What a redemption gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The grant.
    pub id: CredentialId,
    /// Whose.
    pub user: UserId,
    /// For which server.
    pub server: ServerName,
    /// What the access token carries.
    pub granted: BTreeSet<String>,
    /// Its end.
    pub access_expires: Timestamp,
    /// The key that it is bound to.
    pub bound: Option<Thumbprint>,
    /// Whether the successors were recorded before, for the same token.
    pub again: bool,
}

/// Why nothing was redeemed. To the client all but the two last are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRedeemed {
    /// Nobody knows it.
    Unknown,
    /// It has ended.
    Expired,
    /// Used at the same moment by somebody else: nothing is taken back.
    Concurrent,
    /// Used before: what it gave was taken back with it.
    Replayed(CredentialId),
    /// Presented by another client, with another redirect URI or verifier.
    Mismatch,
    /// The consent was taken back or has ended, or its person may not act.
    Ended,
    /// For another server than it was granted for.
    OtherResource,
    /// More than was granted.
    WiderScope,
    /// Bound to a key, and no proof came with it.
    Unproven,
    /// Bound to another key. Nothing is taken back: whoever has not the key learns and ends nothing.
    OtherKey,
    /// The proof was used before.
    ReplayedProof,
}

/// Under which kind names of decided requests stand.
pub(crate) const DECIDED: &str = "authorization";
/// Grants of one user that the sweep has not taken yet.
const GRANTS_PER_USER: i64 = 1_000;
/// Two uses of a code that overlap are one client in a hurry; by how much clocks of replicas may differ (FLT-07).
pub(crate) const SKEW: Duration = Duration::from_secs(1);

// === impl Store ===

impl Store {
    /// Records a consent and its code, if the request was not decided before. The user is known already.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at 1,000 grants of the user, [`Refused::Unfit`]; any [`StoreError`] means that nothing was recorded.
    pub async fn record_grant(&self, new: &NewGrant<'_>, now: Timestamp) -> Result<bool, StoreError> {
        plain(new.name, "name")?;
        if new.granted.is_empty() {
            return Err(Refused::Unfit("granted").into());
        }
        let granted = json_list(new.granted.iter().map(String::as_str))?;
        let offered = new.offered.map(written).transpose()?;
        let mut tx = self.db().begin().await?;
        if !once::consumed(&mut tx, DECIDED, new.once, now).await? {
            return Ok(false);
        }
        if let Gives::Device(name) = new.gives
            && !devices::allow(&mut tx, (name, new.id), (new.client, new.server), now).await?
        {
            return Ok(false);
        }
        insert(&mut tx, new.user, "[]", now).await?;
        hold(&mut tx, new.user).await?; // so that the count stays true
        let owner = [Value::text(new.user.issuer()), Value::text(new.user.subject())];
        // Those that count: what was taken back stays on the list for a while, and must lock nobody out.
        let [issuer, subject] = &owner;
        let counted = [issuer.clone(), subject.clone(), Value::int(millis(now)?)];
        let sql = "SELECT COUNT(*) AS n FROM grants WHERE issuer = $1 AND subject = $2 AND revoked IS NULL \
                   AND (expires IS NULL OR expires > $3)";
        let count = tx.row(sql, &counted).await?;
        if count.map_or(Ok(0), |row| row.column::<i64>("n"))? >= GRANTS_PER_USER {
            return Err(Refused::TooMany.into());
        }
        let sql = "INSERT INTO grants (id, issuer, subject, client, fingerprint, name, identity, target, server, granted, created, expires, \
                   offered, redirect_uri) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let [issuer, subject] = owner;
        let values = [
            Value::text(new.id.as_str()),
            issuer,
            subject,
            Value::text(new.client.as_str()),
            Value::bytes(new.fingerprint),
            Value::text(new.name),
            Value::text(new.identity),
            Value::text(new.target),
            Value::text(new.server.as_str()),
            Value::text(&granted),
            Value::int(millis(now)?),
            Value::Int(new.expires.map(millis).transpose()?),
            offered.as_deref().map_or(Value::Text(None), Value::text),
            // No later request has none, so a consent of a device stands for no other (C14).
            Value::text(if let Gives::Code { redirect_uri, .. } = new.gives { redirect_uri } else { "" }),
        ];
        tx.execute(sql, &values).await?;
        let Gives::Code { code, redirect_uri, named, challenge, expires, key } = new.gives else {
            tx.commit().await?;
            return Ok(true);
        };
        let sql = "INSERT INTO codes (hash, grant_id, client, redirect_uri, named, challenge, expires, jkt) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let values = [
            Value::bytes(code.as_bytes()),
            Value::text(new.id.as_str()),
            Value::text(new.client.as_str()),
            Value::text(redirect_uri),
            Value::int(i64::from(named)),
            Value::text(challenge),
            Value::int(millis(expires)?),
            Value::Bytes(key.as_ref().map(|key| key.as_bytes().as_slice())),
        ];
        tx.execute(sql, &values).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Uses up the decision of an authorization request without a consent: a no counts once, too.
    ///
    /// # Errors
    /// [`StoreError`]: it is undecided then.
    pub async fn decide_once(&self, once: (&[u8; 32], Timestamp), now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let won = once::consumed(&mut tx, DECIDED, once, now).await?;
        tx.commit().await?;
        Ok(won)
    }

    /// Turns a code into tokens: for exactly one of those who try, and only for the client, redirect URI and verifier that it
    /// belongs to. A second use takes back what the first one gave (RFC 6749 section 4.1.2), unless the two overlapped:
    /// `arrived` is when this request came in.
    ///
    /// # Errors
    /// [`StoreError`]: the code can still be used.
    pub async fn redeem_code(
        &self,
        code: &PresentedCode<'_>,
        next: &Successors<'_>,
        arrived: Timestamp,
        now: Timestamp,
    ) -> Result<Result<Redeemed, NotRedeemed>, StoreError> {
        self.room_for(code.proof, now).await?;
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE codes SET used = $2 WHERE hash = $1 AND used IS NULL AND expires > $2 AND client = $3 AND challenge = $4 \
                   AND (redirect_uri = $5 OR ($5 = '' AND named = 0)) AND (jkt IS NULL OR jkt = $7) \
                   AND EXISTS (SELECT 1 FROM grants g WHERE g.id = codes.grant_id AND g.revoked IS NULL AND ($6 = '' OR g.server = $6)) \
                   RETURNING grant_id";
        let key = code.proof.map(Proven::key);
        let values = [
            Value::bytes(code.hash.as_bytes()),
            Value::int(millis(now)?),
            Value::text(code.client.as_str()),
            Value::text(code.challenge),
            Value::text(code.redirect_uri.unwrap_or_default()),
            Value::text(code.server.map(ServerName::as_str).unwrap_or_default()),
            Value::Bytes(key.as_ref().map(|key| key.as_bytes().as_slice())),
        ];
        let Some(row) = tx.row(sql, &values).await? else {
            let why = self.why_no_code(&mut tx, code, arrived, now).await?;
            tx.commit().await?;
            return Ok(Err(why));
        };
        let id = CredentialId::new(&row.column::<String>("grant_id")?).map_err(|_| damaged("codes", "grant_id"))?;
        let Some(grant) = Live::read(&mut tx, &id, now).await? else { return Ok(Err(NotRedeemed::Ended)) };
        let Some(grant) = grant.bound_by(&mut tx, code.proof, now).await? else { return Ok(Err(NotRedeemed::ReplayedProof)) };
        let Some(redeemed) = grant.issue(&mut tx, next, None, 1, now).await? else { return Ok(Err(NotRedeemed::Ended)) };
        tx.commit().await?;
        Ok(Ok(redeemed))
    }

    /// Turns a refresh token into its successors. Whoever presents the same one again within `window` gets the same successors;
    /// later the whole line ends (RFC 9700 section 4.14.2; product AS9). Nothing is changed where more is asked for than granted, nor by
    /// anybody who has not the key that the consent is bound to.
    ///
    /// # Errors
    /// [`StoreError`]: the token can still be used.
    pub async fn refresh(
        &self,
        token: &PresentedRefresh<'_>,
        next: &Successors<'_>,
        window: Duration,
        now: Timestamp,
    ) -> Result<Result<Redeemed, NotRedeemed>, StoreError> {
        self.room_for(token.proof, now).await?;
        let mut tx = self.db().begin().await?;
        // Held to the end of the transaction, used or not: of those who come at once each sees what the one before did.
        let sql = "UPDATE refresh_tokens SET client = client WHERE hash = $1 AND client = $2 \
                   RETURNING grant_id, generation, expires, used";
        let values = [Value::bytes(token.hash.as_bytes()), Value::text(token.client.as_str())];
        let Some(row) = tx.row(sql, &values).await? else {
            let sql = "SELECT 1 AS one FROM refresh_tokens WHERE hash = $1";
            let known = tx.row(sql, &[Value::bytes(token.hash.as_bytes())]).await?.is_some();
            return Ok(Err(if known { NotRedeemed::Mismatch } else { NotRedeemed::Unknown }));
        };
        let reading = Reading::digested(&row, "refresh_tokens", token.hash.as_bytes());
        let id = reading.parsed("grant_id", CredentialId::new)?;
        let (generation, used) = (reading.int("generation")?, reading.optional_instant("used")?);
        let Some(grant) = Live::read(&mut tx, &id, now).await? else { return Ok(Err(NotRedeemed::Ended)) };
        let is_replayed = used.is_some_and(|used| now.since(used) > window);
        // Of what is bound nobody without its key ends anything; of what is not, no proof keeps a theft from being seen.
        if grant.bound.is_none() && is_replayed {
            end(&mut tx, &id, "refresh token replayed", now).await?;
            tx.commit().await?;
            return Ok(Err(NotRedeemed::Replayed(id)));
        }
        if let Err(why) = goes_on(grant.bound, token.proof, token.keys) {
            return Ok(Err(why));
        }
        if !used_up(&mut tx, token.proof, now).await? {
            return Ok(Err(NotRedeemed::ReplayedProof));
        }
        if is_replayed {
            end(&mut tx, &id, "refresh token replayed", now).await?;
            tx.commit().await?;
            return Ok(Err(NotRedeemed::Replayed(id)));
        }
        if token.server.is_some_and(|server| *server != grant.server) {
            return Ok(Err(NotRedeemed::OtherResource));
        }
        if token.narrowed.is_some_and(|narrowed| narrowed.is_empty() || !narrowed.is_subset(&grant.granted)) {
            return Ok(Err(NotRedeemed::WiderScope));
        }
        if used.is_some() {
            let again = grant.recorded(&mut tx, next, token.proof.map(Proven::key)).await?;
            tx.commit().await?;
            return Ok(again);
        }
        if reading.instant("expires")? <= now {
            return Ok(Err(NotRedeemed::Expired));
        }
        let sql = "UPDATE refresh_tokens SET used = $2 WHERE hash = $1 AND used IS NULL";
        let values = [Value::bytes(token.hash.as_bytes()), Value::int(millis(now)?)];
        if !at_most_one(tx.execute(sql, &values).await?, "refresh_tokens")? {
            return Err(damaged("refresh_tokens", "used"));
        }
        let bound = bind(&mut tx, &id, grant.bound, token.proof, now).await?;
        let grant = Live { bound, ..grant };
        let Some(redeemed) = grant.issue(&mut tx, next, token.narrowed, generation + 1, now).await? else {
            return Ok(Err(NotRedeemed::Ended));
        };
        tx.commit().await?;
        Ok(Ok(redeemed))
    }

    /// Takes back a consent with every token of it, and raises the epoch in the same transaction. `of` narrows to those of one
    /// person or of one client: nobody takes back what is not theirs. True if there was one that counted.
    ///
    /// # Errors
    /// [`StoreError`]: everything still counts then.
    pub async fn revoke_grant(&self, id: &CredentialId, of: Owner<'_>, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let Some(row) = tx.row(GRANT, &[Value::text(id.as_str())]).await? else { return Ok(false) };
        let info = info(&Reading::named(&row, "grants", "id")?)?;
        let is_theirs = match of {
            Owner::User(user) => info.user == *user,
            Owner::Client(client) => info.client == *client,
        };
        if !is_theirs || info.revoked.is_some() {
            return Ok(false);
        }
        end(&mut tx, id, "consent withdrawn", now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The grant of a token that a client presents to have it revoked (RFC 7009); `None` if it is not its own.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grant_of_refresh_token(&self, hash: &TokenHash<RefreshToken>) -> Result<Option<CredentialId>, StoreError> {
        let sql = "SELECT grant_id FROM refresh_tokens WHERE hash = $1";
        let row = self.db().row(sql, &[Value::bytes(hash.as_bytes())]).await?;
        row.map(|row| Reading::digested(&row, "refresh_tokens", hash.as_bytes()).parsed("grant_id", CredentialId::new)).transpose()
    }

    async fn why_no_code(
        &self,
        tx: &mut Tx,
        code: &PresentedCode<'_>,
        arrived: Timestamp,
        now: Timestamp,
    ) -> Result<NotRedeemed, StoreError> {
        let sql = "SELECT grant_id, client, redirect_uri, named, challenge, expires, used, jkt FROM codes WHERE hash = $1";
        let Some(row) = tx.row(sql, &[Value::bytes(code.hash.as_bytes())]).await? else { return Ok(NotRedeemed::Unknown) };
        let reading = Reading::digested(&row, "codes", code.hash.as_bytes());
        let redirect = reading.text("redirect_uri")?;
        let fits = match code.redirect_uri {
            Some(uri) => uri == redirect,
            None => reading.int("named")? == 0,
        };
        // Whoever lacks the verifier learns and ends nothing: a code that was seen on its way must not sign its owner out.
        if reading.text("client")? != code.client.as_str() || reading.text("challenge")? != code.challenge || !fits {
            return Ok(NotRedeemed::Mismatch);
        }
        let wanted = reading.optional_digest("jkt")?.map(Thumbprint::from_stored);
        if wanted.is_some() && wanted != code.proof.map(Proven::key) {
            return Ok(NotRedeemed::OtherKey);
        }
        let id = reading.parsed("grant_id", CredentialId::new)?;
        let Some(used) = reading.optional_instant("used")? else {
            if reading.instant("expires")? <= now {
                return Ok(NotRedeemed::Expired);
            }
            let live = Live::read(tx, &id, now).await?;
            return Ok(match (live, code.server) {
                (Some(live), Some(server)) if live.server != *server => NotRedeemed::OtherResource,
                _ => NotRedeemed::Ended,
            });
        };
        if arrived <= used.after(SKEW) {
            return Ok(NotRedeemed::Concurrent);
        }
        end(tx, &id, "authorization code replayed", now).await?;
        Ok(NotRedeemed::Replayed(id))
    }
}

/// Who takes a grant back.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// The person who gave it.
    User(&'a UserId),
    /// The client it was given to.
    Client(&'a ClientId),
}

/// A grant that counts.
pub(crate) struct Live {
    id: CredentialId,
    user: UserId,
    client: ClientId,
    server: ServerName,
    granted: BTreeSet<String>,
    expires: Option<Timestamp>,
    bound: Option<Thumbprint>,
}

impl Live {
    /// Uses up the proof and binds the consent to its key, together with what it allows: where the proof is not new, nothing else was used
    /// either. `None` then.
    pub(crate) async fn bound_by(self, tx: &mut Tx, proof: Option<&Proven>, now: Timestamp) -> Result<Option<Self>, StoreError> {
        if !used_up(tx, proof, now).await? {
            return Ok(None);
        }
        let bound = bind(tx, &self.id, self.bound, proof, now).await?;
        Ok(Some(Self { bound, ..self }))
    }

    /// Reads it inside the transaction; none if it was taken back, has ended, or its person may not act (TK-07).
    pub(crate) async fn read(tx: &mut Tx, id: &CredentialId, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let Some(row) = tx.row(GRANT, &[Value::text(id.as_str())]).await? else { return Ok(None) };
        let reading = Reading::named(&row, "grants", "id")?;
        let is_disabled = reading.optional_instant("disabled")?.is_some();
        let GrantInfo { id, user, client, server, granted, expires, revoked, bound, .. } = info(&reading)?;
        let has_ended = revoked.is_some() || is_disabled || expires.is_some_and(|end| end <= now);
        Ok((!has_ended).then_some(Self { id, user, client, server, granted, expires, bound }))
    }

    /// Records successors. No token outlives the consent (TK-08).
    pub(crate) async fn issue(
        self,
        tx: &mut Tx,
        next: &Successors<'_>,
        narrowed: Option<&BTreeSet<String>>,
        generation: i64,
        now: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError> {
        // First of all, and held to the end of the transaction: a withdrawal on another replica either sees what is issued here, or
        // has been before and leaves nothing to issue.
        let sql = "UPDATE grants SET used = $2 WHERE id = $1 AND revoked IS NULL";
        if !at_most_one(tx.execute(sql, &[Value::text(self.id.as_str()), Value::int(millis(now)?)]).await?, "grants")? {
            return Ok(None);
        }
        self.make_room(tx, generation).await?;
        let capped = |life: Duration| self.expires.map_or(now.after(life), |end| end.min(now.after(life)));
        let granted = narrowed.unwrap_or(&self.granted).clone();
        let record = Record {
            credential: self.id.clone(),
            level: Level::OAuth,
            user: self.user.clone(),
            groups: Vec::new(),
            client: self.client.clone(),
            agent: None,
            audience: Audience::Only(BTreeSet::from([self.server.clone()])),
            granted: granted.clone(),
            expires: capped(next.access_life),
            revoked: None,
            user_disabled: false,
            bound: self.bound,
            delegation: None,
        };
        crate::tokens::put(tx, next.access, &record, &Columns::of(&record)?, now).await?;
        let sql = "INSERT INTO refresh_tokens (hash, grant_id, client, generation, created, expires) VALUES ($1, $2, $3, $4, $5, $6)";
        let values = [
            Value::bytes(next.refresh.as_bytes()),
            Value::text(self.id.as_str()),
            Value::text(self.client.as_str()),
            Value::int(generation),
            Value::int(millis(now)?),
            Value::int(millis(capped(next.refresh_life))?),
        ];
        tx.execute(sql, &values).await?;
        let (access_expires, bound) = (record.expires, record.bound);
        Ok(Some(Redeemed { id: self.id, user: self.user, server: self.server, granted, access_expires, bound, again: false }))
    }

    /// One client that refreshes without end takes no room from the others of its person: of one consent the last twenty access
    /// tokens count, and a thousand used refresh tokens are remembered.
    async fn make_room(&self, tx: &mut Tx, generation: i64) -> Result<(), StoreError> {
        let id = Value::text(self.id.as_str());
        let sql = "DELETE FROM access_tokens WHERE id = $1 AND hash NOT IN \
                   (SELECT hash FROM access_tokens WHERE id = $1 ORDER BY created DESC, hash LIMIT 19)";
        tx.execute(sql, std::slice::from_ref(&id)).await?;
        let sql = "DELETE FROM refresh_tokens WHERE grant_id = $1 AND used IS NOT NULL AND generation < $2";
        tx.execute(sql, &[id, Value::int(generation.saturating_sub(1_000))]).await.map(|_| ())
    }

    /// What was recorded when the same token was presented before.
    pub(crate) async fn recorded(
        self,
        tx: &mut Tx,
        next: &Successors<'_>,
        key: Option<Thumbprint>,
    ) -> Result<Result<Redeemed, NotRedeemed>, StoreError> {
        let sql = "SELECT granted, expires, revoked, jkt FROM access_tokens WHERE hash = $1 AND id = $2";
        let values = [Value::bytes(next.access.as_bytes()), Value::text(self.id.as_str())];
        let Some(row) = tx.row(sql, &values).await? else { return Ok(Err(NotRedeemed::Ended)) };
        let reading = Reading::digested(&row, "access_tokens", next.access.as_bytes());
        let bound = reading.optional_digest("jkt")?.map(Thumbprint::from_stored);
        // Whoever asks again with another key would be given what they cannot use, and told that they can.
        if bound != key {
            return Ok(Err(NotRedeemed::OtherKey));
        }
        let granted = reading.list("granted", |text| Ok::<_, std::convert::Infallible>(text.to_owned()))?;
        let access_expires = reading.instant("expires")?;
        Ok(Ok(Redeemed { id: self.id, user: self.user, server: self.server, granted, access_expires, bound, again: true }))
    }
}

/// Ends a grant and everything that came of it.
pub(crate) async fn end(tx: &mut Tx, id: &CredentialId, reason: &'static str, now: Timestamp) -> Result<(), StoreError> {
    let values = [Value::text(id.as_str()), Value::int(millis(now)?)];
    tx.execute("UPDATE grants SET revoked = $2 WHERE id = $1 AND revoked IS NULL", &values).await?;
    tx.execute("UPDATE access_tokens SET revoked = $2 WHERE id = $1 AND revoked IS NULL", &values).await?;
    end_exchanged(tx, id, now).await?;
    raise(tx, reason, now).await.map(|_| ())
}
