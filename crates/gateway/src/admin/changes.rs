//! What administrators change: looked up, put on the record with who does it, then done. What cannot be recorded is not done.

use super::{Administrator, Away};
use crate::Gateway;
use crate::admin::known;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{ClientId, CorrelationId, CredentialId, UserId};
use doorward_core::oauth::admission::Blocked;
use doorward_core::secret::sha256;
use doorward_store::{ApiKeyInfo, Block, Ended, Ending, GrantInfo, OnRecord, Owner};

/// Something to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A client is refused from now on; what it was given stays.
    BlockClient([u8; 32], Option<String>),
    /// It may go on.
    UnblockClient([u8; 32]),
    /// Somebody may not act any more.
    DisableUser(UserId),
    /// They may again.
    EnableUser(UserId),
    /// Their browsers and the sessions of their clients end.
    SignOutUser(UserId),
    /// A consent is taken back: its tokens are dead.
    RevokeConsent(CredentialId),
    /// A personal key is dead.
    RevokeKey(CredentialId),
}

/// What is wrong with a change as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// There is no such action.
    Action,
    /// This member is missing or has no such form.
    Member(&'static str),
    /// A member that the action does not take.
    Unknown,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It is changed.
    Changed,
    /// It was so before.
    WasSo,
    /// There is nothing of that name.
    NotFound,
    /// Nobody locks out themselves.
    Yourself,
    /// The configuration says so, and only there it can be changed.
    ByConfiguration,
}

/// Longest reason, in bytes.
const REASON: usize = 200;
/// Members of each action.
const ACTIONS: [(&str, &[&str]); 7] = [
    ("block-client", &["client", "reason"]),
    ("unblock-client", &["client"]),
    ("disable-user", &["issuer", "subject"]),
    ("enable-user", &["issuer", "subject"]),
    ("sign-out-user", &["issuer", "subject"]),
    ("revoke-consent", &["id"]),
    ("revoke-key", &["id"]),
];

impl Change {
    /// Reads a change from an action and its members; an empty one is none.
    pub(super) fn parse(members: &[(&str, &str)]) -> Result<Self, Malformed> {
        let get = |name: &str| members.iter().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| *value);
        let action = get("action").ok_or(Malformed::Action)?;
        let (_, takes) = ACTIONS.iter().find(|(name, _)| *name == action).ok_or(Malformed::Action)?;
        if members.iter().any(|(name, _)| *name != "action" && !takes.contains(name)) {
            return Err(Malformed::Unknown);
        }
        let client = || match Blocked::parse(get("client").ok_or(Malformed::Member("client"))?) {
            Ok(Blocked::Digest(digest)) => Ok(digest),
            Ok(Blocked::Id(id)) => Ok(sha256(id.as_str().as_bytes())),
            Err(_) => Err(Malformed::Member("client")),
        };
        let user = || {
            let issuer = get("issuer").ok_or(Malformed::Member("issuer"))?;
            let subject = get("subject").ok_or(Malformed::Member("subject"))?;
            UserId::new(issuer, subject).map_err(|_| Malformed::Member("subject"))
        };
        let id = || get("id").and_then(|id| CredentialId::new(id).ok()).ok_or(Malformed::Member("id"));
        let reason = || match get("reason") {
            Some(text) if text.len() > REASON || text.chars().any(char::is_control) => Err(Malformed::Member("reason")),
            reason => Ok(reason.map(str::to_owned)),
        };
        Ok(match action {
            "block-client" => Self::BlockClient(client()?, reason()?),
            "unblock-client" => Self::UnblockClient(client()?),
            "disable-user" => Self::DisableUser(user()?),
            "enable-user" => Self::EnableUser(user()?),
            "sign-out-user" => Self::SignOutUser(user()?),
            "revoke-consent" => Self::RevokeConsent(id()?),
            "revoke-key" => Self::RevokeKey(id()?),
            _ => return Err(Malformed::Action),
        })
    }
}

/// A change that was looked up: it has an effect.
enum Ready {
    Block(Block),
    Unblock([u8; 32], Option<ClientId>),
    Disable(UserId),
    Enable(UserId),
    SignOut(UserId),
    Consent(GrantInfo),
    Key(ApiKeyInfo),
}

impl Gateway {
    /// Changes it, if it is not so.
    pub(super) async fn change(&self, by: Administrator<'_>, change: &Change, id: CorrelationId) -> Result<Done, Away> {
        let ready = match self.ready(by, change).await? {
            Ok(ready) => ready,
            Err(done) => return Ok(done),
        };
        self.announced(by, &ready, id).await?;
        let now = self.env.now();
        let changed = match &ready {
            Ready::Block(block) => self.store.block_client(block, OnRecord::Already).await,
            Ready::Unblock(digest, _) => self.store.unblock_client(digest, OnRecord::Already, now).await,
            Ready::Disable(user) => self.store.disable_user(user, now).await.map(|()| true),
            Ready::Enable(user) => self.store.enable_user(user, now).await,
            Ready::SignOut(user) => {
                self.store.end_from_outside(Ending::Of(user), OnRecord::Already, now).await.map(|ended| ended != Ended::default())
            }
            Ready::Consent(grant) => self.store.revoke_grant(&grant.id, Owner::User(&grant.user), now).await,
            Ready::Key(key) => self.store.revoke_api_key(&key.id, now).await,
        };
        match changed {
            Ok(true) => Ok(Done::Changed),
            // Somebody else was quicker. The record has both, and the effect once.
            Ok(false) => Ok(Done::WasSo),
            Err(error) => {
                let cause = format!("{}: not done: {error}", ready.event());
                let notice =
                    Notice { reason: "change_failed", id: Some(id), by: Some(by.user()), cause: Some(&cause), ..Notice::default() };
                self.note(&notice).await;
                Err(error.into())
            }
        }
    }

    async fn ready(&self, by: Administrator<'_>, change: &Change) -> Result<Result<Ready, Done>, Away> {
        let now = self.env.now();
        Ok(match change {
            Change::BlockClient(digest, reason) => match known::read(&self.settings.clients, &self.store, now).await?.remove(digest) {
                None => Err(Done::NotFound),
                Some(known) if known.blocked.iter().any(|by| matches!(by, known::By::Command { .. })) => Err(Done::WasSo),
                Some(known) => Ok(Ready::Block(Block { digest: *digest, client: known.id, reason: reason.clone(), since: now })),
            },
            Change::UnblockClient(digest) => match known::read(&self.settings.clients, &self.store, now).await?.remove(digest) {
                None => Err(Done::NotFound),
                Some(known) if known.blocked.iter().any(|by| matches!(by, known::By::Command { .. })) => {
                    Ok(Ready::Unblock(*digest, known.id))
                }
                Some(known) if !known.blocked.is_empty() => Err(Done::ByConfiguration),
                Some(_) => Err(Done::WasSo),
            },
            Change::DisableUser(user) if user == by.user() => Err(Done::Yourself),
            Change::DisableUser(user) => self.person_with(user, |disabled| !disabled).await?.map(|()| Ready::Disable(user.clone())),
            Change::EnableUser(user) => self.person_with(user, |disabled| disabled).await?.map(|()| Ready::Enable(user.clone())),
            Change::SignOutUser(user) => self.person_with(user, |_| true).await?.map(|()| Ready::SignOut(user.clone())),
            Change::RevokeConsent(id) => match self.store.grant(id).await? {
                None => Err(Done::NotFound),
                Some(grant) if grant.revoked.is_some() => Err(Done::WasSo),
                Some(grant) => Ok(Ready::Consent(grant)),
            },
            Change::RevokeKey(id) => match self.store.list_api_keys(None).await?.into_iter().find(|key| key.id == *id) {
                None => Err(Done::NotFound),
                Some(key) if key.revoked.is_some() => Err(Done::WasSo),
                Some(key) => Ok(Ready::Key(key)),
            },
        })
    }

    /// Whether there is such a person, and they are as they must be for a change to have an effect.
    async fn person_with(&self, user: &UserId, is_so: impl Fn(bool) -> bool) -> Result<Result<(), Done>, Away> {
        Ok(match self.store.known_user(user).await? {
            None => Err(Done::NotFound),
            Some(known) if is_so(known.disabled.is_some()) => Ok(()),
            Some(_) => Err(Done::WasSo),
        })
    }

    /// On the record first (B12, I2).
    async fn announced(&self, by: Administrator<'_>, ready: &Ready, id: CorrelationId) -> Result<(), Away> {
        let notice = Notice { reason: ready.event(), id: Some(id), by: Some(by.user()), ..Notice::default() };
        let digest_of = |digest: &[u8; 32]| Blocked::Digest(*digest).to_string();
        let cause;
        let notice = match ready {
            Ready::Block(block) => {
                let name = digest_of(&block.digest);
                cause = block.reason.as_ref().map_or_else(|| name.clone(), |reason| format!("{name}: {reason}"));
                Notice { client: block.client.as_ref(), cause: Some(&cause), ..notice }
            }
            Ready::Unblock(digest, client) => {
                cause = digest_of(digest);
                Notice { client: client.as_ref(), cause: Some(&cause), ..notice }
            }
            Ready::Disable(user) | Ready::Enable(user) | Ready::SignOut(user) => Notice { user: Some(user), ..notice },
            Ready::Consent(grant) => {
                let (user, client, server) = (Some(&grant.user), Some(&grant.client), Some(&grant.server));
                Notice { user, client, server, cause: Some(grant.id.as_str()), ..notice }
            }
            Ready::Key(key) => Notice { user: Some(&key.user), cause: Some(key.id.as_str()), ..notice },
        };
        self.audit.event(&notice, self.env.now()).await.map_err(|_| Away)
    }
}

impl Ready {
    /// The same words as where the command line or the person does it.
    const fn event(&self) -> &'static str {
        match self {
            Self::Block(_) => "client_block_set",
            Self::Unblock(..) => "client_block_lifted",
            Self::Disable(_) => "user_disabled",
            Self::Enable(_) => "user_enabled",
            Self::SignOut(_) => "sessions_ended",
            Self::Consent(_) => "consent_withdrawn",
            Self::Key(_) => "api_key_revoked",
        }
    }
}

impl Administrator<'_> {
    const fn user(&self) -> &UserId {
        &self.0.person.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(members: &[(&str, &str)]) -> Result<Change, Malformed> {
        Change::parse(members)
    }

    #[test]
    fn a_change_has_its_own_members_and_no_others() {
        let user = UserId::new("https://idp.example", "bob").expect("user");
        let named = [("action", "disable-user"), ("issuer", "https://idp.example"), ("subject", "bob")];
        assert_eq!(parse(&named), Ok(Change::DisableUser(user)));
        assert_eq!(parse(&named[..2]), Err(Malformed::Member("subject")));
        assert_eq!(parse(&[named[0], named[1], named[2], ("admin", "true")]), Err(Malformed::Unknown));
        assert_eq!(parse(&[("action", "Disable-user"), named[1], named[2]]), Err(Malformed::Action));
        assert_eq!(parse(&[]), Err(Malformed::Action));
        let digest = Blocked::Digest(sha256(b"dwc_x")).to_string();
        for client in ["dwc_x", digest.as_str()] {
            let block = parse(&[("action", "block-client"), ("client", client), ("reason", "")]);
            assert_eq!(block, Ok(Change::BlockClient(sha256(b"dwc_x"), None)), "{client}");
        }
        for reason in ["a\nb", &"x".repeat(201)] {
            let block = parse(&[("action", "block-client"), ("client", "dwc_x"), ("reason", reason)]);
            assert_eq!(block, Err(Malformed::Member("reason")));
        }
    }
}
