//! The account page (product 5.5): the applications that this person let in, their keys, browsers and calls.
//!
//! Forms post to `/me`: `csrf`, `action`, and for all but the last `id`. Actions: `remove-grant`, `revoke-key`,
//! `end-session`, `connect`, `disconnect`, `sign-out-everywhere`. Signing out of this browser posts `csrf` to `/logout`.

use super::attempt::{Progress, Vouched};
use super::text::{Claimed, Hidden, Place};
use super::{Frame, print};
use askama::Template;

/// The account page.
#[derive(Debug, Clone, Template)]
#[template(path = "me.html")]
pub struct MePage {
    /// Around the page.
    pub frame: Frame,
    /// Token of all forms.
    pub csrf: Hidden,
    /// What was just done: `Claude Code was removed`. Ours, with [`Claimed::quoted`] for names.
    pub done: Option<String>,
    /// Applications that may act for this person.
    pub applications: Vec<Grant>,
    /// The latest attempts of applications to connect; the block is left out while there is none.
    pub attempts: Vec<AttemptRow>,
    /// Accounts at servers; the block is left out while there is none.
    pub accounts: Vec<Connection>,
    /// Personal keys.
    pub keys: Vec<Key>,
    /// Browsers that are signed in.
    pub browsers: Vec<Browser>,
    /// Recent calls, newest first; `None` where they cannot be read.
    pub calls: Option<Vec<Call>>,
    /// Whether the pages of administrators answer this person.
    pub administers: bool,
}

/// An application that was let in.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Sent back.
    pub id: String,
    /// Its name, as it says.
    pub name: Claimed,
    /// Where its answers go: `this computer`, `chatgpt.com`.
    pub place: Claimed,
    /// `2 minutes ago`, `never`.
    pub last_used: String,
    /// `GitHub: read`, one for each server.
    pub may_use: Vec<String>,
    /// `in 28 days`, `when you remove it`.
    pub expires: String,
}

/// An attempt of an application to connect.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// Its page.
    pub place: Place,
    /// What the application calls itself.
    pub name: Claimed,
    /// Who says so.
    pub vouched: Vouched,
    /// The server that it asked for.
    pub server: Option<Claimed>,
    /// How it stands.
    pub progress: Progress,
    /// The same in words: `It has not fetched its tokens`.
    pub words: String,
    /// `2 minutes ago`.
    pub when: String,
}

/// An account at a server.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Sent back: the account, or the server while there is none.
    pub id: String,
    /// Title of the server.
    pub server: String,
    /// Name of the account there.
    pub account: Option<Claimed>,
    /// Whether it works (product K10).
    pub health: Health,
    /// `refreshed at 9:40`, scopes.
    pub detail: String,
}

/// Whether the credential behind an account works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Works,
    /// It is being renewed.
    Refreshing,
    /// The person must sign in there.
    SignInNeeded,
    /// It needs the administrator.
    Damaged,
}

/// A personal key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Sent back.
    pub id: String,
    /// What it is for, as its owner wrote it.
    pub label: Claimed,
    /// Its last letters.
    pub ending: String,
    /// `read`, `read, write`.
    pub may: String,
    /// `never`, `yesterday`.
    pub last_used: String,
    /// `in 80 days`.
    pub expires: String,
}

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Sent back.
    pub id: String,
    /// What it says it is: `Firefox on Linux`.
    pub name: Claimed,
    /// The one that shows this page.
    pub is_this: bool,
    /// `today at 9:12`.
    pub signed_in: String,
    /// `2 minutes ago`.
    pub last_seen: String,
}

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// `2026-11-24 10:02:11`, in UTC.
    pub when: String,
    /// Which application or key.
    pub application: Claimed,
    /// `github__list_issues`.
    pub tool: Claimed,
    /// As whom it arrived.
    pub acts_as: Claimed,
    /// How it ended.
    pub result: CallResult,
    /// Its id in the record.
    pub record: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// It was answered.
    Answered,
    /// It goes on, or nobody knows yet.
    UnderWay,
    /// It was refused here; why, in our words.
    Refused(String),
    /// The client cancelled it, or was gone.
    GivenUp,
    /// It failed further on; where, in our words.
    Failed(String),
}

impl MePage {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        print(self)
    }
}
