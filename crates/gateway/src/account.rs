//! `/me` and `/`: what a person allowed and where they are signed in, and how clients are connected (product 5.5).
//!
//! Everything here is the person's own: each statement names them, and what is not theirs is not there.

mod attempts;
mod calls;
mod connect;

use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::{not_allowed, see_other};
use crate::signin::browser;
use crate::signin::{BadPost, Person, posted};
use crate::ui::headers::Class;
use crate::ui::home::{Command, HomePage, Server, State};
use crate::ui::me::{Browser, Grant, Key, MePage};
use crate::ui::text::{Claimed, Hidden};
use crate::when::{ago, until};
use doorward_core::audit::outcome::Notice;
use doorward_core::config::{self, Selector, Somebody, Through};
use doorward_core::id::{CredentialId, ServerName};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::scope::resource;
use doorward_store::{Owner, StoreError};
use http::{Method, Response};

/// The page that the forms of `/me` belong to.
const ACCOUNT: &str = "account";

impl Gateway {
    /// `/me`.
    pub(crate) async fn me(&self, mut request: OfficeRequest) -> Response<Body> {
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.sign_in_page(&request, None, None),
            Err(_) => return self.away(request.id),
        };
        if request.method == Method::GET || request.method == Method::HEAD {
            return self.me_page(&request, &person, None).await;
        }
        if request.method != Method::POST {
            return not_allowed("GET, HEAD, POST");
        }
        let form = match posted(&mut request, &[]).await {
            Ok(form) => form,
            Err(bad) => return self.not_posted_here(bad, &request).await,
        };
        if self.shown(&form, ACCOUNT, Some(&person)).is_none() {
            return self.bad_post(BadPost::Elsewhere, request.id);
        }
        self.acted(&request, &person, &form).await
    }

    async fn acted(&self, request: &OfficeRequest, person: &Person, form: &Form) -> Response<Body> {
        let id = form.get("id").unwrap_or_default();
        let done = match form.get("action") {
            Some("remove-grant") => self.removed(request, person, id).await,
            Some("revoke-key") => self.key_revoked(request, person, id).await,
            Some("connect") => match ServerName::new(id) {
                Ok(server) => return see_other(&format!("/connect/{server}")),
                Err(_) => return self.bad_post(BadPost::Unreadable, request.id),
            },
            Some("disconnect") => match ServerName::new(id) {
                Ok(server) => self.removes(request, person, &server).await.map(|gone| gone.then_some("The account was disconnected.")),
                Err(_) => return self.bad_post(BadPost::Unreadable, request.id),
            },
            Some("end-session") => self.other_signed_out(request, person, id).await,
            Some("sign-out-everywhere") => {
                if self.store.end_browsers(&person.user, None).await.is_err() {
                    return self.away(request.id);
                }
                let notice =
                    Notice { reason: "signed_out_everywhere", id: Some(request.id), user: Some(&person.user), ..Notice::default() };
                self.note(&notice).await;
                let mut response = see_other("/login");
                browser::sign_out(&mut response);
                return response;
            }
            _ => return self.bad_post(BadPost::Unreadable, request.id),
        };
        match done {
            Ok(done) => self.me_page(request, person, Some(done.unwrap_or("It was gone before."))).await,
            Err(_) => self.away(request.id),
        }
    }

    /// Takes back a consent: every token of it is dead, and streams end with the new epoch (I8; AZ-12).
    async fn removed(&self, request: &OfficeRequest, person: &Person, id: &str) -> Result<Option<&'static str>, StoreError> {
        let now = self.env.now();
        let grants = self.store.list_grants(Some(&person.user), now).await?;
        let Some(meant) = CredentialId::new(id).ok().and_then(|id| grants.iter().find(|grant| grant.id == id)) else { return Ok(None) };
        let mut ended = false;
        // Whoever asked again has several: removed is the application, not one of its answers.
        for grant in grants.iter().filter(|grant| grant.client == meant.client && grant.server == meant.server) {
            if self.store.revoke_grant(&grant.id, Owner::User(&person.user), now).await? {
                ended = true;
                let (user, client, server, cause) = (Some(&person.user), Some(&grant.client), Some(&grant.server), Some(grant.id.as_str()));
                self.note(&Notice { reason: "consent_withdrawn", id: Some(request.id), user, client, server, cause, ..Notice::default() })
                    .await;
            }
        }
        Ok(ended.then_some("The application was removed. Its next call is refused."))
    }

    async fn other_signed_out(&self, request: &OfficeRequest, person: &Person, id: &str) -> Result<Option<&'static str>, StoreError> {
        // No id would mean all of them.
        let ended = !id.is_empty() && self.store.end_browsers(&person.user, Some(id)).await? > 0;
        if ended {
            let (user, cause) = (Some(&person.user), Some(id));
            self.note(&Notice { reason: "signed_out", id: Some(request.id), user, cause, ..Notice::default() }).await;
        }
        Ok(ended.then_some("The browser was signed out."))
    }

    async fn key_revoked(&self, request: &OfficeRequest, person: &Person, id: &str) -> Result<Option<&'static str>, StoreError> {
        let keys = self.store.list_api_keys(Some(&person.user)).await?;
        let Some(key) = keys.into_iter().find(|key| key.id.as_str() == id) else { return Ok(None) };
        let ended = self.store.revoke_api_key(&key.id, self.env.now()).await?;
        if ended {
            let (user, cause) = (Some(&person.user), Some(key.id.as_str()));
            self.note(&Notice { reason: "api_key_revoked", id: Some(request.id), user, cause, ..Notice::default() }).await;
        }
        Ok(ended.then_some("The key was revoked. Its next call is refused."))
    }

    async fn me_page(&self, request: &OfficeRequest, person: &Person, done: Option<&str>) -> Response<Body> {
        let now = self.env.now();
        let read = async {
            let grants = self.store.list_grants(Some(&person.user), now).await?;
            let keys = self.store.list_api_keys(Some(&person.user)).await?;
            let browsers = self.store.list_browsers(Some(&person.user), now).await?;
            Ok::<_, StoreError>((grants, keys, browsers, self.accounts(person).await?))
        };
        let Ok((grants, keys, browsers, accounts)) = read.await else { return self.away(request.id) };
        let (attempts, calls) = (self.latest_attempts(person, now).await, self.latest_calls(person).await);
        let page = MePage {
            frame: self.frame(Some(person)),
            csrf: Hidden::new(self.form_token(ACCOUNT, Some(person))),
            done: done.map(str::to_owned),
            applications: grants
                .into_iter()
                .map(|grant| Grant {
                    id: grant.id.to_string(),
                    name: Claimed::new(&grant.name),
                    place: Claimed::technical(&grant.target),
                    last_used: grant.used.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
                    may_use: vec![format!("{}: {}", self.title_of(&grant.server), classes(grant.granted.iter().map(String::as_str)))],
                    expires: grant.expires.map_or_else(|| "when you remove it".to_owned(), |at| until(now, at)),
                })
                .collect(),
            attempts,
            accounts,
            keys: keys
                .into_iter()
                .filter(|key| key.revoked.is_none() && key.expires > now)
                .map(|key| Key {
                    id: key.id.to_string(),
                    label: Claimed::new(&key.label),
                    ending: key.id.as_str().chars().rev().take(4).collect::<String>().chars().rev().collect(),
                    may: classes(key.granted.iter().map(String::as_str)),
                    last_used: key.last_used.map_or_else(|| "never".to_owned(), |at| ago(now, at)),
                    expires: until(now, key.expires),
                })
                .collect(),
            browsers: browsers
                .into_iter()
                .map(|browser| Browser {
                    is_this: browser.id == person.id,
                    id: browser.id,
                    name: Claimed::new(&browser.label),
                    signed_in: ago(now, browser.created),
                    last_seen: ago(now, browser.used),
                })
                .collect(),
            calls,
            administers: self.administers(person),
        };
        self.html(200, Class::Page, page.render())
    }

    /// `/`: the servers of this person, and how each client is connected to them.
    pub(crate) async fn home(&self, request: OfficeRequest) -> Response<Body> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        let person = match self.person(&request.headers).await {
            Ok(Some(person)) => person,
            Ok(None) => return self.sign_in_page(&request, None, None),
            Err(_) => return self.away(request.id),
        };
        // Through which client will be seen when one asks.
        let who = Somebody { user: &person.user, groups: &person.groups, through: Through::Any };
        let offered = |server: &config::Server| server.enabled && Selector::is_visible(&server.visible_to, &who);
        let mut servers = Vec::new();
        for upstream in self.upstreams.iter().filter(|upstream| offered(&upstream.config)) {
            let name = &upstream.config.name;
            let Ok(tools) = self.approved_tools(&upstream.config).await else { return self.away(request.id) };
            let url = resource(self.root(), name);
            let counts: Vec<String> = tools.iter().map(|(class, tools)| format!("{tools} {}", class.as_str())).collect();
            servers.push(Server {
                id: name.to_string(),
                title: upstream.config.title.clone(),
                commands: commands(name, &url),
                url,
                state: if counts.is_empty() { State::NeedsYou } else { State::Good },
                tools: if counts.is_empty() { format!("nothing approved yet: doorward server approve {name}") } else { counts.join(", ") },
            });
        }
        let page = HomePage {
            frame: self.frame(Some(&person)),
            csrf: Hidden::new(self.form_token(ACCOUNT, Some(&person))),
            servers,
            administers: self.administers(&person),
            status: Vec::new(),
        };
        self.html(200, Class::Page, page.render())
    }

    /// Whether the pages of administrators answer this person.
    fn administers(&self, person: &Person) -> bool {
        self.login.roles(&person.user, &person.groups, person.standing()).may_look()
    }

    fn title_of(&self, server: &ServerName) -> String {
        self.upstreams.find(server).map_or_else(|| server.to_string(), |upstream| upstream.config.title.clone())
    }
}

/// What a person types so that a client of theirs finds a server. Each holds the address only, never a key.
fn commands(name: &ServerName, url: &str) -> Vec<Command> {
    let command = |client: &str, text: String| Command { client: client.to_owned(), text };
    vec![
        command("Claude Code", format!("claude mcp add --transport http {name} {url}")),
        command("Codex", format!("codex mcp add {name} --url {url}")),
        command("VS Code", format!("code --add-mcp '{{\"name\":\"{name}\",\"type\":\"http\",\"url\":\"{url}\"}}'")),
        command("Gemini CLI", format!("gemini mcp add --transport http {name} {url}")),
        command("Cursor, in mcp.json", format!("{{\"mcpServers\": {{\"{name}\": {{\"url\": \"{url}\"}}}}}}")),
        command("Another client", url.to_owned()),
    ]
}

/// `github:read`, `*:write` as `read, write`.
fn classes<'a>(granted: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = granted.filter_map(|scope| scope.split_once(':')).map(|(_, class)| class).collect();
    words.sort_unstable();
    words.dedup();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
