//! Who sits at the browser: the cookie of a sign-in, one-time links, and whether a form was sent from a page of ours.
//!
//! A person is issuer and subject, never an e-mail address. A cookie proves who signed in, nothing more: what was allowed stands in the
//! store (house 11; product 5.8; security I6). Must not know OAuth.

pub(crate) mod browser;
mod federated;
mod logout;
mod pages;

pub(crate) use pages::Problem;

use crate::Gateway;
use crate::listen::OfficeRequest;
use browser::{SESSION, cookie};
use doorward_core::id::{GroupName, UserId};
use doorward_core::identity::caller::Standing;
use doorward_core::identity::role::OWN_ISSUER;
use doorward_core::oauth::form::Form;
use doorward_core::oauth::keys::OfficeKeys;
use doorward_core::secret::{BrowserSecret, LinkSecret, PlainToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::StoreError;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, ORIGIN};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;

/// What the front office keeps in memory.
#[derive(Debug)]
pub(crate) struct Reception {
    /// Its keys.
    pub(crate) keys: OfficeKeys,
    /// Name of the installation, for pages.
    pub(crate) name: String,
    /// Somebody looks for a link to sign in with (product L7).
    wanted: Notify,
    /// When a link was last asked for.
    asked: Mutex<Option<Timestamp>>,
}

/// A person who is signed in, in this browser.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Who.
    pub(crate) user: UserId,
    /// Groups as last read.
    pub(crate) groups: Vec<GroupName>,
    /// What pages call them: their address, else their subject.
    pub(crate) shown: String,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Whether they may not act.
    pub(crate) disabled: bool,
    /// Digest of the cookie.
    pub(crate) browser: TokenHash<BrowserSecret>,
    /// Names the browser on pages.
    pub(crate) id: String,
}

/// Why a form is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPost {
    /// Another media type than that of forms.
    Media,
    /// Too large, broken or no form.
    Unreadable,
    /// It was not sent from a page of ours, as far as the browser tells.
    Elsewhere,
}

/// A link lives this long (product L4).
pub const LINK_LIFE: Duration = Duration::from_secs(600);
/// A use is noted at most this often.
const NOTED: Duration = Duration::from_secs(60);
/// Links that pages ask the terminal for: one in this time.
const BETWEEN_LINKS: Duration = Duration::from_secs(60);
/// Fetch metadata: where a browser says that a request comes from.
pub(crate) const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Person {
    /// Whether they may act.
    pub(crate) const fn standing(&self) -> Standing {
        if self.disabled { Standing::Disabled } else { Standing::Good }
    }
}

impl Reception {
    pub(crate) fn new(keys: OfficeKeys, name: String) -> Self {
        Self { keys, name, wanted: Notify::new(), asked: Mutex::new(None) }
    }
}

impl Gateway {
    /// Who is signed in here, if anybody.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows, and that is not "nobody".
    pub(crate) async fn person(&self, headers: &HeaderMap) -> Result<Option<Person>, StoreError> {
        let Some(browser) = cookie(headers, SESSION).and_then(|value| TokenHash::<BrowserSecret>::of(value).ok()) else {
            return Ok(None);
        };
        let now = self.env.now();
        let Some(found) = self.store.browser(&browser, self.login.idle, now).await? else { return Ok(None) };
        // An administrator's page is left alone for less long, and whom no provider may vouch for any more is nobody (UI-05).
        let idle = self.login.idle_of(&found.user, &found.groups);
        if now.since(found.used) >= idle || !self.may_come_in(&found.user, &found.groups) {
            return Ok(None);
        }
        if now.since(found.used) > NOTED {
            self.store.touch_browser(&browser, now).await?;
        }
        let (user, groups, since, disabled, id) = (found.user, found.groups, found.created, found.disabled, found.id);
        let shown = found.email.unwrap_or_else(|| user.subject().to_owned());
        Ok(Some(Person { user, groups, shown, since, disabled, browser, id }))
    }

    /// Whether people of this issuer, in these groups, may still come in: the accounts of this installation, and those of a provider
    /// that is configured, if a group lets them in.
    pub(crate) fn may_come_in(&self, user: &UserId, groups: &[GroupName]) -> bool {
        user.issuer() == OWN_ISSUER || (self.providers.knows_issuer(user.issuer()) && self.login.admission.has_group(groups))
    }

    /// Makes a link that signs `user` in once, within ten minutes. The secret belongs into the fragment of `/setup`, so that it
    /// reaches no log.
    ///
    /// # Errors
    /// [`StoreError`], also where there are too many unused ones; without randomness [`StoreError::NoRandom`].
    pub async fn new_link(&self, user: &UserId) -> Result<PlainToken<LinkSecret>, StoreError> {
        let random = self.env.bytes().map_err(|_| doorward_store::NoRandom)?;
        let (link, now) = (PlainToken::<LinkSecret>::mint(&random), self.env.now());
        self.store.put_link(&link.hashed(), user, now.after(LINK_LIFE), now).await?;
        Ok(link)
    }

    /// The address to open with a link. The secret is in the fragment: browsers send that nowhere.
    #[must_use]
    pub fn setup_address(&self, link: &PlainToken<LinkSecret>) -> String {
        format!("{}/setup#{}", self.root(), link.reveal())
    }

    /// Waits until somebody at a sign-in page of this computer looks for a link.
    pub async fn link_wanted(&self) {
        self.reception.wanted.notified().await;
    }

    /// Asks the terminal for a link, at most once a minute. True if one was asked for now.
    fn ask_for_link(&self) -> bool {
        let now = self.env.now();
        let mut asked = self.reception.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if asked.is_some_and(|last| now.since(last) < BETWEEN_LINKS) {
            return false;
        }
        *asked = Some(now);
        self.reception.wanted.notify_one();
        true
    }

    /// The token of a form on `page`.
    pub(crate) fn form_token(&self, page: &str, person: Option<&Person>) -> String {
        self.reception.keys.form_token(page, &digest(person), self.env.now())
    }

    /// How long ago `page` was shown to this person, if it was.
    pub(crate) fn shown(&self, form: &Form, page: &str, person: Option<&Person>) -> Option<Duration> {
        self.token_age(form.get("csrf")?, page, person)
    }

    /// The same of a token that does not come in a form.
    pub(crate) fn token_age(&self, token: &str, page: &str, person: Option<&Person>) -> Option<Duration> {
        self.reception.keys.check_form(token, page, &digest(person), self.env.now()).ok()
    }
}

/// Reads a form that a page of ours sends (product 5.8; AZ-04, UI-02).
///
/// # Errors
/// [`BadPost`].
pub(crate) async fn posted(request: &mut OfficeRequest, repeated: &[&str]) -> Result<Form, BadPost> {
    if !is_form(&request.headers) {
        return Err(BadPost::Media);
    }
    if !is_from_here(&request.headers) {
        return Err(BadPost::Elsewhere);
    }
    let body = request.read().await.map_err(|_| BadPost::Unreadable)?;
    let text = std::str::from_utf8(&body).map_err(|_| BadPost::Unreadable)?;
    Form::parse_repeating(text, repeated).map_err(|_| BadPost::Unreadable)
}

/// `application/x-www-form-urlencoded`, once, in UTF-8.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next().and_then(|value| value.to_str().ok()), types.next()) else { return false };
    let mut parts = one.split(';').map(str::trim);
    let is_form = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    is_form
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => value.trim_matches('"').eq_ignore_ascii_case("utf-8"),
            _ => true,
        })
}

/// Whether the browser says that it was a page of ours; where it says nothing of that, the origin must be ours. The listener has
/// let pass no origin but ours and `null`.
pub(crate) fn is_from_here(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(FETCH_SITE).iter();
    match (sites.next(), sites.next()) {
        (Some(site), None) => site.as_bytes() == b"same-origin",
        (None, _) => headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes() != b"null"),
        _ => false,
    }
}

/// Whether the browser says that no page of another site asked. One that says nothing is no browser of today.
pub(crate) fn is_to_be_shown(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(FETCH_SITE).iter();
    match (sites.next(), sites.next()) {
        (None, _) => true,
        (Some(site), None) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        _ => false,
    }
}

/// Whose form it is; before anybody signed in, nobody's.
fn digest(person: Option<&Person>) -> [u8; 32] {
    person.map_or([0; 32], |person| *person.browser.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("value"));
        }
        map
    }

    #[test]
    fn az_04_a_form_comes_from_a_page_of_ours() {
        let own = ("origin", "http://127.0.0.1:8417");
        assert!(is_from_here(&with(&[("sec-fetch-site", "same-origin")])));
        assert!(is_from_here(&with(&[("sec-fetch-site", "same-origin"), ("origin", "null")])));
        assert!(is_from_here(&with(&[own])));
        for bad in [
            vec![],
            vec![("origin", "null")],
            vec![("sec-fetch-site", "cross-site"), own],
            vec![("sec-fetch-site", "same-site"), own],
            vec![("sec-fetch-site", "none"), own],
            vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!is_from_here(&with(&bad)), "{bad:?}");
        }
    }

    #[test]
    fn az_04_only_forms_are_forms() {
        assert!(is_form(&with(&[("content-type", "application/x-www-form-urlencoded")])));
        assert!(is_form(&with(&[("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8")])));
        for bad in
            ["text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-7", ""]
        {
            assert!(!is_form(&with(&[("content-type", bad)])), "{bad}");
        }
        let two = with(&[("content-type", "application/x-www-form-urlencoded"), ("content-type", "application/json")]);
        assert!(!is_form(&two));
        assert!(!is_form(&with(&[("content-type", "application/json, application/x-www-form-urlencoded")])));
    }
}
