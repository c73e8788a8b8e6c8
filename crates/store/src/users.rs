//! Users as the identity provider or the administrator last described them. Knows nothing of how they signed in.

use crate::Store;
use crate::db::{Row, Tx, Value};
use crate::epoch::raise;
use crate::error::StoreError;
use crate::rows::{Reading, json_list, millis};
use doorward_core::id::{ClientId, GroupName, UserId};
use doorward_core::identity::caller::Standing;
use doorward_core::time::Timestamp;
use std::collections::BTreeSet;

/// A user as a list shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// Who.
    pub user: UserId,
    /// Groups as they were last read.
    pub groups: Vec<GroupName>,
    /// The address that a provider gave for them. Never to know somebody by.
    pub email: Option<String>,
    /// Since when they may do nothing.
    pub disabled: Option<Timestamp>,
}

/// A user who goes on coming is noted once in this time, in milliseconds.
const DAY: i64 = 86_400_000;
/// Longest address that is kept, in bytes.
const LONGEST_EMAIL: usize = 254;

// === impl Store ===

impl Store {
    /// Users by issuer and subject, at most 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_users(&self) -> Result<Vec<UserInfo>, StoreError> {
        let sql = "SELECT issuer, subject, member_of, disabled, email FROM users ORDER BY issuer, subject LIMIT 10000";
        let rows = self.db().rows(sql, &[]).await?;
        rows.iter().map(described).collect()
    }

    /// A user, if they were ever seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user(&self, user: &UserId) -> Result<Option<UserInfo>, StoreError> {
        let sql = "SELECT issuer, subject, member_of, disabled, email FROM users WHERE issuer = $1 AND subject = $2";
        let row = self.db().row(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await?;
        row.as_ref().map(described).transpose()
    }

    /// Users whose issuer, subject or address holds `part`, in any case of the letters a to z, by issuer and subject: 200 at most, and how
    /// many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn search_users(&self, part: &str) -> Result<(Vec<UserInfo>, u64), StoreError> {
        let inner: String = part.to_ascii_lowercase().chars().flat_map(escaped).collect();
        let pattern = format!("%{inner}%");
        let sql = "SELECT issuer, subject, member_of, disabled, email FROM users WHERE LOWER(issuer) LIKE $1 ESCAPE '!' OR \
                   LOWER(subject) LIKE $1 ESCAPE '!' OR LOWER(email) LIKE $1 ESCAPE '!' ORDER BY issuer, subject LIMIT 200";
        let rows = self.db().rows(sql, &[Value::text(&pattern)]).await?;
        let sql = "SELECT COUNT(*) AS n FROM users WHERE LOWER(issuer) LIKE $1 ESCAPE '!' OR LOWER(subject) LIKE $1 ESCAPE '!' OR \
                   LOWER(email) LIKE $1 ESCAPE '!'";
        let row = self.db().row(sql, &[Value::text(&pattern)]).await?;
        let count: i64 = row.map_or(Ok(0), |row| row.column("n"))?;
        Ok((rows.iter().map(described).collect::<Result<_, _>>()?, u64::try_from(count).unwrap_or(0)))
    }

    /// How many users were seen, and how many of them may do nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_users(&self) -> Result<(u64, u64), StoreError> {
        let row = self.db().row("SELECT COUNT(*) AS n, COUNT(disabled) AS d FROM users", &[]).await?;
        let count = |name| row.as_ref().map_or(Ok(0_i64), |row| row.column(name)).map(|count| u64::try_from(count).unwrap_or(0));
        Ok((count("n")?, count("d")?))
    }

    /// The groups of a user, as they were last read; none for one who was never seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups_of(&self, user: &UserId) -> Result<Vec<GroupName>, StoreError> {
        let sql = "SELECT issuer, subject, member_of, disabled FROM users WHERE issuer = $1 AND subject = $2";
        let Some(row) = self.db().row(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await? else {
            return Ok(Vec::new());
        };
        standing(&Reading { row: &row, table: "users", id: String::new() }).map(|(groups, _)| groups)
    }

    /// Groups and standing of somebody for whom a configured issuer vouches; whoever was never seen, or not for a day, is noted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meet_user(&self, user: &UserId, now: Timestamp) -> Result<(Vec<GroupName>, Standing), StoreError> {
        let owner = [Value::text(user.issuer()), Value::text(user.subject())];
        let sql = "SELECT issuer, subject, member_of, disabled, seen FROM users WHERE issuer = $1 AND subject = $2";
        let row = self.db().row(sql, &owner).await?;
        let is_noted = match &row {
            Some(row) => row.column::<i64>("seen")?.saturating_add(DAY) > millis(now)?,
            None => false,
        };
        if !is_noted {
            let mut tx = self.db().begin().await?;
            insert(&mut tx, user, "[]", now).await?;
            let [issuer, subject] = owner;
            let sql = "UPDATE users SET seen = CASE WHEN seen < $3 THEN $3 ELSE seen END WHERE issuer = $1 AND subject = $2";
            tx.execute(sql, &[issuer, subject, Value::int(millis(now)?)]).await?;
            tx.commit().await?;
        }
        let Some(row) = row else { return Ok((Vec::new(), Standing::Good)) };
        let (groups, is_disabled) = standing(&Reading { row: &row, table: "users", id: String::new() })?;
        Ok((groups, if is_disabled { Standing::Disabled } else { Standing::Good }))
    }

    /// Whether this user was ever seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn knows_user(&self, user: &UserId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM users WHERE issuer = $1 AND subject = $2";
        Ok(self.db().row(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await?.is_some())
    }

    /// Records a user and their groups as read just now. Another set of groups raises the epoch: cached records hold the old one.
    ///
    /// Does not enable a disabled user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_user(&self, user: &UserId, groups: &[GroupName], now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        describe(&mut tx, user, groups, now).await?;
        tx.commit().await
    }

    /// Records somebody whom an identity provider vouches for, as it describes them now, and says whether they may act. What the
    /// provider says of a disabled user is recorded too: they lose the groups that they lost.
    ///
    /// # Errors
    /// [`StoreError`]: nothing changed then.
    pub async fn admit_user(
        &self,
        user: &UserId,
        groups: &[GroupName],
        email: Option<&str>,
        now: Timestamp,
    ) -> Result<Standing, StoreError> {
        let email = email.filter(|email| email.len() <= LONGEST_EMAIL && !email.contains(char::is_control)).unwrap_or_default();
        let mut tx = self.db().begin().await?;
        describe(&mut tx, user, groups, now).await?;
        let owner = [Value::text(user.issuer()), Value::text(user.subject()), Value::text(email)];
        tx.execute("UPDATE users SET email = $3 WHERE issuer = $1 AND subject = $2", &owner).await?;
        let [issuer, subject, _] = owner;
        let row = tx.row("SELECT 1 AS one FROM users WHERE issuer = $1 AND subject = $2 AND disabled IS NULL", &[issuer, subject]).await?;
        tx.commit().await?;
        Ok(if row.is_some() { Standing::Good } else { Standing::Disabled })
    }

    /// Puts a known user into groups and out of others, and raises the epoch in the same transaction if that changed anything: what
    /// a group gave is gone for every replica at once (RS-08). A group that is named both ways is taken away. `None` for a user that
    /// was never seen: a mistyped name must not become one.
    ///
    /// Until the next sign-in of somebody whose groups an identity provider names; what is made here has none.
    ///
    /// # Errors
    /// [`StoreError`]: nothing changed then.
    pub async fn change_groups(
        &self,
        user: &UserId,
        add: &[GroupName],
        remove: &[GroupName],
        now: Timestamp,
    ) -> Result<Option<Vec<GroupName>>, StoreError> {
        let mut tx = self.db().begin().await?;
        hold(&mut tx, user).await?; // so that two changes at once are both made
        let owner = [Value::text(user.issuer()), Value::text(user.subject())];
        let sql = "SELECT issuer, subject, member_of, disabled FROM users WHERE issuer = $1 AND subject = $2";
        let Some(row) = tx.row(sql, &owner).await? else { return Ok(None) };
        let (before, _) = standing(&Reading { row: &row, table: "users", id: String::new() })?;
        let mut after: BTreeSet<GroupName> = before.iter().chain(add).cloned().collect();
        after.retain(|group| !remove.contains(group));
        let after: Vec<GroupName> = after.into_iter().collect();
        let groups = group_list(&after)?;
        if group_list(&before)? != groups {
            let [issuer, subject] = owner;
            let sql = "UPDATE users SET member_of = $3 WHERE issuer = $1 AND subject = $2";
            tx.execute(sql, &[issuer, subject, Value::text(&groups)]).await?;
            raise(&mut tx, "groups changed", now).await?;
        }
        tx.commit().await?;
        Ok(Some(after))
    }

    /// Takes from a user the right to act, known or not, and raises the epoch in the same transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disable_user(&self, user: &UserId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        insert(&mut tx, user, "[]", now).await?;
        let sql = "UPDATE users SET disabled = $3 WHERE issuer = $1 AND subject = $2 AND disabled IS NULL";
        tx.execute(sql, &[Value::text(user.issuer()), Value::text(user.subject()), Value::int(millis(now)?)]).await?;
        raise(&mut tx, "user disabled", now).await?;
        tx.commit().await
    }

    /// Whether a client may not act for itself any more: its user is disabled.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_client_disabled(&self, client: &ClientId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM users WHERE issuer = $1 AND subject = $2 AND disabled IS NOT NULL";
        let user = [Value::text(doorward_core::oauth::client::ISSUER), Value::text(client.as_str())];
        Ok(self.db().row(sql, &user).await?.is_some())
    }

    /// Gives a disabled user back the right to act. True if there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enable_user(&self, user: &UserId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE users SET disabled = NULL WHERE issuer = $1 AND subject = $2 AND disabled IS NOT NULL";
        let changed = tx.execute(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await? > 0;
        if changed {
            raise(&mut tx, "user enabled", now).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }
}

fn described(row: &Row) -> Result<UserInfo, StoreError> {
    let reading = Reading { row, table: "users", id: String::new() };
    let user = reading.user()?;
    let reading = Reading { row, table: "users", id: user.to_string() };
    let (groups, disabled) = (reading.list("member_of", GroupName::new)?, reading.optional_instant("disabled")?);
    let email = Some(reading.text("email")?).filter(|email| !email.is_empty());
    Ok(UserInfo { user, groups, email, disabled })
}

/// A letter as it stands for itself in a pattern of LIKE.
fn escaped(letter: char) -> impl Iterator<Item = char> {
    let mark = matches!(letter, '%' | '_' | '!').then_some('!');
    mark.into_iter().chain([letter])
}

/// A user with the groups read just now; another set of groups raises the epoch.
async fn describe(tx: &mut Tx, user: &UserId, groups: &[GroupName], now: Timestamp) -> Result<(), StoreError> {
    let groups = group_list(groups)?;
    insert(tx, user, &groups, now).await?;
    hold(tx, user).await?; // so that the groups compared are the groups replaced
    let owner = [Value::text(user.issuer()), Value::text(user.subject())];
    let row = tx.row("SELECT member_of FROM users WHERE issuer = $1 AND subject = $2", &owner).await?;
    let changed = match &row {
        Some(row) => row.column::<String>("member_of")? != groups,
        None => true,
    };
    let [issuer, subject] = owner;
    let sql = "UPDATE users SET member_of = $3, seen = CASE WHEN seen < $4 THEN $4 ELSE seen END WHERE issuer = $1 AND subject = $2";
    tx.execute(sql, &[issuer, subject, Value::text(&groups), Value::int(millis(now)?)]).await?;
    if changed {
        raise(tx, "groups changed", now).await?;
    }
    Ok(())
}

/// A user that is not there yet; one that is keeps groups and standing.
pub(crate) async fn insert(tx: &mut Tx, user: &UserId, groups: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO users (issuer, subject, member_of, disabled, seen) VALUES ($1, $2, $3, NULL, $4) \
               ON CONFLICT (issuer, subject) DO NOTHING";
    let values = [Value::text(user.issuer()), Value::text(user.subject()), Value::text(groups), Value::int(millis(now)?)];
    tx.execute(sql, &values).await.map(|_| ())
}

/// Groups as a column: sorted, so that the order in which a provider names them is no change.
pub(crate) fn group_list(groups: &[GroupName]) -> Result<String, StoreError> {
    json_list(groups.iter().collect::<BTreeSet<_>>().into_iter().map(GroupName::as_str))
}

/// Holds the row of a user until the end of the transaction: whoever else holds it first is waited for.
pub(crate) async fn hold(tx: &mut Tx, user: &UserId) -> Result<(), StoreError> {
    let sql = "UPDATE users SET seen = seen WHERE issuer = $1 AND subject = $2";
    tx.execute(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await.map(|_| ())
}

/// Groups and standing out of a row joined with `users`.
pub(crate) fn standing(reading: &Reading<'_>) -> Result<(Vec<GroupName>, bool), StoreError> {
    let user = Reading { row: reading.row, table: "users", id: reading.user()?.to_string() };
    Ok((user.list("member_of", GroupName::new)?, user.optional_instant("disabled")?.is_some()))
}
