//! The form of `[idp.<name>]`, `[login]` and `[tokens]`.

use schemars::JsonSchema;
use serde::Deserialize;

/// Who may sign in. The name is `a-z`, `0-9` and `-`; it stands in the redirect URI that is registered there:
/// `<public_url>/login/<name>/callback`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdpFile {
    /// Default: `oidc`.
    pub kind: Option<IdpWord>,
    /// The issuer, exactly as the provider writes it: https, or http on a loopback host. Required.
    pub issuer: Option<String>,
    /// What Doorward is called there. Required.
    pub client_id: Option<String>,
    /// Reference to the client's secret. Required.
    pub client_secret: Option<String>,
    /// What is asked for; `openid` must be among it. Default: `["openid", "email", "profile"]`.
    pub scopes: Option<Vec<String>>,
    /// The claim with the groups, a list of names. Default: `groups`.
    pub groups_claim: Option<String>,
    /// The claim with the e-mail address. An address is never who somebody is. Default: `email`.
    pub email_claim: Option<String>,
    /// Google Workspace domains, compared with the claim `hd`; an account without one does not count. Default: none.
    pub domains: Option<Vec<String>>,
    /// How ID tokens may be signed. Default: `["RS256"]`.
    pub algs: Option<Vec<String>>,
    /// How far the provider's clock may be from ours, at most 60s. Default: `30s`.
    pub leeway: Option<String>,
}

/// Kinds of identity providers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdpWord {
    /// OpenID Connect: signs people in to pages.
    Oidc,
}

/// Who of those may come in, and for how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginFile {
    /// Domains of verified e-mail addresses, of which one is needed. Required for providers where anybody has an account, unless
    /// `allowed_groups` or the provider's `domains` say who. Default: no condition.
    pub allowed_email_domains: Option<Vec<String>>,
    /// Groups, of which one is needed. Default: no condition.
    pub allowed_groups: Option<Vec<String>>,
    /// Who administers: `user:IDP/SUBJECT`, `group:NAME`. They are signed out after 30 minutes without use. Default: nobody besides
    /// whoever has a terminal of the gateway.
    pub admins: Option<Vec<String>>,
    /// A sign-in ends after this long. Default: `12h`.
    pub session: Option<String>,
    /// And after this long without use. Default: `1h`.
    pub idle: Option<String>,
}

/// How long what applications are given is good for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokensFile {
    /// A code. Default: `60s`.
    pub code: Option<String>,
    /// An access token. Revoking does not wait for its end. Default: `1h`.
    pub access: Option<String>,
    /// A refresh token that nobody uses. Default: `14d`.
    pub refresh_idle: Option<String>,
    /// A refresh token that comes again this soon gets the same successor. Default: `30s`.
    pub replay_window: Option<String>,
    /// Whether tokens are bound to keys of their clients (DPoP, RFC 9449): never, for clients that prove a key, or always. Default:
    /// `optional`.
    pub dpop: Option<DpopWord>,
}

/// Whether tokens are bound to keys.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DpopWord {
    /// Never: proofs are not looked at, and tokens that were bound before count for nothing.
    Off,
    /// For clients that prove a key; theirs are of no use to anybody else.
    Optional,
    /// Always: a token that is bound to no key is of no use.
    Required,
}
