//! What each service answers, right or wrong. Shapes are those of the API models that credentials.md 9 names.

use super::{Fault, Inside, KEYED, MACHINE, REFRESH, SUBJECT, Whose};
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::oauth::form::Form;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// Who the person of the refresh token is.
const PERSON: &str = "ann@corp.example";
/// Who the workload of the subject token is.
const WORKLOAD: &str = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/ci";

pub(super) fn metadata(inside: &mut Inside, fault: Fault, (path, query): (&str, &str), flavor: Option<&str>) -> Response {
    if flavor != Some("Google") {
        return text(403, "text/html", "Missing Metadata-Flavor:Google header.");
    }
    let form = Form::parse(query).ok();
    let asked = |name: &str| form.as_ref().and_then(|form| form.get(name)).unwrap_or_default().to_owned();
    let mut response = match path.strip_prefix("/computeMetadata/v1/instance/service-accounts/default/") {
        _ if fault != Fault::None && fault != Fault::NoFlavor && fault != Fault::Expired && fault != Fault::TextNumbers => wrong(fault),
        Some("token") => {
            let scopes = asked("scopes").split(',').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
            let token = inside.mint(Whose::of(MACHINE, scopes));
            access(fault, &token, None)
        }
        Some("identity") => {
            let audience = asked("audience");
            if audience.is_empty() {
                return text(400, "text/html", "non-empty audience parameter required");
            }
            let token = identity(inside, fault, MACHINE, &audience, None);
            text(200, "text/html", &token)
        }
        Some("email") => text(200, "application/text", MACHINE),
        _ => text(404, "text/html", "not found"),
    };
    if fault != Fault::NoFlavor {
        response.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
    }
    response
}

pub(super) fn oauth(inside: &mut Inside, fault: Fault, own: &str, body: &str) -> Response {
    if let Some(response) = broken(fault) {
        return response;
    }
    let refuse = |code: &str| json_of(400, &json!({"error": code, "error_description": "canary of the token endpoint"}));
    let Ok(form) = Form::parse(body) else { return refuse("invalid_request") };
    let scopes: Vec<String> =
        form.get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    match form.get("grant_type") {
        Some("refresh_token") if form.get("scopes").is_some() => refuse("invalid_request"),
        Some("refresh_token") if form.get("client_id") != Some("gcloud") || form.get("client_secret") != Some("d-secret") => {
            json_of(401, &json!({"error": "invalid_client"}))
        }
        Some("refresh_token") if form.get("refresh_token") == Some(REFRESH) => {
            let token = inside.mint(Whose::of(PERSON, scopes));
            access(fault, &token, form.get("scope"))
        }
        Some("refresh_token") => refuse("invalid_grant"),
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            let Some(claims) = form.get("assertion").and_then(|assertion| assertion_of(inside, assertion, own)) else {
                return refuse("invalid_grant");
            };
            if let Some(audience) = at(&claims, "target_audience").as_str() {
                let token = identity(inside, fault, KEYED, audience, None);
                return json_of(200, &json!({"id_token": token}));
            }
            let scopes = at(&claims, "scope").as_str().unwrap_or_default().split(' ').map(str::to_owned).collect();
            let whom = at(&claims, "sub").as_str().unwrap_or(KEYED).to_owned();
            let token = inside.mint(Whose::of(&whom, scopes));
            access(fault, &token, None)
        }
        _ => refuse("unsupported_grant_type"),
    }
}

/// The claims of an assertion that the key of [`KEYED`] signed, for this endpoint and now.
fn assertion_of(inside: &Inside, assertion: &str, own: &str) -> Option<Value> {
    let (message, _) = assertion.rsplit_once('.')?;
    let (head, claims) = message.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let (iat, exp) = (at(&claims, "iat").as_u64()?, at(&claims, "exp").as_u64()?);
    let right = *at(&header, "alg") == "RS256"
        && inside.signer.verifies(assertion)
        && *at(&claims, "iss") == KEYED
        && *at(&claims, "aud") == own
        && iat <= inside.now()
        && exp > inside.now()
        && exp - iat <= 3_600;
    right.then_some(claims)
}

pub(super) fn sts(inside: &mut Inside, fault: Fault, basic: Option<&str>, body: &str) -> Response {
    if let Some(response) = broken(fault) {
        return response;
    }
    let refuse = |code: &str| json_of(400, &json!({"error": code, "error_description": "canary of the token service"}));
    let Ok(form) = Form::parse(body) else { return refuse("invalid_request") };
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    if form.get("grant_type") == Some("refresh_token") && basic.is_some() && form.get("refresh_token") == Some(REFRESH) {
        let token = inside.mint(Whose::of(PERSON, Vec::new()));
        return access(fault, &token, None);
    }
    let access_token = Some("urn:ietf:params:oauth:token-type:access_token");
    if form.get("grant_type") != Some(exchange) || form.get("requested_token_type") != access_token {
        return refuse("unsupported_grant_type");
    }
    if !form.get("audience").is_some_and(|audience| audience.ends_with("/providers/ci")) {
        return refuse("invalid_target");
    }
    let believed = match form.get("subject_token_type") {
        Some("urn:ietf:params:aws:token-type:aws4_request") => {
            let audience = form.get("audience").unwrap_or_default();
            let signed = Form::parse(&format!("x={}", form.get("subject_token").unwrap_or_default())).ok();
            let signed = signed.as_ref().and_then(|form| form.get("x")).unwrap_or_default();
            signed.contains("AWS4-HMAC-SHA256 ") && signed.contains(audience) && signed.contains("x-goog-cloud-target-resource")
        }
        Some("urn:ietf:params:oauth:token-type:jwt") => form.get("subject_token") == Some(SUBJECT),
        _ => false,
    };
    if !believed {
        return refuse("invalid_grant");
    }
    let scopes = form.get("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
    let token = inside.mint(Whose::of(WORKLOAD, scopes));
    access(fault, &token, None)
}

pub(super) fn iam(inside: &mut Inside, fault: Fault, path: &str, bearer: Option<&str>, body: &str) -> Response {
    if let Some(response) = broken(fault) {
        return response;
    }
    let api = |code: u16, status: &str, reason: &str| {
        json_of(
            code,
            &json!({"error": {"code": code, "message": "canary of IAM", "status": status, "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "iam.googleapis.com", "metadata": {}}]}}),
        )
    };
    let Some(by) = bearer.and_then(|bearer| bearer.strip_prefix("Bearer ")).and_then(|token| inside.tokens.get(token).cloned()) else {
        return api(401, "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    };
    let enough = |scope: &String| scope.ends_with("/auth/cloud-platform") || scope.ends_with("/auth/iam");
    if !by.scopes.is_empty() && !by.scopes.iter().any(enough) {
        return api(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
    }
    let rest = path.strip_prefix("/v1/projects/-/serviceAccounts/").unwrap_or_default();
    let Some((target, method)) = rest.rsplit_once(':') else { return api(404, "NOT_FOUND", "NOT_FOUND") };
    let target = target.replace("%40", "@");
    let Ok(asked) = serde_json::from_str::<Value>(body) else { return api(400, "INVALID_ARGUMENT", "BAD_BODY") };
    let mut source = by.identity.clone();
    for next in at(&asked, "delegates")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|name| name.rsplit('/').next().unwrap_or(name))
    {
        if !inside.allowed.get(next).is_some_and(|may| may.contains(&source)) {
            return api(403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED");
        }
        next.clone_into(&mut source);
    }
    if !inside.allowed.get(&target).is_some_and(|may| may.contains(&source)) {
        return api(403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED");
    }
    match method {
        "generateAccessToken" => {
            let scopes: Vec<String> =
                at(&asked, "scope").as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let lifetime = at(&asked, "lifetime").as_str().unwrap_or("3600s").to_owned();
            let seconds = lifetime.strip_suffix('s').and_then(|text| text.parse::<u64>().ok());
            let Some(seconds) = seconds.filter(|seconds| *seconds <= 3_600 && !scopes.is_empty()) else {
                return api(400, "INVALID_ARGUMENT", "BAD_LIFETIME");
            };
            let whose = Whose { by: Some(by.identity), lifetime: Some(lifetime), ..Whose::of(&target, scopes) };
            let token = inside.mint(whose);
            let end = if fault == Fault::Expired { inside.now() - 60 } else { inside.now() + seconds };
            json_of(200, &json!({"accessToken": token, "expireTime": rfc3339(end)}))
        }
        "generateIdToken" => {
            let Some(audience) = at(&asked, "audience").as_str() else { return api(400, "INVALID_ARGUMENT", "BAD_AUDIENCE") };
            let token = identity(inside, fault, &target, audience, Some(by.identity));
            json_of(200, &json!({"token": token}))
        }
        "signJwt" => {
            let claims: Value = at(&asked, "payload").as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let signed = inside.signer.sign_kind("JWT", &claims);
            json_of(200, &json!({"keyId": "k", "signedJwt": signed}))
        }
        _ => api(404, "NOT_FOUND", "NOT_FOUND"),
    }
}

fn identity(inside: &mut Inside, fault: Fault, whom: &str, audience: &str, by: Option<String>) -> String {
    let end = if fault == Fault::Expired { inside.now() - 60 } else { inside.now() + 3_600 };
    let claims = json!({"iss": "https://accounts.google.com", "aud": audience, "sub": "1182", "email": whom, "email_verified": true,
        "iat": inside.now() - 61, "exp": end, "jti": inside.tokens.len()});
    let whose = Whose { audience: Some(audience.to_owned()), by, ..Whose::of(whom, Vec::new()) };
    inside.mint_identity(whose, &claims)
}

/// A token of a token endpoint.
fn access(fault: Fault, token: &str, scope: Option<&str>) -> Response {
    let seconds = match fault {
        Fault::Expired => json!(0),
        Fault::TextNumbers => json!("3599"),
        _ => json!(3599),
    };
    let mut answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds});
    if let (Some(scope), Some(members)) = (scope, answer.as_object_mut()) {
        members.insert("scope".to_owned(), scope.into());
    }
    json_of(200, &answer)
}

/// A member, null where there is none.
fn at<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// What a service says that is broken, but for tokens that have ended and numbers that are texts.
fn broken(fault: Fault) -> Option<Response> {
    (!matches!(fault, Fault::None | Fault::Expired | Fault::TextNumbers | Fault::NoFlavor)).then(|| wrong(fault))
}

fn wrong(fault: Fault) -> Response {
    match fault {
        Fault::Status(status) => json_of(
            status,
            &json!({"error": {"code": status, "message": "canary of a fault", "status": "PERMISSION_DENIED", "details": []}}),
        ),
        Fault::Later(seconds) => {
            let mut response = json_of(429, &json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}));
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert("retry-after", value);
            }
            response
        }
        Fault::Page => text(200, "text/html", "<title>Sign in, canary of a page</title>"),
        Fault::Garbage => json_of(200, &json!({"hello": "canary of garbage"})),
        Fault::Elsewhere => {
            let mut response = text(302, "text/html", "");
            response.headers_mut().insert("location", HeaderValue::from_static("https://evil.test/token"));
            response
        }
        Fault::Huge => text(200, "application/json", &" ".repeat(2 << 20)),
        Fault::Twice => {
            let twice = r#"{"access_token":"canary-a","access_token":"canary-b","accessToken":"canary-a","accessToken":"canary-b","token_type":"Bearer","expires_in":3599,"expireTime":"2099-01-01T00:00:00Z"}"#;
            text(200, "application/json", twice)
        }
        Fault::None | Fault::Once(_) | Fault::Expired | Fault::Silent | Fault::NoFlavor | Fault::TextNumbers => text(500, "text/plain", ""),
    }
}

/// `2026-11-23T10:00:00Z`.
fn rfc3339(seconds: u64) -> String {
    let whole = doorward_core::time::Timestamp::from_millis(seconds * 1_000).to_string();
    whole.replace(".000Z", "Z")
}

fn json_of(status: u16, content: &Value) -> Response {
    text(status, "application/json", &content.to_string())
}

pub(super) fn text(status: u16, media: &'static str, content: &str) -> Response {
    let mut response = Response::new(Body::from(content.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", HeaderValue::from_static(media));
    response
}

impl Whose {
    fn of(identity: &str, scopes: Vec<String>) -> Self {
        Self { identity: identity.to_owned(), scopes, audience: None, by: None, lifetime: None }
    }
}
