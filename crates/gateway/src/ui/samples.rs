//! Samples of every view, for snapshots, the payload corpus and the look in a browser (`scripts/pages`). Every text passes through
//! `say`, so the same pages can be filled with what an attacker would write.

use super::Frame;
use super::attempt::{AttemptPage, Progress, StepRow, Stop, Vouched};
use super::connect::{self, ConnectPage};
use super::consent::{
    Account, ActsAs, Answer, Application, Changes, Class, ClassRow, ConsentPage, Destination, Details, Device, Difference, Duration,
    Identity, Notice, Server, Tool, UncheckedPage,
};
use super::departure::DeparturePage;
use super::device::{DevicePage, DonePage};
use super::entry::{Provider, Purpose, SetupPage, SignInPage, Way};
use super::handoff::{HandOffPage, Outcome, PastePage};
use super::headers;
use super::home::{self, HomePage, State, Status};
use super::me::{AttemptRow, Browser, Call, CallResult, Connection, Grant, Health, Key, MePage};
use super::problem::{Link, ProblemPage, Side};
use super::text::{Claimed, Hidden, Place, Target};

/// What a text of a sample becomes.
pub(super) type Say<'a> = &'a dyn Fn(&str) -> String;

/// A page that was printed.
pub(super) struct Sample {
    /// Name of the snapshot and of the picture.
    pub name: &'static str,
    /// Which headers it is served with.
    pub class: headers::Class,
    /// What it is.
    pub html: String,
}

/// As it stands there.
pub(super) fn plainly(text: &str) -> String {
    text.to_owned()
}

/// Every variant of every view.
pub(super) fn samples(say: Say<'_>) -> Vec<Sample> {
    let page = |name, html| Sample { name, class: headers::Class::Page, html };
    let mut all: Vec<Sample> = SetupPage::samples(say)
        .into_iter()
        .map(|(name, view)| Sample { class: headers::Class::Setup, ..page(name, view.render()) })
        .collect();
    all.extend(SignInPage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(ConsentPage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(ConnectPage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(DevicePage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(DonePage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.push(page("unchecked", UncheckedPage::sample(say).render()));
    all.push(page("handoff-provider", DeparturePage::sample(say).render()));
    all.extend(HandOffPage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.push(page("paste", PastePage::sample(say).render()));
    all.extend(ProblemPage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(MePage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(AttemptPage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(HomePage::samples(say).into_iter().map(|(name, view)| page(name, view.render())));
    all.extend(super::samples_admin::samples(say).into_iter().map(|(name, html)| page(name, html)));
    all
}

pub(super) fn claimed(say: Say<'_>, text: &str) -> Claimed {
    Claimed::new(&say(text))
}

pub(super) fn technical(say: Say<'_>, text: &str) -> Claimed {
    Claimed::technical(&say(text))
}

pub(super) fn hidden(say: Say<'_>, text: &str) -> Hidden {
    Hidden::new(say(text))
}

impl Frame {
    /// A laptop where nobody has signed in.
    pub(super) fn laptop(say: Say<'_>) -> Self {
        Self { instance: say("Doorward"), host: say("127.0.0.1:8417"), person: None }
    }

    /// A team with a person.
    pub(super) fn team(say: Say<'_>) -> Self {
        Self { instance: say("Acme tools"), host: say("mcp.acme.example"), person: Some(claimed(say, "alice@acme.example")) }
    }
}

impl SetupPage {
    /// First link, later link with a request, an old link.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let claim = Self { frame: Frame::laptop(say), purpose: Purpose::Claim, csrf: hidden(say, "c5rf"), txn: None, error: None };
        let again = Self { purpose: Purpose::SignIn, txn: Some(hidden(say, "t1cket")), ..claim.clone() };
        let old = Self { error: Some(say("This link is older than 10 minutes, or was used already.")), ..again.clone() };
        vec![("setup", claim), ("setup-again", again), ("setup-old", old)]
    }
}

impl SignInPage {
    /// Terminal with and without a request, providers with a note.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let bare = Self {
            frame: Frame::laptop(say),
            csrf: hidden(say, "c5rf"),
            txn: None,
            way: Way::Terminal { just_printed: false },
            note: None,
        };
        let waiting = Self { txn: Some(hidden(say, "t1cket")), way: Way::Terminal { just_printed: true }, ..bare.clone() };
        let provider = |id: &str, name: &str| Provider { id: say(id), name: say(name) };
        let providers = Self {
            frame: Frame { person: None, ..Frame::team(say) },
            way: Way::Providers(vec![provider("google", "Google"), provider("keycloak", "Acme staff")]),
            note: Some(say("Your session has ended after 12 hours.")),
            ..waiting.clone()
        };
        vec![("signin", bare), ("signin-waiting", waiting), ("signin-providers", providers)]
    }
}

impl DevicePage {
    /// Empty, with the code of a link, and after one that was not valid.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let empty = Self { frame: Frame::team(say), csrf: hidden(say, "c5rf"), code: None, error: None };
        let linked = Self { code: Some(hidden(say, "BCDF-GHJK")), ..empty.clone() };
        let text = "This code is not valid: mistyped, used before, or older than ten minutes.";
        let wrong = Self { error: Some(say(text)), ..empty.clone() };
        vec![("device", empty), ("device-linked", linked), ("device-wrong", wrong)]
    }
}

impl ConnectPage {
    /// Not yet, while an application waits, connected, over, and by a key.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let first = Self {
            frame: Frame::team(say),
            csrf: hidden(say, "c5rf"),
            // A checked name, which no hostile text can be.
            name: "linear".to_owned(),
            server: say("Linear"),
            way: connect::Way::Provider,
            account: None,
            done: None,
            error: None,
            waits: None,
        };
        let account = |health, scopes: Option<&str>| connect::Account {
            name: claimed(say, "account at linear.app"),
            health,
            since: say("2 days ago"),
            scopes: scopes.map(|scopes| claimed(say, scopes)),
        };
        let waiting = Self { waits: Some((claimed(say, "Claude Code"), hidden(say, "t1cket"))), ..first.clone() };
        let done = Some(say("Connected. Go back to your application and try again."));
        let connected = Self { account: Some(account(Health::Works, Some("read, write"))), done, ..first.clone() };
        let over = Self { account: Some(account(Health::SignInNeeded, None)), ..first.clone() };
        let secret = Self { way: connect::Way::Secret(Some(say("https://linear.app/settings/api"))), ..first.clone() };
        let error = Some(say("This is no key: a key is one word of letters, digits and signs, without spaces. Nothing was kept."));
        let wrong = Self { error, ..secret.clone() };
        vec![
            ("connect", first),
            ("connect-waiting", waiting),
            ("connect-connected", connected),
            ("connect-over", over),
            ("connect-secret", secret),
            ("connect-wrong", wrong),
        ]
    }
}

impl DonePage {
    /// Allowed, and not.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let done = |outcome| Self { frame: Frame::team(say), application: claimed(say, "Doorward command line"), outcome };
        vec![("device-allowed", done(Outcome::Allowed)), ("device-reported", done(Outcome::Reported))]
    }
}

fn row(say: Say<'_>, class: Class, summary: &str, tools: &[&str], ticked: bool) -> ClassRow {
    let tools = tools.iter().map(|name| Tool { name: claimed(say, name), title: None }).collect();
    ClassRow { class, summary: say(summary), tools, ticked, held: false }
}

fn github(say: Say<'_>) -> Server {
    let mut read = row(
        say,
        Class::Read,
        "issues, pull requests and code",
        &["get_issue", "list_issues", "search_code", "get_pull_request", "list_pull_requests", "get_file_contents", "list_commits"],
        true,
    );
    read.tools.push(Tool { name: claimed(say, "search_repositories"), title: Some(claimed(say, "Search repositories")) });
    let write = row(say, Class::Write, "create issues, comment", &["create_issue", "add_issue_comment", "merge_pull_request"], true);
    let delete = row(say, Class::Destructive, "delete a branch", &["delete_branch"], true);
    Server {
        id: say("github"),
        title: say("GitHub"),
        acts_as: ActsAs::Account(claimed(say, "alice-gh")),
        classes: vec![read, write, delete],
    }
}

fn others(say: Say<'_>) -> Vec<Server> {
    let server = |id: &str, title: &str, acts_as, classes| Server { id: say(id), title: say(title), acts_as, classes };
    let account = |id: &str, chosen| Account { id: say(id), name: claimed(say, id), chosen };
    let linear = row(say, Class::Read, "issues", &["list_issues", "get_issue", "list_teams"], true);
    let warehouse = row(say, Class::Read, "run read-only queries", &["query", "list_tables"], true);
    let notes = row(say, Class::Read, "", &["read_note"], false);
    vec![
        server("linear", "Linear", ActsAs::NotConnected(say("Linear")), vec![linear]),
        server("warehouse", "Warehouse", ActsAs::Service(claimed(say, "mcp-reader@acme-data.iam")), vec![warehouse]),
        server(
            "mail",
            "Mail",
            ActsAs::Choice(vec![account("alice@acme.example", true), account("support@acme.example", false)]),
            vec![row(say, Class::Read, "search and read mail", &["search", "read"], false)],
        ),
        server("status", "Status page", ActsAs::SharedKey, vec![row(say, Class::Read, "incidents", &["list_incidents"], false)]),
        server("demo", "demo", ActsAs::Nobody, vec![notes]),
    ]
}

impl ConsentPage {
    /// The four destinations, three identities, a step-up, a quick decision, many servers.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let local = Self::local(say);
        let mut self_claimed = local.clone();
        self_claimed.frame = Frame { person: Some(claimed(say, "administrator")), ..Frame::laptop(say) };
        self_claimed.offers_other_user = false;
        self_claimed.application.identity = Identity::SelfClaimed { registered: say("just now") };
        self_claimed.application.others = None;
        self_claimed.servers = others(say).split_off(4);
        self_claimed.refused_scopes = vec![claimed(say, "admin"), claimed(say, "github:everything")];
        let quick = Self { notice: Some(Notice::TooQuick), earlier: Some(say("3 November 2026")), ..self_claimed.clone() };

        let mut web = local.clone();
        web.application.name = claimed(say, "ChatGPT");
        web.application.identity = Identity::Published { host: claimed(say, "chatgpt.com"), checked: say("2 hours ago"), is_copy: true };
        web.application.answer = Answer { origin: technical(say, "https://chatgpt.com"), destination: Destination::SameSite };
        web.application.first_seen = say("You allowed it first on 3 November 2026");
        web.application.others = Some(say("fewer than 5 people here use it"));
        web.application.passes_on_to = vec![claimed(say, "Research agent"), claimed(say, "Report writer")];
        web.servers.truncate(2);

        let mut elsewhere = web.clone();
        elsewhere.notice = Some(Notice::SiteNotConfirmed);
        elsewhere.application.answer =
            Answer { origin: technical(say, "https://login.partner.example"), destination: Destination::DifferentSite };
        let mut stranger = elsewhere.clone();
        stranger.notice = None;
        stranger.application.identity = Identity::SelfClaimed { registered: say("just now") };

        let mut program = self_claimed.clone();
        program.notice = Some(Notice::OfferChanged);
        program.application.name = claimed(say, "Cursor");
        program.application.identity = Identity::Approved;
        program.application.answer = Answer { origin: technical(say, "cursor://anysphere.cursor-mcp"), destination: Destination::Program };

        let mut many = local.clone();
        let more = ["Calendar", "Wiki", "Payroll", "Tickets"].map(|title| Server {
            id: say(&title.to_lowercase()),
            title: say(title),
            acts_as: ActsAs::SharedKey,
            classes: vec![row(say, Class::Read, "", &["search"], false), row(say, Class::Write, "", &["update"], false)],
        });
        many.servers.extend(more);
        vec![
            ("consent-local", local),
            ("consent-self-claimed", self_claimed),
            ("consent-too-quick", quick),
            ("consent-web", web),
            ("consent-different-site", elsewhere),
            ("consent-stranger", stranger),
            ("consent-program", program),
            ("consent-many", many),
            ("consent-step-up", Self::step_up(say)),
            ("consent-device", Self::asked_by_device(say, Identity::Unproven, None)),
            ("consent-device-again", Self::asked_by_device(say, Identity::Approved, Some(Notice::DeviceNotConfirmed))),
        ]
    }

    fn local(say: Say<'_>) -> Self {
        let mut servers = vec![github(say)];
        servers.extend(others(say));
        let duration = |value: &str, label: &str, chosen| Duration { value: say(value), label: say(label), chosen };
        Self {
            frame: Frame::team(say),
            txn: hidden(say, "t1cket"),
            csrf: hidden(say, "c5rf"),
            offers_other_user: true,
            notice: None,
            changes: None,
            earlier: None,
            application: Application {
                name: claimed(say, "Claude Code"),
                identity: Identity::Published { host: claimed(say, "claude.ai"), checked: say("3 minutes ago"), is_copy: false },
                answer: Answer { origin: technical(say, "http://localhost:61036"), destination: Destination::ThisComputer },
                passes_on_to: Vec::new(),
                first_seen: say("Never before by you"),
                others: Some(say("used by 14 people here")),
            },
            servers,
            refused_scopes: Vec::new(),
            device: None,
            durations: vec![
                duration("8h", "8 hours", false),
                duration("30d", "30 days", true),
                duration("until-removed", "until I remove it", false),
            ],
            details: Details {
                client_id: technical(say, "https://claude.ai/oauth/claude-code-client-metadata"),
                redirect_uri: technical(say, "http://localhost:61036/callback"),
                resource: technical(say, "https://mcp.acme.example/s/github/mcp"),
                scopes: vec![technical(say, "github:read"), technical(say, "linear:read"), technical(say, "warehouse:read")],
                source: say("document of claude.ai, read 3 minutes ago"),
                request: say("k3j9-qw7b"),
                expires: say("in 9 minutes"),
            },
        }
    }

    fn asked_by_device(say: Say<'_>, identity: Identity, notice: Option<Notice>) -> Self {
        let mut page = Self::local(say);
        page.application.name = claimed(say, "Doorward command line");
        page.application.identity = identity;
        page.application.answer = Answer { origin: technical(say, "203.0.113.77"), destination: Destination::Device };
        page.details.redirect_uri = claimed(say, "none: a device fetches the answer");
        page.servers.truncate(2);
        for (at, duration) in page.durations.iter_mut().enumerate() {
            duration.chosen = at == 0;
        }
        Self { notice, device: Some(Device { code: technical(say, "BCDF-GHJK"), asked: say("2 minutes ago") }), ..page }
    }

    fn step_up(say: Say<'_>) -> Self {
        let mut page = Self::local(say);
        page.servers.truncate(2);
        for held in page.servers.iter_mut().filter_map(|server| server.classes.first_mut()) {
            held.held = true;
        }
        page.application.first_seen = say("You allowed it first on 3 November 2026");
        let differences = vec![
            Difference::More { server: say("GitHub"), class: Class::Write },
            Difference::NewTools {
                server: say("GitHub"),
                class: Class::Destructive,
                tools: vec![claimed(say, "delete_repository"), claimed(say, "delete_release")],
            },
            Difference::OtherAccount { server: say("Linear"), from: claimed(say, "alice"), to: claimed(say, "support") },
            Difference::Application { what: say("the addresses that its answers may go to") },
            Difference::Ended,
        ];
        page.changes = Some(Changes { since: say("3 November 2026"), differences });
        page
    }
}

impl UncheckedPage {
    /// A document that did not arrive.
    pub(super) fn sample(say: Say<'_>) -> Self {
        Self {
            frame: Frame::team(say),
            client_id: technical(say, "https://app.unknown.example/oauth/metadata.json"),
            origin: technical(say, "https://app.unknown.example"),
            cause: say("Its document did not arrive within 5 seconds, and there is no earlier copy."),
            next: say(
                "Start again from the application in a few minutes. If that does not help, tell whoever runs it that its document cannot be read.",
            ),
            correlation: say("01JD-8Q4Z-7M2K"),
        }
    }
}

/// An address with a code, and `text` in its state.
fn target(say: Say<'_>, root: &str) -> Target {
    Target::new(&format!(
        "{root}?code=dwac_0123456789abcdefghijklmnopqrstuvwxyz&iss=http%3A%2F%2F127.0.0.1%3A8417&state={}",
        say("af0ifjsldkj")
    ))
    .expect("an address")
}

impl DeparturePage {
    /// Leaving for a provider.
    pub(super) fn sample(say: Say<'_>) -> Self {
        Self { frame: Frame::team(say), target: target(say, "https://idp.acme.example/authorize"), provider: say("okta") }
    }
}

impl HandOffPage {
    /// Loopback, https and a scheme of its own; allowed, denied, reported, failed.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let local = Self {
            frame: Frame::team(say),
            target: target(say, "http://localhost:61036/callback"),
            application: claimed(say, "Claude Code"),
            outcome: Outcome::Allowed,
        };
        let web = Self {
            target: target(say, "https://chatgpt.com/connector/oauth"),
            application: claimed(say, "ChatGPT"),
            outcome: Outcome::Denied,
            ..local.clone()
        };
        let program = Self {
            target: target(say, "cursor://anysphere.cursor-mcp/oauth/callback"),
            application: claimed(say, "Cursor"),
            ..local.clone()
        };
        let reported = Self { outcome: Outcome::Reported, ..web.clone() };
        let failed = Self { outcome: Outcome::Failed, ..local.clone() };
        vec![
            ("handoff", local),
            ("handoff-denied", web),
            ("handoff-program", program),
            ("handoff-reported", reported),
            ("handoff-failed", failed),
        ]
    }
}

impl PastePage {
    /// A loopback address for another computer.
    pub(super) fn sample(say: Say<'_>) -> Self {
        Self {
            frame: Frame::team(say),
            target: target(say, "http://localhost:61036/callback"),
            application: claimed(say, "Codex"),
            expires: say("in 1 minute"),
        }
    }
}

impl ProblemPage {
    /// One for each side.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let you = Self {
            frame: Frame::team(say),
            side: Side::You,
            title: say("This request has ended"),
            text: say("It was waiting for more than 10 minutes. Nothing was decided and nothing was sent."),
            about: None,
            said: None,
            next: say("Ask the application to connect once more."),
            link: Some(Link { place: Place::new("/").expect("a place"), label: say("To the start page") }),
            correlation: say("01JD-8Q4Z-7M2K"),
        };
        let us = Self {
            frame: Frame { person: None, ..Frame::team(say) },
            side: Side::Us,
            title: say("The record cannot be written"),
            text: say("Nothing may happen here that is not recorded, so nothing was decided."),
            next: say("Try again in a minute. If it stays like this, tell your administrators the number below."),
            link: None,
            ..you.clone()
        };
        let application = Self {
            side: Side::Application,
            title: say("The application asked in a way that is not allowed"),
            text: say("The address for its answer is none of those that it registered. Nothing was sent there."),
            about: Some(claimed(say, "Claude Code")),
            link: None,
            ..you.clone()
        };
        let provider = Self {
            side: Side::Provider,
            title: say("Google did not sign you in"),
            text: say("The provider answered with an error instead of who you are."),
            about: Some(claimed(say, "Google")),
            said: Some(claimed(say, "access_denied: The user denied the request")),
            ..you.clone()
        };
        let network = Self {
            side: Side::Network,
            title: say("The provider could not be reached"),
            text: say("No answer came within 10 seconds."),
            link: Some(Link { place: Place::new("/login").expect("a place"), label: say("Try again") }),
            ..you.clone()
        };
        vec![
            ("problem-you", you),
            ("problem-us", us),
            ("problem-application", application),
            ("problem-provider", provider),
            ("problem-network", network),
        ]
    }
}

fn attempt_rows(say: Say<'_>) -> Vec<AttemptRow> {
    let attempt = |name: &str, server: Option<&str>, progress, words: &str| AttemptRow {
        place: Place::new("/me/attempts/00112233445566778899aabb").expect("a place"),
        name: claimed(say, name),
        vouched: if name == "Cursor" { Vouched::SelfClaimed } else { Vouched::Published },
        server: server.map(|server| technical(say, server)),
        progress,
        words: say(words),
        when: say("2 minutes ago"),
    };
    vec![
        attempt("Claude Code", Some("github"), Progress::Arrived, "Its first call was let in"),
        attempt("Cursor", Some("warehouse"), Progress::Stopped, "It has not fetched its tokens"),
        attempt("Codex", None, Progress::Waiting, "Nobody has decided"),
        attempt("Free tools", Some("github"), Progress::Declined, "It was declined"),
    ]
}

impl MePage {
    /// A new account and one that is in use.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let grant = |id: &str, name: &str, place: &str, last: &str, may: &[&str], expires: &str| Grant {
            id: say(id),
            name: claimed(say, name),
            place: claimed(say, place),
            last_used: say(last),
            may_use: may.iter().map(|one| say(one)).collect(),
            expires: say(expires),
        };
        let account = |server: &str, name: Option<&str>, health, detail: &str| Connection {
            id: say(server),
            server: say(server),
            account: name.map(|name| claimed(say, name)),
            health,
            detail: say(detail),
        };
        let browser = |name: &str, is_this, signed_in: &str, last_seen: &str| Browser {
            id: say(name),
            name: claimed(say, name),
            is_this,
            signed_in: say(signed_in),
            last_seen: say(last_seen),
        };
        let call = |when: &str, app: &str, tool: &str, acts_as: &str, result| Call {
            when: say(when),
            application: claimed(say, app),
            tool: claimed(say, tool),
            acts_as: claimed(say, acts_as),
            result,
            record: say("1204"),
        };
        let key = Key {
            id: say("k1"),
            label: claimed(say, "ci-laptop"),
            ending: say("7f2a"),
            may: say("read"),
            last_used: say("never"),
            expires: say("in 80 days"),
        };
        let new = Self {
            frame: Frame { person: Some(claimed(say, "administrator")), ..Frame::laptop(say) },
            csrf: hidden(say, "c5rf"),
            done: None,
            applications: Vec::new(),
            attempts: Vec::new(),
            accounts: Vec::new(),
            keys: Vec::new(),
            browsers: vec![browser("Firefox on Linux", true, "today at 9:12", "now")],
            calls: None,
            administers: true,
        };
        let used = Self {
            frame: Frame::team(say),
            done: Some(say("“Cursor” was removed. It can do nothing any more.")),
            applications: vec![
                grant("g1", "Claude Code", "this computer", "2 minutes ago", &["GitHub: read, change", "Linear: read"], "in 28 days"),
                grant("g2", "ChatGPT", "chatgpt.com", "3 days ago", &["Warehouse: read"], "in 4 hours"),
            ],
            attempts: attempt_rows(say),
            accounts: vec![
                account("GitHub", Some("alice-gh"), Health::Works, "refreshed at 9:40 · scopes repo, read:org"),
                account("Linear", None, Health::SignInNeeded, ""),
                account("Warehouse", Some("alice"), Health::Damaged, "connect it again"),
                account("Mail", Some("alice@acme.example"), Health::Refreshing, "since 10 seconds"),
            ],
            keys: vec![key],
            browsers: vec![
                browser("Firefox on Linux", true, "today at 9:12", "now"),
                browser("Chrome on Android", false, "yesterday at 18:40", "yesterday at 21:03"),
            ],
            calls: Some(vec![
                call("10:02:11", "Claude Code", "github__list_issues", "alice-gh", CallResult::Answered),
                call(
                    "10:01:48",
                    "Claude Code",
                    "github__delete_branch",
                    "alice-gh",
                    CallResult::Refused(say("not ticked when you allowed it")),
                ),
                call(
                    "09:58:02",
                    "ChatGPT",
                    "warehouse__query",
                    "mcp-reader@acme-data.iam",
                    CallResult::Failed(say("the server did not answer")),
                ),
            ]),
            ..new.clone()
        };
        vec![("me-new", new), ("me", used)]
    }
}

impl AttemptPage {
    /// One that stopped, one that was refused a call, one under way, one that was declined, one that calls.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let step = |text: &str, second: &str, refused: Option<&str>, is_guess| StepRow {
            text: say(text),
            when: say(&format!("2026-11-03 10:02:{second} UTC")),
            refused: refused.map(say),
            is_guess,
        };
        let stopped = Self {
            frame: Frame::team(say),
            application: claimed(say, "Cursor"),
            vouched: Vouched::SelfClaimed,
            client_id: technical(say, "dwc_AAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            server: Some(technical(say, "warehouse")),
            progress: Progress::Stopped,
            words: say("It has not fetched its tokens"),
            since: say("4 minutes ago"),
            steps: vec![
                step("Somebody at the same address asked without a token, and was told where to sign in", "01", None, true),
                step("The application registered itself", "02", None, false),
                step("It asked for access", "03", None, false),
                step("It was allowed", "21", None, false),
                step("The answer was sent to it", "21", None, false),
            ],
            stop: Some(Stop {
                missing: Some(say("It has not fetched its tokens")),
                cause: Some(say("The code was sent, and nobody came for the tokens.")),
                cure: say("Start again, with the application open."),
                habit: Some(say("In Cursor, toggle the server in the settings.")),
            }),
        };
        let refused = Self {
            vouched: Vouched::Published,
            words: say("A call was refused"),
            steps: vec![step("It fetched its tokens", "22", None, false), step("A call was refused", "23", Some("not_granted"), false)],
            stop: stopped.stop.clone().map(|stop| Stop { missing: None, ..stop }),
            ..stopped.clone()
        };
        let waiting = Self {
            vouched: Vouched::Approved,
            progress: Progress::Waiting,
            words: say("Nobody has decided"),
            stop: Some(Stop { missing: Some(say("Nobody has decided")), cause: None, cure: say("It may be on its way."), habit: None }),
            ..stopped.clone()
        };
        let declined = Self { vouched: Vouched::Nobody, server: None, progress: Progress::Declined, ..stopped.clone() };
        let arrived = Self { progress: Progress::Arrived, words: say("Its first call was let in"), stop: None, ..stopped.clone() };
        vec![
            ("attempt-stopped", stopped),
            ("attempt-refused", refused),
            ("attempt-waiting", waiting),
            ("attempt-declined", declined),
            ("attempt-arrived", arrived),
        ]
    }
}

impl HomePage {
    /// A laptop with two servers, and one with none.
    pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, Self)> {
        let command = |client: &str, text: &str| home::Command { client: say(client), text: say(text) };
        let server = |id: &str, title: &str, tools: &str, state| home::Server {
            id: say(id),
            title: say(title),
            url: say(&format!("http://127.0.0.1:8417/s/{id}/mcp")),
            tools: say(tools),
            state,
            commands: vec![
                command("Claude Code", &format!("claude mcp add --transport http {id} http://127.0.0.1:8417/s/{id}/mcp")),
                command("Codex", &format!("codex mcp add {id} --url http://127.0.0.1:8417/s/{id}/mcp")),
                command(
                    "VS Code",
                    &format!("code --add-mcp '{{\"name\":\"{id}\",\"type\":\"http\",\"url\":\"http://127.0.0.1:8417/s/{id}/mcp\"}}'"),
                ),
            ],
        };
        let status = |label: &str, value: &str, state| Status { label: say(label), value: say(value), state };
        let person = Frame { person: Some(claimed(say, "administrator")), ..Frame::laptop(say) };
        let used = Self {
            frame: person.clone(),
            csrf: hidden(say, "c5rf"),
            administers: true,
            servers: vec![
                server("demo", "demo", "3 read, 1 destructive", State::Good),
                server("github", "GitHub", "18 read; 9 wait for your approval", State::NeedsYou),
                server("linear", "Linear", "6 read", State::Down),
            ],
            status: vec![
                status("Reached from", "this computer only", State::Good),
                status("Record", "intact up to 1204, sealed 20 seconds ago", State::Good),
                status("Policy", "reading allowed · writing asks", State::Good),
                status("Key", "kept in a file; a keyring would be better", State::NeedsYou),
                status("Disk", "full", State::Down),
            ],
        };
        let empty = Self { frame: person, servers: Vec::new(), status: Vec::new(), ..used.clone() };
        vec![("home", used), ("home-empty", empty)]
    }
}
