//! The form of `[idp.<name>]`, `[login]` and `[tokens]`.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Who may sign in (`kind = "oidc"`), or whose tokens count at `/k/<server>/mcp` (every other kind). The name is `a-z`, `0-9` and `-`; of
/// the first kind it stands in the redirect URI that is registered there: `<public_url>/login/<name>/callback`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdpFile {
    /// Default: `oidc`.
    pub kind: Option<IdpWord>,
    /// The issuer, exactly as the provider writes it: https, or http on a loopback host; of `spiffe` the trust domain, `spiffe://td`.
    /// Required, but for Google's own.
    pub issuer: Option<String>,
    /// `oidc`: what Doorward is called there. Required.
    pub client_id: Option<String>,
    /// `oidc`: reference to the client's secret. Required.
    pub client_secret: Option<String>,
    /// `oidc`: what is asked for; `openid` must be among it. Default: `["openid", "email", "profile"]`. Every other kind: what its tokens
    /// may be used for, as `SERVER:read`, `SERVER:write` or `SERVER:destructive`, and nothing besides. Required.
    pub scopes: Option<Vec<String>>,
    /// The claim with the groups, a list of names. Default of `oidc`: `groups`; of every other kind: none, and the groups count that are
    /// known of the user here.
    pub groups_claim: Option<String>,
    /// `oidc`: the claim with the e-mail address. An address is never who somebody is. Default: `email`.
    pub email_claim: Option<String>,
    /// Google Workspace domains, compared with the claim `hd`; an account without one does not count. Default of `oidc` and `gcp-iap`: no
    /// condition; of `google-id-token` and `google-access-token`: no person counts by one.
    pub domains: Option<Vec<String>>,
    /// How tokens may be signed. Default: `["RS256"]`; of `gcp-iap` `["ES256"]`, of `aws-web-identity` `["RS256", "ES384"]`, of
    /// `kubernetes` and `spiffe` `["RS256", "ES256"]`.
    pub algs: Option<Vec<String>>,
    /// How far the provider's clock may be from ours, at most 60s. Default: `30s`.
    pub leeway: Option<String>,
    /// `oidc`: what ends here when somebody signs out at the provider, which says so at `<public_url>/login/<name>/logout`. Default:
    /// `backchannel`.
    pub logout: Option<LogoutWord>,
    /// Not `oidc`: values of `aud`, of which a token needs one, exactly. Default: the very address that is called,
    /// `<public_url>/k/<server>/mcp`. Required for `gcp-iap`.
    pub audience: Option<Vec<String>>,
    /// Not `oidc`: its public keys, a file or an https address. Default: what its metadata names
    /// (`<issuer>/.well-known/openid-configuration`). Required for `spiffe` with `jwt` among its `svids`.
    pub jwks: Option<String>,
    /// Not `oidc`: a PEM file of the authorities that its addresses are believed by, and no others. Default: those of the system.
    pub jwks_ca: Option<String>,
    /// Not `oidc`: patterns of subjects, of which one must fit. `*` is any run of characters without `:`, `/` and `@`, `**` at the end any
    /// rest. Required where everybody has tokens of the issuer.
    pub subject_pattern: Option<Vec<String>>,
    /// `google-access-token`: the OAuth clients of Google whose tokens count, as `aud` of tokeninfo says them. Required.
    pub client_ids: Option<Vec<String>>,
    /// `google-access-token`: must be `true`. Such a token is a live credential of its owner at Google: whoever is shown it can use it there.
    pub danger_accept_google_access_tokens: Option<bool>,
    /// `google-access-token`: where Google says whose a token is. Default: `https://oauth2.googleapis.com/tokeninfo`.
    pub tokeninfo: Option<String>,
    /// `google-id-token`, `google-access-token` and `gcp-iap`: patterns of the addresses of service accounts, written as those of subjects. Default: none counts.
    pub service_accounts: Option<Vec<String>>,
    /// Not `oidc`: what claims must say: a text, a list of texts of which one, `true` or `false`, or `{ pattern = ".." }`. A name that
    /// begins with `/` is a way to a claim: `"/kubernetes.io/namespace"`.
    pub require: Option<BTreeMap<String, RequireFile>>,
    /// Not `oidc`: what `typ` may say, such as `["at+jwt"]`. Default: `JWT` or nothing.
    pub typ: Option<Vec<String>>,
    /// Not `oidc`: the header that the token comes in, `Authorization`, `X-Goog-Iap-Jwt-Assertion`, `Cf-Access-Jwt-Assertion` or
    /// `X-Pomerium-Jwt-Assertion`. Default: the first; of `gcp-iap` the second.
    pub header: Option<String>,
    /// Not `oidc`: how long ago a token may have been made. Default: no condition besides its end.
    pub max_age: Option<String>,
    /// Not `oidc`: how long a token may be good for, from `iat` to `exp`, or a certificate. Default: `1h`.
    pub max_lifetime: Option<String>,
    /// `spiffe`: what counts of the trust domain, `jwt` (tokens) and `x509` (certificates of clients, whose authorities are those of
    /// `listen.tls.client_ca`). Default: `["jwt"]`.
    pub svids: Option<Vec<SvidWord>>,
}

/// A form of SPIFFE identity document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SvidWord {
    /// JWT-SVID.
    Jwt,
    /// X.509-SVID.
    X509,
}

/// What a claim must say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequireFile {
    /// Exactly this.
    Text(String),
    /// One of these.
    Texts(Vec<String>),
    /// This truth value.
    Flag(bool),
    /// What fits a pattern.
    Form(RequireForm),
}

/// What a claim must look like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequireForm {
    /// The pattern, written as those of subjects.
    pub pattern: String,
}

/// Kinds of identity providers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdpWord {
    /// OpenID Connect: signs people in to pages.
    Oidc,
    /// ID tokens of Google: people of a Workspace domain, and service accounts, also under impersonation.
    GoogleIdToken,
    /// Opaque access tokens of Google (`ya29.`), of which Google says whose they are. Off without `danger_accept_google_access_tokens`.
    GoogleAccessToken,
    /// The assertion that Google's Identity-Aware Proxy puts beside a request.
    GcpIap,
    /// Tokens of `sts:GetWebIdentityToken` (AWS outbound identity federation).
    AwsWebIdentity,
    /// Projected service-account tokens of a Kubernetes cluster.
    Kubernetes,
    /// JWT-SVIDs and X.509-SVIDs of a SPIFFE trust domain.
    Spiffe,
    /// Any other issuer of JWTs: Entra ID, GitHub Actions, an identity provider of one's own.
    Jwt,
}

/// What ends with a session at the provider.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogoutWord {
    /// Sign-ins here. What the person allowed applications has its own end.
    Backchannel,
    /// Sign-ins, and what the person allowed applications.
    BackchannelRevoke,
    /// Nothing: the address is not served.
    None,
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
    /// Who may see what administrators see, settings apart, and change nothing: `user:IDP/SUBJECT`, `group:NAME`. They are signed out as
    /// administrators are. Default: nobody.
    pub auditors: Option<Vec<String>>,
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
