//! Secrets that can be told by how they begin. Prefixes as their issuers document them; none of these lines is a secret.

/// A kind of secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// For people: "GitHub token".
    pub(crate) title: &'static str,
    /// How it begins; empty for kinds that are told otherwise.
    pub(crate) prefix: &'static str,
    /// Shortest whole length.
    pub(crate) least: usize,
    /// Where it is taken back; empty if there is no one place.
    pub(crate) revoke: &'static str,
}

const fn kind(title: &'static str, prefix: &'static str, least: usize, revoke: &'static str) -> Kind {
    Kind { title, prefix, least, revoke }
}

const GITHUB: &str = "github.com/settings/tokens";
const SLACK: &str = "api.slack.com/apps";
const AWS: &str = "console.aws.amazon.com/iam";
const GOOGLE: &str = "console.cloud.google.com/apis/credentials";

/// Longer prefixes stand before the shorter ones that they begin with.
pub(crate) const PREFIXES: &[Kind] = &[
    kind("GitHub token", "ghp_", 30, GITHUB),
    kind("GitHub token", "github_pat_", 40, GITHUB),
    kind("GitHub OAuth token", "gho_", 30, "github.com/settings/applications"),
    kind("GitHub user token", "ghu_", 30, GITHUB),
    kind("GitHub installation token", "ghs_", 30, GITHUB),
    kind("GitHub refresh token", "ghr_", 30, GITHUB),
    kind("Slack token", "xoxb-", 20, SLACK),
    kind("Slack token", "xoxp-", 20, SLACK),
    kind("Slack token", "xoxa-", 20, SLACK),
    kind("Slack token", "xoxr-", 20, SLACK),
    kind("Slack token", "xoxs-", 20, SLACK),
    kind("Slack token", "xoxc-", 20, SLACK),
    kind("Slack token", "xoxd-", 20, SLACK),
    kind("Slack token", "xoxe", 20, SLACK),
    kind("Slack app token", "xapp-", 20, SLACK),
    kind("Linear key", "lin_api_", 24, "linear.app/settings/api"),
    kind("Anthropic key", "sk-ant-", 24, "console.anthropic.com/settings/keys"),
    kind("API key", "sk-", 24, "the pages of its issuer (OpenAI: platform.openai.com/api-keys)"),
    kind("GitLab token", "glpat-", 20, "gitlab.com/-/user_settings/personal_access_tokens"),
    kind("AWS access key", "AKIA", 20, AWS),
    kind("AWS temporary key", "ASIA", 20, AWS),
    kind("Google API key", "AIza", 35, GOOGLE),
    kind("Google access token", "ya29.", 24, "myaccount.google.com/permissions"),
    kind("Google refresh token", "1//0", 30, "myaccount.google.com/permissions"),
    kind("npm token", "npm_", 36, "npmjs.com/settings/~/tokens"),
    kind("AWS session token", "FwoG", 60, AWS),
    kind("AWS session token", "IQoJ", 60, AWS),
    kind("Doorward key", "dwk_", 24, "doorward apikey revoke"),
    kind("Doorward refresh token", "dwrt_", 24, "doorward revoke"),
    kind("Doorward access token", "dwat_", 24, "doorward revoke"),
    kind("Doorward client secret", "dwcs_", 24, "clients.block of Doorward"),
    kind("Hugging Face token", "hf_", 30, "huggingface.co/settings/tokens"),
    kind("PyPI token", "pypi-", 40, "pypi.org/manage/account"),
    kind("Sentry token", "sntrys_", 30, "sentry.io/settings/auth-tokens"),
    kind("Sentry token", "sntryu_", 30, "sentry.io/settings/account/api/auth-tokens"),
    kind("Notion token", "ntn_", 30, "notion.so/my-integrations"),
    kind("Figma token", "figd_", 30, "figma.com/settings"),
    kind("SendGrid key", "SG.", 40, "app.sendgrid.com/settings/api_keys"),
    kind("Stripe key", "sk_live_", 24, "dashboard.stripe.com/apikeys"),
    kind("Stripe key", "rk_live_", 24, "dashboard.stripe.com/apikeys"),
    kind("Stripe test key", "sk_test_", 24, "dashboard.stripe.com/test/apikeys"),
    kind("Shopify token", "shpat_", 30, "the app's page in Shopify"),
    kind("DigitalOcean token", "dop_v1_", 40, "cloud.digitalocean.com/account/api/tokens"),
    kind("Atlassian token", "ATATT3", 40, "id.atlassian.com/manage-profile/security/api-tokens"),
    kind("Tavily key", "tvly-", 20, "app.tavily.com"),
    kind("Perplexity key", "pplx-", 30, "perplexity.ai/settings/api"),
    kind("Groq key", "gsk_", 30, "console.groq.com/keys"),
    kind("xAI key", "xai-", 30, "console.x.ai"),
    kind("Replicate token", "r8_", 30, "replicate.com/account/api-tokens"),
    kind("NVIDIA key", "nvapi-", 30, "build.nvidia.com/settings/api-keys"),
    kind("Apify token", "apify_api_", 30, "console.apify.com/settings/integrations"),
    kind("age secret key", "AGE-SECRET-KEY-1", 40, ""),
];

pub(crate) const JWT: Kind = kind("JSON web token", "eyJ", 40, "");
pub(crate) const PEM: Kind = kind("private key", "", 0, "");
pub(crate) const URL_PASSWORD: Kind = kind("password in a URL", "", 0, "");
pub(crate) const URL_QUERY: Kind = kind("secret in the query of a URL", "", 0, "");
pub(crate) const SAS: Kind = kind("Azure shared access signature", "", 0, "portal.azure.com");
pub(crate) const BASIC: Kind = kind("user and password of HTTP basic authentication", "", 0, "");
pub(crate) const BEARER: Kind = kind("bearer token", "", 0, "");
pub(crate) const PASSWORD: Kind = kind("password", "", 0, "");
pub(crate) const NAMED: Kind = kind("secret by its name", "", 0, "");
pub(crate) const PLAIN: Kind = kind("plain value", "", 0, "");
