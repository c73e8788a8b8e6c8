//! Keys and values that the documentation of the product describes and this version cannot honour. They are refused by name:
//! a setting that is read and not obeyed would be a hole.

/// Paths of such keys; `*` is any one level. A path covers everything below it.
const KEYS: &[&str] = &[
    "banner",
    "idp.*.danger_allow_shared_audience",
    "idp.*.issuer_template",
    "idp.*.private_key",
    "idp.*.danger_trust_cloud_run_iam",
    "login.step_up",
    "login.groups",
    "clients.consent",
    "clients.durations",
    "clients.static.*.act_for",
    "tokens.apikey_max",
    "screening.model_armor",
    "screening.bedrock_guardrail",
    "screening.prompt_shields",
    "screening.lakera",
    "screening.webhook",
    "screening.tool_changes",
    "server.*.screening.model_armor",
    "server.*.screening.bedrock_guardrail",
    "server.*.screening.prompt_shields",
    "server.*.screening.lakera",
    "server.*.screening.webhook",
    "server.*.screening.tool_changes",
    "identity",
    "endpoints.aws_sts",
    "endpoints.entra_authority",
    "listen.admin",
    "store.auth",
    "store.migrate",
    "server.*.credential.wif_audience",
    "server.*.credential.boundary",
    "server.*.credential.danger_domain_wide_delegation",
    "server.*.icon",
    "server.*.accounts",
    "server.*.pins",
    "server.*.resource",
    "server.*.scopes",
    "server.*.sandbox",
    "server.*.danger_no_sandbox",
    "server.*.tls.client_cert",
    "server.*.tls.client_key",
    "policy.danger_log_only",
    "audit.anchor_every",
    "audit.anchor_to",
    "audit.required_sinks",
    "telemetry.otlp",
    "telemetry.traces",
    "egress.proxy",
    "egress.deny",
    "egress.dns",
];

/// Such values of keys that do exist.
const VALUES: &[(&str, &[&str])] = &[
    ("server.*.credential.kind", &["oauth-client", "token-exchange", "id-jag", "aws", "azure"]),
    ("idp.*.kind", &["builtin"]),
    ("clients.static.*.auth.kind", &["mtls"]),
    ("audit.arguments", &["redacted", "full"]),
    ("screening.arguments", &["redact"]),
    ("server.*.screening.arguments", &["redact"]),
];

/// Whether a path is such a key.
pub(super) fn is_unready_key(path: &[String]) -> bool {
    KEYS.iter().any(|known| fits(known, path))
}

/// Whether a text is such a value of the key at this path.
pub(super) fn is_unready_value(path: &[String], text: &str) -> bool {
    VALUES.iter().any(|(known, values)| fits(known, path) && values.contains(&text))
}

fn fits(known: &str, path: &[String]) -> bool {
    known.split('.').count() == path.len() && known.split('.').zip(path).all(|(step, there)| step == "*" || step == there)
}
