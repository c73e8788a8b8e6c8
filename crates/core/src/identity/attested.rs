//! What a token or certificate of a configured issuer shows: who calls, attested by somebody whom the administrator trusts
//! (`credentials.md` 4.3).
//!
//! The issuer is chosen by the configuration and the unverified `iss`; what is believed of the token is what a key of that issuer
//! signed. Nothing of the token leaves this module but who it is about. Must not know where keys were read.

use super::caller::{Audience, Level, Record, Standing};
use super::issuer::{Carrier, IssuerKind, IssuerRule, TokenGroups, Truth, Wanted};
use super::presented::Presented;
use super::svid::{self, BadSvid, PeerCertificate};
use super::tokeninfo::{Told, Untold, is_opaque};
use crate::id::{AgentLabel, ClientId, CredentialId, GroupName, ServerName, UserId};
use crate::json::RawJson;
use crate::oidc::jose::{self, BadToken, Signed};
use crate::oidc::keys::KeySet;
use crate::oidc::token::groups;
use crate::secret::{hex, sha256};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Somebody for whom a configured issuer vouches. Only [`attest`], [`attest_text`], [`attest_peer`] and
/// [`attest_told`] make one.
#[derive(Debug)]
pub struct Attested {
    record: Record,
    groups: TokenGroups,
    token: String,
}

/// The same with what is known of them here. Only [`Attested::standing`] makes one.
#[derive(Debug)]
pub struct Identity {
    record: Arc<Record>,
    attested: Arc<Attested>,
}

/// For what a token is shown.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// At `/k/<server>/mcp` of this installation, whose root this is.
    Call(&'a str),
    /// At the token endpoint of this issuer (RFC 7523 section 2.1).
    Grant(&'a str),
}

/// Why a token shows nobody. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattested {
    /// The token itself.
    Token(BadToken),
    /// The certificate itself.
    Certificate(BadSvid),
    /// `iss` is not the issuer whose keys these are.
    Issuer,
    /// `aud` is missing or names nothing of ours.
    Audience,
    /// A claim that has to be there is missing, or is not what it should be.
    Claim,
    /// `sub` is not usable, or none of the subjects that count.
    Subject,
    /// It has ended.
    Expired,
    /// It was made, or counts, only in the future.
    Early,
    /// It was made too long ago.
    Old,
    /// It counts for longer than tokens of this issuer may.
    TooLong,
    /// A claim does not say what it must.
    Demand,
    /// The account is of none of the domains.
    Domain,
    /// The service account is none of those that count.
    ServiceAccount,
    /// Google does not know it, or not any more.
    Unknown,
    /// Google has not verified the address of its owner, or does not say it.
    Email,
    /// Groups cannot be read, there are too many, or the token names none.
    Groups,
    /// People sign in by the same issuer, and this one may not come in.
    NotAdmitted,
}

/// Google's name for what is no person.
const SERVICE_ACCOUNT: &str = ".gserviceaccount.com";
/// Longest client that is named in the record, in bytes.
const LONGEST_CLIENT: usize = 200;
const DEPTH: usize = 16;
/// How early authorities write `notBefore`, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(300);

/// The rule that a presented token is to be held against: by where it came and what it says of its issuer, of which nothing is believed yet.
///
/// # Errors
/// [`Several`], where more than one could be meant: nobody could tell who calls.
pub fn meant<'a>(presented: &Presented, rules: impl IntoIterator<Item = &'a IssuerRule>) -> Result<Option<&'a IssuerRule>, Several> {
    let rules = rules.into_iter().filter(|rule| rule.forms.has_tokens());
    let mut fitting = rules.filter(|rule| presented.token(rule.carrier).is_some_and(|token| is_of(token, rule)));
    match (fitting.next(), fitting.next()) {
        (found, None) => Ok(found),
        (_, Some(_)) => Err(Several),
    }
}

/// A request with tokens of more than one issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Several;

/// The same for a token in a form.
pub fn meant_by<'a>(token: &str, rules: impl IntoIterator<Item = &'a IssuerRule>) -> Option<&'a IssuerRule> {
    rules.into_iter().find(|rule| rule.may_grant() && is_of(token, rule))
}

fn is_of(token: &str, rule: &IssuerRule) -> bool {
    if rule.kind == IssuerKind::GoogleAccessToken {
        return is_opaque(token);
    }
    let Some(claims) = unverified(token) else { return false };
    let text = |name: &str| claims.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    match rule.kind {
        IssuerKind::Spiffe => text("sub").is_some_and(|sub| is_in(&sub, rule.issuer())),
        _ => text("iss").is_some_and(|iss| rule.issuers.contains(&iss)),
    }
}

/// What a token says, before anybody has looked at its signature: to find the keys, and for nothing else.
fn unverified(token: &str) -> Option<RawJson> {
    let body = token.split('.').nth(1).filter(|_| token.len() <= jose::LONGEST)?;
    RawJson::parse(&Bytes::from(URL_SAFE_NO_PAD.decode(body).ok()?), DEPTH).ok().filter(RawJson::is_object)
}

/// Whether a SPIFFE ID lies in a trust domain, `spiffe://td`.
fn is_in(id: &str, domain: &str) -> bool {
    svid::domain(id) == Some(domain)
}

/// Holds the token that came as a rule says against the rule and the keys of its issuer.
///
/// # Errors
/// [`Unattested`]; [`Unattested::Claim`] too where nothing came.
pub fn attest(
    presented: &Presented,
    rule: &IssuerRule,
    keys: &KeySet,
    purpose: Purpose<'_>,
    now: Timestamp,
) -> Result<Attested, Unattested> {
    attest_text(presented.token(rule.carrier).ok_or(Unattested::Claim)?, rule, keys, purpose, now)
}

/// The same for a token in a form.
///
/// # Errors
/// [`Unattested`].
pub fn attest_text(token: &str, rule: &IssuerRule, keys: &KeySet, purpose: Purpose<'_>, now: Timestamp) -> Result<Attested, Unattested> {
    let types: Vec<&str> = rule.types.iter().map(String::as_str).collect();
    let signed = jose::verify_as(token, keys, &rule.algs, &types).map_err(Unattested::Token)?;
    let claims = signed.payload();
    // A token that tells of an event (RFC 8417) speaks of somebody, not for them: a logout token need not say its type.
    if claims.member("events").is_some() {
        return Err(Unattested::Claim);
    }
    let text = |name: &str| claims.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    let subject = text("sub").ok_or(Unattested::Subject)?;
    if rule.kind == IssuerKind::Spiffe {
        // A JWT-SVID is of its trust domain, whatever `iss` says (JWT-SVID section 3).
        if !is_in(&subject, rule.issuer()) {
            return Err(Unattested::Subject);
        }
    } else if !text("iss").is_some_and(|iss| rule.issuers.contains(&iss)) {
        return Err(Unattested::Issuer);
    }
    let expires = times(claims, rule, now)?;
    let servers = audience(claims, rule, purpose)?;
    let user = UserId::new(rule.issuer(), &subject).map_err(|_| Unattested::Subject)?;
    if !rule.subjects.is_empty() && !rule.subjects.iter().any(|pattern| pattern.matches(&subject)) {
        return Err(Unattested::Subject);
    }
    let level = google(claims, rule)?;
    if !rule.require.iter().all(|demand| says(claims, &demand.claim, &demand.wanted)) {
        return Err(Unattested::Demand);
    }
    let groups = match &rule.groups_claim {
        None => TokenGroups::Known,
        // What says nothing of groups is not "no groups": a rule may forbid something to a group.
        Some(claim) => match groups(claims, claim) {
            Ok(Some(mut named)) => {
                named.sort_unstable();
                TokenGroups::Named(named)
            }
            Ok(None) | Err(_) => return Err(Unattested::Groups),
        },
    };
    let client = client(claims, rule).ok_or(Unattested::Claim)?;
    let record = record((user, client, level), rule, servers, expires)?;
    Ok(Attested { record, groups, token: named(token, &signed) })
}

/// Holds the certificate of the peer of a connection against the rule of the trust domain whose certificates count. It says nothing of an
/// audience, groups or other claims: it counts for every server of the rule, and a rule that wants such claims is not met.
///
/// # Errors
/// [`Unattested`].
pub fn attest_peer(certificate: &PeerCertificate, rule: &IssuerRule, now: Timestamp) -> Result<Attested, Unattested> {
    let svid = certificate.svid().map_err(Unattested::Certificate)?;
    if rule.kind != IssuerKind::Spiffe || !rule.forms.has_certificates() || !is_in(&svid.id, rule.issuer()) {
        return Err(Unattested::Issuer);
    }
    // To the second: whoever trusts a certificate does so for as long as it says.
    if svid.until <= now {
        return Err(Unattested::Expired);
    }
    if svid.from > now.after(rule.leeway) {
        return Err(Unattested::Early);
    }
    // There are no lists of what was taken back: a short life stands for them.
    if svid.until.since(svid.from) > rule.max_lifetime + BACKDATED {
        return Err(Unattested::TooLong);
    }
    let old = rule.max_age.map(|most| svid.from.after(most).after(rule.leeway));
    if old.is_some_and(|old| old <= now) {
        return Err(Unattested::Old);
    }
    let user = UserId::new(rule.issuer(), &svid.id).map_err(|_| Unattested::Subject)?;
    if !rule.subjects.is_empty() && !rule.subjects.iter().any(|pattern| pattern.matches(&svid.id)) {
        return Err(Unattested::Subject);
    }
    if !rule.require.is_empty() {
        return Err(Unattested::Demand);
    }
    if rule.groups_claim.is_some() {
        return Err(Unattested::Groups);
    }
    let client = ClientId::new(&format!("{PREFIX}{}", rule.name)).map_err(|_| Unattested::Claim)?;
    let servers = rule.scopes.iter().map(|scope| scope.server().clone()).collect();
    let expires = old.map_or(svid.until, |old| old.min(svid.until));
    let record = record((user, client, Level::Cloud), rule, servers, expires)?;
    let token = format!("certificate sha256:{}", hex(certificate.digest()));
    Ok(Attested { record, groups: TokenGroups::Known, token })
}

/// Holds what Google says of the opaque access token of a request against the rule that is for such. It was made for no server, so that it
/// counts for every one of the rule.
///
/// # Errors
/// [`Unattested`].
pub fn attest_told(presented: &Presented, told: &Told, rule: &IssuerRule, now: Timestamp) -> Result<Attested, Unattested> {
    if rule.kind != IssuerKind::GoogleAccessToken || !told.is_about(presented) {
        return Err(Unattested::Issuer);
    }
    if told.is_over(now) {
        return Err(Unattested::Expired);
    }
    if told.expires.since(now) > rule.max_lifetime + rule.leeway {
        return Err(Unattested::TooLong);
    }
    let email = told.email.clone().ok_or(Unattested::Email)?;
    let subject = told.subject.as_deref().ok_or(Unattested::Subject)?;
    let user = UserId::new(rule.issuer(), subject).map_err(|_| Unattested::Subject)?;
    if !rule.subjects.is_empty() && !rule.subjects.iter().any(|pattern| pattern.matches(subject)) {
        return Err(Unattested::Subject);
    }
    let level = account(rule, Some(email), told.domain.as_ref())?;
    let client = ClientId::new(&format!("{PREFIX}{}/{}", rule.name, told.client)).map_err(|_| Unattested::Claim)?;
    let servers = rule.scopes.iter().map(|scope| scope.server().clone()).collect();
    let record = record((user, client, level), rule, servers, told.expires)?;
    let digest = presented.digest(Carrier::Authorization).unwrap_or_default();
    let token = format!("google access token sha256:{} (passthrough risk)", hex(digest.get(..16).unwrap_or_default()));
    Ok(Attested { record, groups: TokenGroups::Known, token })
}

fn record(
    (user, client, level): (UserId, ClientId, Level),
    rule: &IssuerRule,
    servers: BTreeSet<ServerName>,
    expires: Timestamp,
) -> Result<Record, Unattested> {
    let granted = rule.scopes.iter().filter(|scope| servers.contains(scope.server())).map(ToString::to_string).collect();
    Ok(Record {
        credential: credential(&user, &client, &servers).ok_or(Unattested::Claim)?,
        level,
        user,
        groups: Vec::new(),
        client,
        agent: None,
        audience: Audience::Only(servers),
        granted,
        expires,
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    })
}

/// Until when it counts.
fn times(claims: &RawJson, rule: &IssuerRule, now: Timestamp) -> Result<Timestamp, Unattested> {
    let second = |name: &str| claims.member(name).map(|value| jose::seconds(&value).ok_or(Unattested::Claim)).transpose();
    let exp = second("exp")?.ok_or(Unattested::Claim)?;
    let (iat, nbf) = (second("iat")?, second("nbf")?);
    let (leeway, at) = (rule.leeway.as_secs(), now.as_millis() / 1_000);
    if exp.saturating_add(leeway) <= at {
        return Err(Unattested::Expired);
    }
    if [iat, nbf].into_iter().flatten().any(|time| time > at.saturating_add(leeway)) {
        return Err(Unattested::Early);
    }
    // What does not say when it was made was made now at the latest.
    if exp.saturating_sub(iat.unwrap_or(at)) > rule.max_lifetime.as_secs().saturating_add(leeway) {
        return Err(Unattested::TooLong);
    }
    if let Some(most) = rule.max_age {
        let iat = iat.ok_or(Unattested::Claim)?;
        if iat.saturating_add(most.as_secs()).saturating_add(leeway) < at {
            return Err(Unattested::Old);
        }
    }
    let old = rule.max_age.zip(iat).map(|(most, iat)| iat.saturating_add(most.as_secs()));
    Ok(Timestamp::from_millis(old.map_or(exp, |old| old.min(exp)).saturating_mul(1_000)).after(rule.leeway))
}

/// The servers that it counts for: those of the rule, and of these only the ones whose address it names where no audience is configured.
/// All that it names has to be ours: what another one was meant to believe, too, it could have brought here.
fn audience(claims: &RawJson, rule: &IssuerRule, purpose: Purpose<'_>) -> Result<BTreeSet<ServerName>, Unattested> {
    let aud = claims.member("aud").ok_or(Unattested::Audience)?;
    let named: Vec<String> = match aud.elements() {
        None => aud.as_text().map(std::borrow::Cow::into_owned).into_iter().collect(),
        Some(all) => {
            let texts = all.iter().map(|one| one.as_text().map(std::borrow::Cow::into_owned));
            texts.collect::<Option<_>>().ok_or(Unattested::Audience)?
        }
    };
    let all = || rule.scopes.iter().map(|scope| scope.server().clone());
    let is_ours = |one: &String| match purpose {
        _ if !rule.audience.is_empty() => rule.audience.contains(one),
        Purpose::Call(root) => all().any(|server| *one == address(root, &server)),
        Purpose::Grant(issuer) => one == issuer,
    };
    if named.is_empty() || !named.iter().all(is_ours) {
        return Err(Unattested::Audience);
    }
    Ok(match purpose {
        Purpose::Call(root) if rule.audience.is_empty() => all().filter(|server| named.contains(&address(root, server))).collect(),
        _ => all().collect(),
    })
}

/// The address at which a server is called with keys and tokens of other issuers.
#[must_use]
pub fn address(root: &str, server: &ServerName) -> String {
    format!("{root}/k/{server}/mcp")
}

/// Google's own conditions, and the level: a service account is a narrow machine account, whoever acts as it (`credentials.md` 5.2).
fn google(claims: &RawJson, rule: &IssuerRule) -> Result<Level, Unattested> {
    if !matches!(rule.kind, IssuerKind::GoogleIdToken | IssuerKind::GcpIap) {
        return Ok(Level::Cloud);
    }
    let text = |name: &str| claims.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
    // IAP names only accounts that Google has verified, and does not say so.
    let is_verified = rule.kind == IssuerKind::GcpIap || claims.member("email_verified").is_some_and(|value| value.as_bytes() == b"true");
    let email = text("email").filter(|_| is_verified).map(|email| email.to_ascii_lowercase());
    account(rule, email, text("hd").as_ref())
}

/// The same of an account whose address Google has verified, where it says one.
fn account(rule: &IssuerRule, email: Option<String>, domain: Option<&String>) -> Result<Level, Unattested> {
    if let Some(account) = email.filter(|email| email.ends_with(SERVICE_ACCOUNT)) {
        let counts = rule.service_accounts.iter().any(|pattern| pattern.matches(&account));
        return if counts { Ok(Level::Impersonation) } else { Err(Unattested::ServiceAccount) };
    }
    // Whoever is named one by one needs no domain: what Google says of an access token may not tell it.
    let is_named = rule.kind == IssuerKind::GoogleAccessToken && !rule.subjects.is_empty();
    let is_free = rule.domains.is_empty() && (is_named || rule.kind == IssuerKind::GcpIap);
    let is_of_domain = domain.is_some_and(|own| rule.domains.contains(own));
    if is_free || is_of_domain { Ok(Level::Cloud) } else { Err(Unattested::Domain) }
}

/// Whether a claim says what it must.
fn says(claims: &RawJson, claim: &str, wanted: &Wanted) -> bool {
    let value = match claim.strip_prefix('/') {
        None => claims.member(claim),
        // RFC 6901 section 4; a number names a member here, never a place in a list.
        Some(way) => way.split('/').try_fold(claims.clone(), |value, step| value.member(&step.replace("~1", "/").replace("~0", "~"))),
    };
    let Some(value) = value else { return false };
    let one = |value: &RawJson| match wanted {
        Wanted::OneOf(texts) => value.as_text().is_some_and(|text| texts.iter().any(|wanted| *wanted == *text)),
        Wanted::Is(Truth::True) => value.as_bytes() == b"true",
        Wanted::Is(Truth::False) => value.as_bytes() == b"false",
        Wanted::Like(pattern) => value.as_text().is_some_and(|text| pattern.matches(&text)),
    };
    value.elements().map_or_else(|| one(&value), |all| all.iter().any(one))
}

/// `idp:<name>`, with the client that the issuer names: a name of its own, which no registered client can have.
fn client(claims: &RawJson, rule: &IssuerRule) -> Option<ClientId> {
    let plain = |text: &String| (1..=LONGEST_CLIENT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = |name: &str| claims.member(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned)).filter(plain);
    // For a service account of Google `azp` is the account again.
    let named = match rule.kind {
        IssuerKind::Jwt | IssuerKind::GcpIap => ["azp", "appid", "client_id"].into_iter().find_map(text),
        _ => None,
    };
    let id = named.map_or_else(|| format!("{PREFIX}{}", rule.name), |named| format!("{PREFIX}{}/{named}", rule.name));
    ClientId::new(&id).ok()
}

/// The id of a client without what its issuer calls it: `idp:<name>` of `idp:<name>/<client>`. Others are what they are.
#[must_use]
pub fn vouching(client: &ClientId) -> ClientId {
    let text = client.as_str();
    let name = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).map(|(name, _)| format!("{PREFIX}{name}"));
    name.and_then(|name| ClientId::new(&name).ok()).unwrap_or_else(|| client.clone())
}

/// What ids of clients begin with that an issuer vouches for.
pub const PREFIX: &str = "idp:";

/// What somebody has of servers through an issuer is one credential, whichever token carries it: a session goes on with the next token. A
/// token for other servers is another one, so that it says nothing of this.
fn credential(user: &UserId, client: &ClientId, servers: &BTreeSet<ServerName>) -> Option<CredentialId> {
    let (issuer, client) = (user.issuer(), client.as_str());
    let servers: String = servers.iter().flat_map(|server| ["\0", server.as_str()]).collect();
    let digest = sha256(format!("doorward attested v2\0{issuer}\0{}\0{client}{servers}", user.subject()).as_bytes());
    CredentialId::new(&format!("idp_{}", hex(digest.get(..12)?))).ok()
}

/// A token in the record: its digest, and its `jti` where it has a plain one. Never the token.
fn named(token: &str, signed: &Signed) -> String {
    let digest = sha256(token.as_bytes());
    let mut text = format!("token sha256:{}", hex(digest.get(..16).unwrap_or_default()));
    let id = signed.payload().member("jti").and_then(|id| id.as_text().map(std::borrow::Cow::into_owned));
    if let Some(id) = id.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())) {
        let _ = write!(text, " jti {id}");
    }
    text
}

// === impl Attested ===

impl Attested {
    /// Who.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.record.user
    }

    /// Through what.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.record.client
    }

    /// What it may be used for.
    #[must_use]
    pub const fn granted(&self) -> &BTreeSet<String> {
        &self.record.granted
    }

    /// The token or certificate in the record: a digest, never the token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// With what is known of the user here: their groups, unless the token says which, and whether they may act.
    #[must_use]
    pub fn standing(self: &Arc<Self>, known: Vec<GroupName>, standing: Standing) -> Identity {
        let groups = match &self.groups {
            TokenGroups::Named(named) => named.clone(),
            TokenGroups::Known => known,
        };
        let record = Record { groups, user_disabled: standing == Standing::Disabled, ..self.record.clone() };
        Identity { record: Arc::new(record), attested: Arc::clone(self) }
    }
}

// === impl Identity ===

impl Identity {
    /// The facts.
    #[must_use]
    pub const fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// With what the administrator calls the agent that comes through its client.
    #[must_use]
    pub fn called(self, agent: Option<&AgentLabel>) -> Self {
        Self { record: Record::called(self.record, agent), attested: self.attested }
    }

    /// Who vouches for it.
    #[must_use]
    pub const fn attested(&self) -> &Arc<Attested> {
        &self.attested
    }
}

impl From<Untold> for Unattested {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Client => Self::Audience,
            Untold::Times | Untold::Unreadable => Self::Claim,
        }
    }
}

// === impl Unattested ===

impl Unattested {
    /// Stable id for audit, metrics and documentation.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Token(BadToken::Algorithm) => "bad_alg",
            Self::Token(BadToken::Key(_)) => "bad_key",
            Self::Token(BadToken::Signature) => "bad_signature",
            Self::Token(BadToken::Form | BadToken::Extension | BadToken::Kind) => "bad_token",
            Self::Certificate(bad) => bad.reason(),
            Self::Issuer => "wrong_issuer",
            Self::Audience => "wrong_audience",
            Self::Claim => "missing_claim",
            Self::Subject => "subject_not_allowed",
            Self::Expired => "expired_credential",
            Self::Early => "not_yet_valid",
            Self::Old => "too_old",
            Self::TooLong => "lifetime_too_long",
            Self::Demand => "predicate_failed",
            Self::Domain => "domain_not_allowed",
            Self::ServiceAccount => "service_account_not_allowed",
            Self::Unknown => "token_not_known",
            Self::Email => "email_not_verified",
            Self::Groups => "bad_groups",
            Self::NotAdmitted => "sign_in_not_allowed",
        }
    }
}

#[cfg(test)]
mod tests;
