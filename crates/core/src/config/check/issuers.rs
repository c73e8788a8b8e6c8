//! `[idp.<name>]` of the kinds whose tokens count at `/k/...`. Each kind is data: where its issuer and keys are, and what it must say.

use super::login::PUBLIC;
use super::{Checker, path_of};
use crate::config::Tls;
use crate::config::clients::Jwks;
use crate::config::file::{IdpFile, IdpWord, RequireFile, SvidWord};
use crate::config::login::{KeysAt, TokenIssuer};
use crate::config::schema::{escaped, written};
use crate::id::{ProviderName, ServerName};
use crate::identity::issuer::{Carrier, Demand, Forms, IssuerKind, IssuerRule, SubjectPattern, Truth, Wanted};
use crate::oidc::jose::Alg;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An issuer whose scopes are read once the servers are known.
pub(super) struct Drafted {
    pub(super) issuer: TokenIssuer,
    scopes: Option<Vec<String>>,
}

/// Google's issuer as its ID tokens write it, both ways.
const GOOGLE: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const GOOGLE_TOKENINFO: &str = "https://oauth2.googleapis.com/tokeninfo";
const IAP: &str = "https://cloud.google.com/iap";
const IAP_KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";
/// Issuers whose tokens everybody can have: a subject has to be named.
const SHARED: [&str; 6] = [
    "https://token.actions.githubusercontent.com",
    "https://gitlab.com",
    "https://agent.buildkite.com",
    "https://oidc.circleci.com",
    "https://app.terraform.io",
    "https://oidc.vercel.com",
];
/// Keys of a table that signs people in, and of no other.
const OF_SIGNING_IN: [&str; 4] = ["client_id", "client_secret", "email_claim", "logout"];
/// Keys of a table whose tokens count, and of no other.
const OF_TOKENS: [&str; 11] =
    ["audience", "jwks", "jwks_ca", "subject_pattern", "service_accounts", "require", "typ", "header", "max_age", "max_lifetime", "svids"];
/// Keys that only Google's kinds have.
const OF_GOOGLE: [&str; 2] = ["service_accounts", "domains"];
/// Keys that only opaque tokens of Google have.
const OF_OPAQUE: [&str; 3] = ["client_ids", "danger_accept_google_access_tokens", "tokeninfo"];
/// What says nothing of them: they are no JWTs, of an issuer that is known, and come in one way.
const OF_JWTS: [&str; 11] =
    ["issuer", "audience", "jwks", "jwks_ca", "algs", "typ", "header", "require", "groups_claim", "leeway", "max_age"];
/// Keys that only a trust domain has.
const OF_SPIFFE: [&str; 1] = ["svids"];
/// What a certificate says nothing of: no certificate would count.
const CLAIMS: [&str; 2] = ["require", "groups_claim"];
/// Keys that have no meaning where no token counts.
const OF_FORMS: [&str; 6] = ["audience", "jwks", "jwks_ca", "typ", "header", "algs"];
const LONGEST_AUDIENCE: usize = 1024;

/// The kind of a table whose tokens count; `None` for one that signs people in.
pub(super) const fn kind_of(file: &IdpFile) -> Option<IssuerKind> {
    Some(match file.kind {
        None | Some(IdpWord::Oidc) => return None,
        Some(IdpWord::GoogleIdToken) => IssuerKind::GoogleIdToken,
        Some(IdpWord::GoogleAccessToken) => IssuerKind::GoogleAccessToken,
        Some(IdpWord::GcpIap) => IssuerKind::GcpIap,
        Some(IdpWord::AwsWebIdentity) => IssuerKind::AwsWebIdentity,
        Some(IdpWord::Kubernetes) => IssuerKind::Kubernetes,
        Some(IdpWord::Spiffe) => IssuerKind::Spiffe,
        Some(IdpWord::Jwt) => IssuerKind::Jwt,
    })
}

const fn is_google(kind: IssuerKind) -> bool {
    matches!(kind, IssuerKind::GoogleIdToken | IssuerKind::GcpIap)
}

/// What counts of a table.
fn forms_of(file: &IdpFile) -> Forms {
    if kind_of(file) != Some(IssuerKind::Spiffe) {
        return Forms::Tokens;
    }
    let svids = file.svids.as_deref().unwrap_or(&[SvidWord::Jwt]);
    match (svids.contains(&SvidWord::Jwt), svids.contains(&SvidWord::X509)) {
        (true, true) => Forms::Both,
        (false, true) => Forms::Certificates,
        (_, false) => Forms::Tokens,
    }
}

impl Checker<'_> {
    /// What a kind does not use should not be there: somebody believes that it holds.
    pub(super) fn only_of_its_kind(&mut self, name: &str, file: &IdpFile) {
        let wrong: Vec<&str> = match kind_of(file) {
            None => OF_TOKENS.into_iter().chain(OF_OPAQUE).collect(),
            Some(IssuerKind::GoogleAccessToken) => OF_SIGNING_IN.into_iter().chain(OF_SPIFFE).chain(OF_JWTS).collect(),
            Some(kind) if is_google(kind) => OF_SIGNING_IN.into_iter().chain(OF_SPIFFE).chain(OF_OPAQUE).collect(),
            Some(IssuerKind::Spiffe) => {
                let claims = CLAIMS.into_iter().filter(|_| forms_of(file).has_certificates());
                let tokens = OF_FORMS.into_iter().filter(|_| !forms_of(file).has_tokens());
                OF_SIGNING_IN.into_iter().chain(OF_GOOGLE).chain(OF_OPAQUE).chain(claims).chain(tokens).collect()
            }
            Some(_) => OF_SIGNING_IN.into_iter().chain(OF_GOOGLE).chain(OF_SPIFFE).chain(OF_OPAQUE).collect(),
        };
        for key in wrong {
            let path = ["idp", name, key];
            if self.has(&path) && !self.misfit(&["idp", name, "kind"]) {
                let message = format!("{} is not used by this kind", written(&path_of(&path)));
                let help = "remove it, or change the kind: what is not used should not be here".to_owned();
                self.bad_key(&path, ("config.wrong_place", message, "not used here", help));
            }
        }
    }

    pub(super) fn token_issuer(&mut self, name: ProviderName, kind: IssuerKind, file: IdpFile) -> Option<Drafted> {
        let text = name.as_str().to_owned();
        let table = ["idp", text.as_str()];
        let under = |key: &'static str| ["idp", text.as_str(), key];
        let forms = forms_of(&file);
        if file.svids.as_ref().is_some_and(Vec::is_empty) {
            let help = "name one of jwt and x509, or leave the key out".to_owned();
            self.bad(&under("svids"), ("config.empty", format!("{} is empty", written(&path_of(&under("svids")))), "empty", help));
        }
        let issuers = self.issuers_of(&text, kind, file.issuer);
        let keys = match kind {
            IssuerKind::GoogleAccessToken => self.tokeninfo(&text, file.danger_accept_google_access_tokens, file.tokeninfo),
            _ if forms.has_tokens() => self.keys_at(&text, kind, file.jwks),
            _ => Some(KeysAt::Nowhere),
        };
        let clients = self.clients_of_google(&text, kind, file.client_ids);
        let algs = self.algs(&under("algs"), file.algs, default_algs(kind));
        let audience = self.audiences(&under("audience"), file.audience);
        if kind == IssuerKind::GcpIap && audience.is_empty() && !self.has(&under("audience")) {
            let what = "of the backend behind IAP, such as [\"/projects/NUMBER/global/backendServices/ID\"]";
            self.required(&table, "audience", None::<()>, what);
        }
        let carrier = self.carrier(&under("header"), kind, file.header);
        let subjects = self.patterns(&under("subject_pattern"), file.subject_pattern);
        let service_accounts = self.patterns(&under("service_accounts"), file.service_accounts);
        let domains = self.domains(&under("domains"), file.domains);
        let require = self.demands(&text, file.require.unwrap_or_default());
        let types = self.types(&under("typ"), file.typ);
        let groups_claim = file.groups_claim.and_then(|claim| self.claim(&under("groups_claim"), claim));
        let leeway = self.span(&under("leeway"), file.leeway, Duration::from_secs(30), 0..=60);
        let hour = Duration::from_secs(3_600);
        let max_age = file.max_age.map(|text| self.span(&under("max_age"), Some(text), hour, 1..=86_400));
        let max_lifetime = self.span(&under("max_lifetime"), file.max_lifetime, hour, 60..=86_400);
        let ca = file.jwks_ca.and_then(|path| self.path(&under("jwks_ca"), &path));
        if ca.is_some() && matches!(keys, Some(KeysAt::File(_))) {
            let message = format!("{} is not used: the keys stand in a file", written(&path_of(&under("jwks_ca"))));
            let help = "remove it: what is not used should not be here".to_owned();
            self.bad_key(&under("jwks_ca"), ("config.wrong_place", message, "not used here", help));
        }
        let (issuers, keys) = (issuers?, keys?);
        let rule = IssuerRule {
            name,
            kind,
            issuers,
            algs,
            types,
            audience,
            carrier: carrier?,
            require,
            subjects,
            service_accounts,
            clients,
            domains,
            groups_claim,
            leeway,
            max_age,
            max_lifetime,
            forms,
            scopes: BTreeSet::new(),
        };
        self.says_whose(&rule);
        Some(Drafted { issuer: TokenIssuer { rule, keys, ca }, scopes: file.scopes })
    }

    /// Where everybody has tokens of an issuer, a table has to say whose count; and where certificates do: a workload has one for whoever asks, it was
    /// not made for us as a token is.
    fn says_whose(&mut self, rule: &IssuerRule) {
        let name = rule.name.as_str();
        let is_shared = rule.kind.is_shared() || SHARED.contains(&rule.issuer()) || PUBLIC.contains(&rule.issuer());
        if is_shared {
            self.names_owners(rule);
        }
        let says = match rule.kind {
            IssuerKind::GoogleIdToken => !rule.domains.is_empty() || !rule.service_accounts.is_empty(),
            IssuerKind::GoogleAccessToken => !rule.domains.is_empty() || !rule.service_accounts.is_empty() || !rule.subjects.is_empty(),
            _ => !rule.subjects.is_empty(),
        };
        let key = if matches!(rule.kind, IssuerKind::GoogleIdToken | IssuerKind::GoogleAccessToken) {
            "service_accounts"
        } else {
            "subject_pattern"
        };
        let tried = ["subject_pattern", "service_accounts", "domains"].iter().any(|key| self.misfit(&["idp", name, key]));
        let by_certificate = rule.forms != Forms::Tokens;
        if (is_shared || by_certificate) && !says && !tried && !self.has(&["idp", name, key]) {
            let message = if is_shared {
                format!("everybody can have a token of {}", rule.issuer())
            } else {
                format!("every workload has a certificate of {}", rule.issuer())
            };
            let help = match rule.kind {
                IssuerKind::GoogleIdToken => {
                    "say whose count: service_accounts = [\"agent-*@PROJECT.iam.gserviceaccount.com\"], or domains"
                }
                IssuerKind::GoogleAccessToken => {
                    "say whose count: service_accounts = [\"agent-*@PROJECT.iam.gserviceaccount.com\"], domains, or subject_pattern with each person's sub"
                }
                IssuerKind::Spiffe => "say whose count: subject_pattern = [\"spiffe://DOMAIN/ns/agents/sa/*\"]",
                IssuerKind::AwsWebIdentity => "say whose count: subject_pattern = [\"arn:aws:iam::ACCOUNT:role/NAME\"]",
                _ => "say whose count: subject_pattern = [\"repo:OWNER/NAME:ref:refs/heads/main\"], or as the issuer writes sub",
            };
            self.bad_key(&["idp", name], ("config.idp_public", message, "open to everybody", help.to_owned()));
        }
    }

    /// A pattern that leaves the owner open means everybody, however long it is.
    fn names_owners(&mut self, rule: &IssuerRule) {
        // `arn:aws:iam::ACCOUNT`; of the others the first two parts, `repo:OWNER`.
        let parts = if rule.kind == IssuerKind::AwsWebIdentity { 5 } else { 2 };
        let subjects =
            rule.subjects.iter().enumerate().filter(|(_, pattern)| rule.kind != IssuerKind::GoogleIdToken && !pattern.names(parts));
        let accounts = rule.service_accounts.iter().enumerate().filter(|(_, pattern)| !pattern.names_end());
        let open: Vec<(&str, usize, String)> = subjects
            .map(|(at, pattern)| ("subject_pattern", at, pattern.to_string()))
            .chain(accounts.map(|(at, pattern)| ("service_accounts", at, pattern.to_string())))
            .collect();
        for (key, at, pattern) in open {
            let message = format!("\"{}\" means subjects of anybody", escaped(&pattern));
            let help = "write whose they are without a star: the owner, the account, the project behind @".to_owned();
            self.bad(&["idp", rule.name.as_str(), key, &at.to_string()], ("config.subject_pattern", message, "whose?", help));
        }
    }

    /// Reads what tokens may be used for, now that the servers are known.
    pub(super) fn usable(&mut self, drafted: Vec<Drafted>, servers: &[ServerName]) -> Vec<TokenIssuer> {
        let mut found = Vec::new();
        for Drafted { mut issuer, scopes } in drafted {
            let name = issuer.rule.name.as_str().to_owned();
            let what = "what its tokens may be used for, such as [\"SERVER:read\"]";
            let scopes = self.required(&["idp", &name], "scopes", scopes, what);
            let scopes = scopes.and_then(|scopes| self.own_scopes(&["idp", &name, "scopes"], &scopes, servers));
            if let Some(scopes) = scopes {
                issuer.rule.scopes = scopes;
                found.push(issuer);
            }
        }
        found
    }

    /// Certificates of clients are asked for where one trust domain says who they are, and by its authorities alone: those of another one
    /// could write its names (RS-10).
    pub(super) fn client_certificates(&mut self, tls: &Tls, issuers: &[TokenIssuer]) {
        let mut taking = issuers.iter().map(|issuer| &issuer.rule).filter(|rule| rule.forms.has_certificates());
        let (asks, key) = (matches!(tls, Tls::Here { client_ca: Some(_), .. }), ["listen", "tls", "client_ca"]);
        let first = taking.next();
        // A table that is not usable was complained of; it may be the one.
        if asks && first.is_none() && self.problems.is_empty() {
            let help = "give a table [idp.NAME] of kind \"spiffe\" svids = [\"x509\"], or remove it: what is not used should not be here";
            let message = "nobody is known by the certificates of listen.tls.client_ca".to_owned();
            self.bad(&key, ("config.client_ca", message, "whose?", help.to_owned()));
        }
        if let Some(rule) = first.filter(|_| !asks && !self.misfit(&["listen", "tls"]) && !self.has(&key)) {
            let message = format!("{} takes certificates, and the listener asks for none", written(&path_of(&["idp", rule.name.as_str()])));
            let help = "give [listen.tls] its client_ca; what a proxy in front says of certificates counts for nothing".to_owned();
            self.bad(&["idp", rule.name.as_str(), "svids"], ("config.client_ca", message, "by which authorities?", help));
        }
        for other in taking {
            let message = "the certificates of two trust domains would be believed by the same authorities".to_owned();
            let help = "leave x509 out of the svids of all but one: those of one domain could write names of the other".to_owned();
            self.bad(&["idp", other.name.as_str(), "svids"], ("config.client_ca", message, "one too many", help));
        }
    }

    fn issuers_of(&mut self, name: &str, kind: IssuerKind, text: Option<String>) -> Option<Vec<String>> {
        let (table, path) = (["idp", name], ["idp", name, "issuer"]);
        match (kind, text) {
            (IssuerKind::GoogleIdToken, None) | (IssuerKind::GoogleAccessToken, _) => Some(GOOGLE.map(str::to_owned).to_vec()),
            (IssuerKind::GcpIap, None) => Some(vec![IAP.to_owned()]),
            (IssuerKind::Spiffe, text) => {
                let text = self.required(&table, "issuer", text, "the trust domain, such as spiffe://prod.acme.example")?;
                let domain = text.strip_prefix("spiffe://").unwrap_or_default();
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
                if !domain.is_empty() && text.len() <= 255 && domain.bytes().all(plain) {
                    return Some(vec![text]);
                }
                let message = format!("{} is not a trust domain", written(&path_of(&path)));
                let help = "write spiffe:// and the name of the trust domain in lower case, without a path".to_owned();
                self.bad(&path, ("config.idp_issuer", message, "not a trust domain", help));
                None
            }
            (kind, text) => {
                let text = self.required(&table, "issuer", text, "exactly as \"iss\" of its tokens says it")?;
                let issuer = self.issuer(&path, text)?;
                if kind != IssuerKind::GoogleIdToken && issuer == GOOGLE[0] {
                    let message = "the tokens of Google are a kind of their own".to_owned();
                    let help = "write kind = \"google-id-token\": it tells people from service accounts".to_owned();
                    self.bad(&path, ("config.idp_issuer", message, "another kind", help));
                    return None;
                }
                Some(vec![issuer])
            }
        }
    }

    fn keys_at(&mut self, name: &str, kind: IssuerKind, text: Option<String>) -> Option<KeysAt> {
        let path = ["idp", name, "jwks"];
        match (kind, text) {
            (_, Some(text)) if text.starts_with("http://") => self.issuer(&path, text).map(KeysAt::Address),
            (_, Some(text)) => self.jwks(&path, &text).map(|jwks| match jwks {
                Jwks::File(file) => KeysAt::File(file),
                Jwks::At(url) => KeysAt::Address(url.as_str().to_owned()),
            }),
            (IssuerKind::GoogleIdToken, None) if !self.has(&["idp", name, "issuer"]) => Some(KeysAt::Address(GOOGLE_KEYS.to_owned())),
            (IssuerKind::GcpIap, None) => Some(KeysAt::Address(IAP_KEYS.to_owned())),
            (IssuerKind::Spiffe, None) => {
                let what = "the bundle of the trust domain, a file or an https address";
                self.required(&["idp", name], "jwks", None, what)
            }
            (_, None) => Some(KeysAt::Discovery),
        }
    }

    /// Where Google says whose an opaque token is, if somebody has said that they accept what such a token is.
    fn tokeninfo(&mut self, name: &str, accepted: Option<bool>, text: Option<String>) -> Option<KeysAt> {
        let (table, key) = (["idp", name], "danger_accept_google_access_tokens");
        let what = "true, once you accept that such a token is a live credential of its owner at Google";
        let accepted = self.required(&table, key, accepted.filter(|accepted| *accepted), what);
        let url = text.map_or_else(|| Some(GOOGLE_TOKENINFO.to_owned()), |text| self.issuer(&["idp", name, "tokeninfo"], text));
        accepted.and(url).map(KeysAt::TokenInfo)
    }

    fn clients_of_google(&mut self, name: &str, kind: IssuerKind, items: Option<Vec<String>>) -> Vec<String> {
        if kind != IssuerKind::GoogleAccessToken {
            return Vec::new();
        }
        let what = "the OAuth clients whose tokens count, such as [\"1234-abc.apps.googleusercontent.com\"]";
        let items = self.required(&["idp", name], "client_ids", items, what);
        self.audiences(&["idp", name, "client_ids"], items)
    }

    fn audiences(&mut self, path: &[&str], items: Option<Vec<String>>) -> Vec<String> {
        self.none_empty(path, items.as_ref());
        self.each(path, &items.unwrap_or_default(), |checker, path, text| {
            if text.len() <= LONGEST_AUDIENCE && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Some(text.to_owned());
            }
            let message = format!("{} is not usable", written(&path_of(path)));
            checker.bad(path, ("config.text", message, "not an audience", "exactly what stands in \"aud\" of its tokens".to_owned()));
            None
        })
    }

    fn none_empty(&mut self, path: &[&str], items: Option<&Vec<String>>) {
        if items.is_some_and(Vec::is_empty) {
            let help = "name one, or leave the key out".to_owned();
            self.bad(path, ("config.empty", format!("{} is empty", written(&path_of(path))), "empty", help));
        }
    }

    fn patterns(&mut self, path: &[&str], items: Option<Vec<String>>) -> Vec<SubjectPattern> {
        self.none_empty(path, items.as_ref());
        self.each(path, &items.unwrap_or_default(), |checker, path, text| checker.pattern(path, text))
    }

    fn pattern(&mut self, path: &[&str], text: &str) -> Option<SubjectPattern> {
        let pattern = SubjectPattern::parse(text);
        if pattern.is_none() {
            let message = format!("\"{}\" is not a pattern of subjects", escaped(text));
            let help = "* stands for a run of characters between : / and @, ** at the end for any rest; a pattern says more than stars";
            self.bad(path, ("config.subject_pattern", message, "not a pattern", help.to_owned()));
        }
        pattern
    }

    fn carrier(&mut self, path: &[&str], kind: IssuerKind, header: Option<String>) -> Option<Carrier> {
        let Some(header) = header else {
            return Some(if kind == IssuerKind::GcpIap { Carrier::GoogleIap } else { Carrier::Authorization });
        };
        let carrier = Carrier::named(&header);
        if carrier.is_none() {
            let message = format!("\"{}\" cannot carry tokens here", escaped(&header));
            let names: Vec<&str> = Carrier::HEADERS.iter().map(|carrier| carrier.header()).collect();
            let help = format!("one of authorization, {}", names.join(", "));
            self.bad(path, ("config.idp_header", message, "not such a header", help));
        }
        carrier
    }

    fn demands(&mut self, name: &str, files: BTreeMap<String, RequireFile>) -> Vec<Demand> {
        let mut found = Vec::new();
        for (claim, file) in files {
            let path = ["idp", name, "require", claim.as_str()];
            let wanted = match file {
                RequireFile::Text(text) => Some(Wanted::OneOf(vec![text])),
                RequireFile::Texts(texts) => {
                    self.none_empty(&path, Some(&texts));
                    Some(Wanted::OneOf(texts))
                }
                RequireFile::Flag(flag) => Some(Wanted::Is(if flag { Truth::True } else { Truth::False })),
                RequireFile::Form(form) => self.pattern(&path, &form.pattern).map(Wanted::Like),
            };
            if claim.is_empty() || claim == "/" {
                let help = "the name of a claim, or / and the way to it".to_owned();
                self.bad(&path, ("config.text", "a claim without a name".to_owned(), "no name", help));
            }
            found.extend(wanted.map(|wanted| Demand { claim, wanted }));
        }
        found
    }

    fn types(&mut self, path: &[&str], items: Option<Vec<String>>) -> Vec<String> {
        self.none_empty(path, items.as_ref());
        self.each(path, &items.unwrap_or_default(), |checker, path, text| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
            // What proves something else by its very type never shows who calls.
            let is_ours = ["dpop+jwt", "oauth-id-jag+jwt", "logout+jwt", "secevent+jwt"].contains(&text.to_ascii_lowercase().as_str());
            if !text.is_empty() && text.len() <= 64 && text.bytes().all(plain) && !is_ours {
                return Some(text.to_ascii_lowercase());
            }
            let message = format!("\"{}\" cannot be the type of tokens that show who calls", escaped(text));
            checker.bad(path, ("config.text", message, "not such a type", "as the issuer writes it: \"JWT\" or \"at+jwt\"".to_owned()));
            None
        })
    }
}

const fn default_algs(kind: IssuerKind) -> &'static [Alg] {
    match kind {
        IssuerKind::GoogleIdToken | IssuerKind::GoogleAccessToken | IssuerKind::Jwt => &[Alg::Rs256],
        IssuerKind::GcpIap => &[Alg::Es256],
        IssuerKind::AwsWebIdentity => &[Alg::Rs256, Alg::Es384],
        IssuerKind::Kubernetes | IssuerKind::Spiffe => &[Alg::Rs256, Alg::Es256],
    }
}
