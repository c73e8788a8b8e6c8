//! Credentials that begin as their issuers say they begin.

use super::{Rule, credential, random, real, with_digit};

/// Another provider begins its keys in the same way and goes on in its own.
fn is_openai(found: &[u8]) -> bool {
    random(found) && !found.starts_with(b"sk-ant-")
}

pub(super) const RULES: &[Rule] = &[
    // docs.aws.amazon.com/IAM: unique identifiers; base 32 without 0, 1, 8 and 9.
    credential("aws-access-key", &["akia", "asia"], r"(?:^|[^A-Za-z0-9])(?P<s>(?:AKIA|ASIA)[A-Z2-7]{16})(?:[^A-Za-z0-9]|$)", real),
    credential(
        "aws-secret-key",
        &["aws_secret", "secret_access", "secretaccess"],
        r#"(?i)(?:aws_secret_?(?:access_?)?key|secret_?access_?key)\\?["']?\s*[:=]\s*\\?["']?(?P<s>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        random,
    ),
    Rule {
        reach: (8, 8192),
        ..credential(
            "aws-session-token",
            &["fwog", "iqoj"],
            r"(?:^|[^A-Za-z0-9+/])(?P<s>(?:FwoG|IQoJ)[A-Za-z0-9+/]{80,}={0,2})",
            with_digit,
        )
    },
    // Google: access tokens, refresh tokens, API keys, client secrets. A service account's file holds a private key.
    credential("gcp-access-token", &["ya29."], r"ya29\.[0-9A-Za-z_-]{20,}", real),
    credential("gcp-refresh-token", &["1//0"], r"(?:^|[^A-Za-z0-9])(?P<s>1//0[0-9A-Za-z_-]{20,})", with_digit),
    credential("gcp-api-key", &["aiza"], r"(?:^|[^A-Za-z0-9])(?P<s>AIza[0-9A-Za-z_-]{35})", real),
    credential("gcp-client-secret", &["gocspx-"], r"GOCSPX-[0-9A-Za-z_-]{28}", real),
    // github.blog/2021-04-05: prefix, random part, checksum.
    credential("github-token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"gh[pousr]_[0-9A-Za-z]{36,255}", with_digit),
    credential("github-fine-grained-token", &["github_pat_"], r"github_pat_[0-9A-Za-z_]{36,255}", with_digit),
    // docs.gitlab.com: token prefixes.
    credential(
        "gitlab-token",
        &["glpat-", "gldt-", "glrt-", "glptt-", "glsoat-", "glcbt-"],
        r"gl(?:pat|dt|rt|ptt|soat|cbt)-[0-9A-Za-z_.-]{20,}",
        with_digit,
    ),
    credential(
        "slack-token",
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe", "xoxc-", "xoxd-"],
        r"xox[abeprscd](?:\.xox[bp])?-[0-9A-Za-z%-]{15,}",
        with_digit,
    ),
    credential("slack-app-token", &["xapp-"], r"xapp-[0-9]-[0-9A-Z]+-[0-9]+-[0-9a-f]{16,}", with_digit),
    credential("slack-webhook", &["hooks.slack.com"], r"hooks\.slack\.com/(?P<s>(?:services|workflows)/[0-9A-Za-z+/]{40,60})", with_digit),
    credential("stripe-key", &["sk_live_", "rk_live_", "sk_test_", "rk_test_"], r"[sr]k_(?:live|test)_[0-9A-Za-z]{20,}", with_digit),
    credential("stripe-webhook-secret", &["whsec_"], r"whsec_[0-9A-Za-z+/]{28,}={0,2}", with_digit),
    credential("npm-token", &["npm_"], r"(?:^|[^A-Za-z0-9])(?P<s>npm_[0-9A-Za-z]{36})", with_digit),
    credential("pypi-token", &["pypi-ageichlwas5vcmc"], r"pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{50,}", real),
    credential("anthropic-key", &["sk-ant-"], r"sk-ant-[0-9A-Za-z]{3,8}-[0-9A-Za-z_-]{32,}", with_digit),
    credential("openai-key", &["sk-"], r"(?:^|[^A-Za-z0-9_-])(?P<s>sk-(?:proj-|svcacct-|admin-)?[0-9A-Za-z_-]{32,})", is_openai),
    credential("huggingface-token", &["hf_"], r"(?:^|[^A-Za-z0-9])(?P<s>hf_[0-9A-Za-z]{34})", real),
    credential("linear-key", &["lin_api_", "lin_oauth_"], r"lin_(?:api|oauth)_[0-9A-Za-z]{32,}", with_digit),
    credential("notion-token", &["ntn_"], r"(?:^|[^A-Za-z0-9])(?P<s>ntn_[0-9A-Za-z]{40,})", with_digit),
    credential("sendgrid-key", &["sg."], r"(?:^|[^A-Za-z0-9])(?P<s>SG\.[0-9A-Za-z_-]{20,24}\.[0-9A-Za-z_-]{39,50})", real),
    credential("digitalocean-token", &["dop_v1_", "doo_v1_", "dor_v1_"], r"do[opr]_v1_[0-9a-f]{64}", real),
    credential("atlassian-token", &["atatt3"], r"ATATT3[0-9A-Za-z_=-]{60,}", with_digit),
    credential("shopify-token", &["shpat_", "shpca_", "shppa_", "shpss_"], r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", real),
    credential("vault-token", &["hvs.", "hvb."], r"(?:^|[^A-Za-z0-9])(?P<s>hv[sb]\.[0-9A-Za-z_-]{24,})", with_digit),
    credential("databricks-token", &["dapi"], r"(?:^|[^A-Za-z0-9])(?P<s>dapi[0-9a-f]{32}(?:-\d)?)", real),
    credential("sentry-token", &["sntrys_", "sntryu_"], r"sntry[su]_[0-9A-Za-z+/=_-]{40,}", with_digit),
    credential("telegram-token", &[":aa"], r"(?:^|[^0-9])(?P<s>[0-9]{8,10}:AA[0-9A-Za-z_-]{33})(?:[^0-9A-Za-z_-]|$)", real),
];
