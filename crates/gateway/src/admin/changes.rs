//! What administrators change: looked up, put on the record with who does it, then done. What cannot be recorded is not done.

use super::Away;
use super::known::{self, By, Known};
use super::overseer::Administrator;
use crate::Gateway;
use crate::session::LIFETIMES;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{ClientId, CorrelationId, CredentialId, UserId};
use doorward_core::oauth::admission::Blocked;
use doorward_core::secret::sha256;
use doorward_store::{ApiKeyInfo, Block, Ended, Ending, GrantInfo, OnRecord, Owner};

/// Something to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A client is refused from now on; what it was given stays. Also one that nobody here has met yet.
    BlockClient {
        /// Which.
        client: Which,
        /// Why, for the list and the record.
        reason: Option<String>,
    },
    /// It may go on.
    UnblockClient(Which),
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

/// A client: its id, or the digest of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Which {
    digest: [u8; 32],
    id: Option<ClientId>,
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
    /// The block of an administrator is lifted; that of the configuration stays.
    StillBlocked,
    /// It was so before.
    WasSo,
    /// There is nothing of that name.
    NotFound,
    /// Nobody locks out themselves.
    Yourself,
    /// The configuration says so, and only there it can be changed.
    ByConfiguration,
}

/// Longest reason, in bytes: with the digest before it, it stands whole on the record.
const REASON: usize = 180;
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
/// What ids of clients begin with that stand for a personal key: it is revoked.
const KEY: &str = "key:";

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
            Ok(Blocked::Digest(digest)) => Ok(Which { digest, id: None }),
            Ok(Blocked::Id(id)) if !id.as_str().starts_with(KEY) => Ok(Which { digest: sha256(id.as_str().as_bytes()), id: Some(id) }),
            Ok(Blocked::Id(_)) | Err(_) => Err(Malformed::Member("client")),
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
            "block-client" => Self::BlockClient { client: client()?, reason: reason()? },
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

/// A change with all that it needs, that has an effect unless somebody else is quicker.
enum Ready {
    Block(Block),
    Unblock(Known),
    Disable(UserId),
    Enable(UserId),
    SignOut(UserId, Ended),
    Consent(GrantInfo),
    Key(ApiKeyInfo),
}

/// What it leads to, without having been done.
enum Look {
    Ready(Ready),
    Nothing(Done),
}

impl Gateway {
    /// Changes it, if it is not so.
    pub(super) async fn change(&self, by: &Administrator<'_>, change: &Change, id: CorrelationId) -> Result<Done, Away> {
        let ready = match self.look(by, change).await? {
            Look::Ready(ready) => ready,
            Look::Nothing(done) => return Ok(done),
        };
        self.announced(by, &ready, id).await?;
        let now = self.env.now();
        let changed = match &ready {
            Ready::Block(block) => self.store.block_client(block, OnRecord::Already).await,
            Ready::Unblock(known) => self.store.unblock_client(&known.digest, OnRecord::Already, now).await,
            Ready::Disable(user) => self.store.disable_user(user, now).await.map(|()| true),
            Ready::Enable(user) => self.store.enable_user(user, now).await,
            Ready::SignOut(user, _) => {
                self.store.end_from_outside(Ending::Of(user), OnRecord::Already, now).await.map(|ended| ended != Ended::default())
            }
            Ready::Consent(grant) => self.store.revoke_grant(&grant.id, Owner::User(&grant.user), now).await,
            Ready::Key(key) => self.store.revoke_api_key(&key.id, now).await,
        };
        match changed {
            Ok(true) => Ok(match &ready {
                Ready::Unblock(known) if known.blocked.contains(&By::Configuration) => Done::StillBlocked,
                _ => Done::Changed,
            }),
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

    async fn look(&self, by: &Administrator<'_>, change: &Change) -> Result<Look, Away> {
        let now = self.env.now();
        let nothing = |done| Ok(Look::Nothing(done));
        let ready = match change {
            Change::BlockClient { client, reason } => {
                let known = self.known(client).await?;
                if known.as_ref().is_some_and(Known::is_blocked_by_somebody) {
                    return nothing(Done::WasSo);
                }
                let id = client.id.clone().or_else(|| known.and_then(|known| known.id));
                Ready::Block(Block { digest: client.digest, client: id, reason: reason.clone(), since: now })
            }
            Change::UnblockClient(client) => match self.known(client).await? {
                None => return nothing(Done::NotFound),
                Some(known) if known.is_blocked_by_somebody() => Ready::Unblock(known),
                Some(known) if known.blocked.is_empty() => return nothing(Done::WasSo),
                Some(_) => return nothing(Done::ByConfiguration),
            },
            Change::DisableUser(user) if user == by.user() => return nothing(Done::Yourself),
            Change::DisableUser(user) => match self.store.user(user).await? {
                None => return nothing(Done::NotFound),
                Some(info) if info.disabled.is_some() => return nothing(Done::WasSo),
                Some(_) => Ready::Disable(user.clone()),
            },
            Change::EnableUser(user) => match self.store.user(user).await? {
                None => return nothing(Done::NotFound),
                Some(info) if info.disabled.is_none() => return nothing(Done::WasSo),
                Some(_) => Ready::Enable(user.clone()),
            },
            Change::SignOutUser(user) => {
                if self.store.user(user).await?.is_none() {
                    return nothing(Done::NotFound);
                }
                let browsers = self.store.list_browsers(Some(user), now).await?.len() as u64;
                let sessions = self.store.sessions_of(user, LIFETIMES, now).await?.len() as u64;
                match (Ended { sessions, browsers }) {
                    none if none == Ended::default() => return nothing(Done::WasSo),
                    some => Ready::SignOut(user.clone(), some),
                }
            }
            Change::RevokeConsent(id) => match self.store.grant(id).await? {
                None => return nothing(Done::NotFound),
                Some(grant) if grant.revoked.is_some() => return nothing(Done::WasSo),
                Some(grant) => Ready::Consent(grant),
            },
            Change::RevokeKey(id) => match self.store.api_key_info(id).await? {
                None => return nothing(Done::NotFound),
                Some(key) if key.revoked.is_some() => return nothing(Done::WasSo),
                Some(key) => Ready::Key(key),
            },
        };
        Ok(Look::Ready(ready))
    }

    async fn known(&self, client: &Which) -> Result<Option<Known>, Away> {
        Ok(known::read(&self.settings.clients, &self.store, self.env.now()).await?.remove(&client.digest))
    }

    /// On the record first (B12, I2).
    async fn announced(&self, by: &Administrator<'_>, ready: &Ready, id: CorrelationId) -> Result<(), Away> {
        let notice = Notice { reason: ready.event(), id: Some(id), by: Some(by.user()), ..Notice::default() };
        let cause;
        let notice = match ready {
            Ready::Block(block) => {
                let name = Blocked::Digest(block.digest).to_string();
                cause = block.reason.as_ref().map_or_else(|| name.clone(), |reason| format!("{name}: {reason}"));
                Notice { client: block.client.as_ref(), cause: Some(&cause), ..notice }
            }
            Ready::Unblock(known) => {
                cause = known.digest_text();
                Notice { client: known.id.as_ref(), cause: Some(&cause), ..notice }
            }
            Ready::Disable(user) | Ready::Enable(user) => Notice { user: Some(user), ..notice },
            Ready::SignOut(user, Ended { sessions, browsers }) => {
                cause = format!("sessions: {sessions}, sign-ins: {browsers}");
                Notice { user: Some(user), cause: Some(&cause), ..notice }
            }
            Ready::Consent(grant) => {
                let (user, client, server) = (Some(&grant.user), Some(&grant.client), Some(&grant.server));
                Notice { user, client, server, cause: Some(grant.id.as_str()), ..notice }
            }
            Ready::Key(key) => Notice { user: Some(&key.user), cause: Some(key.id.as_str()), ..notice },
        };
        self.audit.event(&notice, self.env.now()).await.map_err(|error| {
            tracing::warn!(%error, "a change is not made: it could not be recorded");
            Away
        })
    }
}

impl Ready {
    /// Its name on the record: where others do the same, the same word.
    const fn event(&self) -> &'static str {
        match self {
            Self::Block(_) => "client_block_set",
            Self::Unblock(_) => "client_block_lifted",
            Self::Disable(_) => "person_disabled",
            Self::Enable(_) => "person_enabled",
            Self::SignOut(..) => "sessions_ended",
            Self::Consent(_) => "consent_withdrawn",
            Self::Key(_) => "api_key_revoked",
        }
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
            let Ok(Change::BlockClient { client: which, reason: None }) = block else { panic!("{client}: {block:?}") };
            assert_eq!((which.digest, which.id.is_some()), (sha256(b"dwc_x"), client == "dwc_x"));
        }
        assert_eq!(parse(&[("action", "block-client"), ("client", "key:k1")]), Err(Malformed::Member("client")), "a key is revoked");
        for reason in ["a\nb", &"x".repeat(181)] {
            let block = parse(&[("action", "block-client"), ("client", "dwc_x"), ("reason", reason)]);
            assert_eq!(block, Err(Malformed::Member("reason")));
        }
    }
}
