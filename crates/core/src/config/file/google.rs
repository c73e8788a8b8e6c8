//! The form of what concerns Google: rows of a mapping, and where its services are.

use schemars::JsonSchema;
use serde::Deserialize;

/// One text, or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Who becomes which service account. Every condition has to hold; a list means any of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapRowFile {
    /// `read`, `write`, `destructive`, or patterns of names of tools. What calls no tool reads.
    pub tools: Option<OneOrMany>,
    /// People, as `ISSUER/SUBJECT`.
    pub users: Option<OneOrMany>,
    /// People of these groups.
    pub groups: Option<OneOrMany>,
    /// By these clients.
    pub clients: Option<OneOrMany>,
    /// By clients with these labels.
    pub agents: Option<OneOrMany>,
    /// Required. The account to become.
    pub service_account: Option<String>,
    /// Required. What the token may be used for.
    pub scopes: Option<OneOrMany>,
    /// Default: that of the credential.
    pub lifetime: Option<String>,
    /// `false`: whoever fits is refused, and no later row is looked at. Default: true.
    pub enabled: Option<bool>,
    /// `true`: as this account Doorward itself looks what tools there are. Default: as whom a caller becomes whom no row names.
    pub catalogue: Option<bool>,
}

/// Where the services of Google are, in another universe and in tests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointsFile {
    /// Default: `googleapis.com`.
    pub universe_domain: Option<String>,
    /// IAM Service Account Credentials API. Default: `https://iamcredentials.UNIVERSE`.
    pub iamcredentials: Option<String>,
    /// Security Token Service. Default: `https://sts.UNIVERSE`.
    pub sts: Option<String>,
    /// OAuth token endpoint. Default: `https://oauth2.UNIVERSE`.
    pub oauth2: Option<String>,
    /// Metadata server. Default: `http://metadata.google.internal`.
    pub metadata: Option<String>,
    /// Hosts that `credential_source.url` of a credential file may name. Default: none.
    pub subject_token_hosts: Option<Vec<String>>,
}

impl OneOrMany {
    /// Each text.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}
