//! Samples of the pages of administrators and auditors.

use super::Frame;
use super::admin::{
    Around, AttemptRow, AttemptsPage, ClientRow, ClientsPage, Fact, Field, Offer, OverviewPage, PeoplePage, PersonPage, PersonRow, Picked,
    RecordAtPage, RecordPage, Row, Said, ServerRow, ServersPage, SettingsPage, Sign, Tab, Tile,
};
use super::samples::{Say, claimed, hidden, technical};
use super::text::Place;

fn around(say: Say<'_>, tab: Tab) -> Around {
    Around {
        csrf: hidden(say, "c5rf"),
        out: hidden(say, "c5rf"),
        tab,
        is_tab: Picked::Yes,
        role: "administrator".to_owned(),
        may_change: true,
        said: None,
    }
}

fn auditing(say: Say<'_>, tab: Tab) -> Around {
    Around { role: "auditor".to_owned(), may_change: false, ..around(say, tab) }
}

fn place(path: &str) -> Place {
    Place::new(path).expect("a place")
}

fn row(say: Say<'_>, about: &str, (sign, word): (Sign, &str), why: Option<&str>) -> Row {
    Row {
        place: Some(place("/admin/record/1204")),
        position: "1204".to_owned(),
        when: "2026-11-24 10:02:11".to_owned(),
        who: Some(claimed(say, "00u1x2y3")),
        client: Some(claimed(say, "https://claude.ai/oauth/claude-code-client-metadata")),
        about: technical(say, about),
        acts_as: Some(claimed(say, "service account reader@acme")),
        sign,
        word: word.to_owned(),
        why: why.map(|why| claimed(say, why)),
    }
}

fn rows(say: Say<'_>) -> Vec<Row> {
    vec![
        row(say, "github__list_issues", (Sign::Good, "answered"), None),
        row(say, "github__merge_pull_request", (Sign::Bad, "denied"), Some("no-merge-on-friday")),
        row(say, "warehouse__query", (Sign::Look, "failed"), Some("timed_out")),
        row(say, "warehouse__export", (Sign::Plain, "under way"), None),
    ]
}

fn person(say: Say<'_>, role: Option<&str>, disabled: Option<&str>) -> PersonRow {
    PersonRow {
        place: Some(place("/admin/people/person?issuer=https%3A%2F%2Facme.okta.com&subject=00u1x2y3")),
        name: claimed(say, "alice@acme.example"),
        issuer: technical(say, "https://acme.okta.com"),
        subject: technical(say, "00u1x2y3"),
        groups: claimed(say, "eng, platform-security"),
        role: role.map(str::to_owned),
        disabled: disabled.map(str::to_owned),
    }
}

fn client(say: Say<'_>, name: &str, blocked: Option<&str>, offer: Offer) -> ClientRow {
    ClientRow {
        digest: say("sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
        name: claimed(say, name),
        id: technical(say, "https://claude.ai/oauth/claude-code-client-metadata"),
        kind: "catalogue".to_owned(),
        identified: claimed(say, "published by claude.ai"),
        last_used: "2 hours ago".to_owned(),
        consents: "14 consents".to_owned(),
        blocked: blocked.iter().map(|text| claimed(say, text)).collect(),
        offer,
    }
}

/// Every page once as an administrator sees it in use, and where an auditor sees another.
pub(super) fn samples(say: Say<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("admin-overview", overview(say).render()),
        ("admin-overview-unread", OverviewPage { not_shown: Some("its file cannot be read".to_owned()), ..overview(say) }.render()),
        ("admin-overview-empty", OverviewPage { refused: Vec::new(), calls: Vec::new(), ..overview(say) }.render()),
        ("admin-servers", servers(say).render()),
        ("admin-clients", clients(say).render()),
        ("admin-clients-auditor", ClientsPage { around: auditing(say, Tab::Clients), ..clients(say) }.render()),
        ("admin-people", people(say).render()),
        ("admin-person", one_person(say).render()),
        ("admin-person-auditor", PersonPage { around: auditing(say, Tab::People), consents: Vec::new(), ..one_person(say) }.render()),
        ("admin-attempts", attempts(say).render()),
        ("admin-record", record(say).render()),
        (
            "admin-record-damaged",
            RecordPage { rows: Vec::new(), older: None, bad: Some("2 lines left out: not what was written".to_owned()), ..record(say) }
                .render(),
        ),
        ("admin-record-at", record_at(say).render()),
        ("admin-settings", settings(say).render()),
    ]
}

fn overview(say: Say<'_>) -> OverviewPage {
    let tile = |label: &str, value: &str, detail: Option<&str>, sign| Tile {
        label: label.to_owned(),
        value: value.to_owned(),
        detail: detail.map(str::to_owned),
        sign,
    };
    OverviewPage {
        frame: Frame::team(say),
        around: around(say, Tab::Overview),
        tiles: vec![
            tile("People", "212", Some("3 disabled"), Sign::Plain),
            tile("Clients in use", "17", Some("1 blocked"), Sign::Bad),
            tile("Servers", "9", Some("2 to approve"), Sign::Look),
            tile("Record", "#120411", Some("writes"), Sign::Good),
        ],
        not_shown: None,
        refused: vec![row(say, "github__merge_pull_request", (Sign::Bad, "denied"), Some("no-merge-on-friday"))],
        calls: rows(say),
    }
}

fn servers(say: Say<'_>) -> ServersPage {
    let server = |(sign, word): (Sign, &str), command: Option<&str>| ServerRow {
        title: say("GitHub"),
        name: say("github"),
        sign,
        word: word.to_owned(),
        reached: technical(say, "https://api.githubcopilot.com"),
        tools: "18 read, 9 write".to_owned(),
        visible_to: claimed(say, "group:eng"),
        command: command.map(str::to_owned),
    };
    ServersPage {
        frame: Frame::team(say),
        around: around(say, Tab::Servers),
        servers: vec![
            server((Sign::Good, "approved"), None),
            server((Sign::Look, "nothing approved"), Some("doorward server approve warehouse")),
            server((Sign::Plain, "off"), None),
        ],
    }
}

fn clients(say: Say<'_>) -> ClientsPage {
    ClientsPage {
        frame: Frame::team(say),
        around: Around { said: Some(Said::Done("It is blocked: calls end within 5 seconds.".to_owned())), ..around(say, Tab::Clients) },
        search: say(""),
        more: Some("and 20 more: search for one".to_owned()),
        clients: vec![
            client(say, "Claude Code", None, Offer::Block),
            client(say, "Free tools", Some("blocked 2 minutes ago: phishes"), Offer::Unblock),
            client(say, "Old tools", Some("blocked by clients.block of the configuration"), Offer::Nothing),
        ],
    }
}

fn people(say: Say<'_>) -> PeoplePage {
    PeoplePage {
        frame: Frame::team(say),
        around: around(say, Tab::People),
        search: say("acme"),
        people: vec![person(say, Some("administrator"), None), person(say, None, Some("disabled 2 days ago"))],
        more: Some("and 20 more: search for one".to_owned()),
    }
}

fn one_person(say: Say<'_>) -> PersonPage {
    let fact = |name: &str, detail: &str| Fact {
        id: say("grant-1"),
        name: claimed(say, name),
        detail: claimed(say, detail),
        when: "used 2 minutes ago".to_owned(),
    };
    PersonPage {
        frame: Frame::team(say),
        around: Around {
            is_tab: Picked::No,
            said: Some(Said::NotDone("You would lock out yourself: nothing was changed.".to_owned())),
            ..around(say, Tab::People)
        },
        person: person(say, Some("auditor"), Some("disabled 2 days ago")),
        issuer: hidden(say, "https://acme.okta.com"),
        subject: hidden(say, "00u1x2y3"),
        is_yourself: false,
        browsers: vec![fact("Firefox on Linux", "signed in 2 hours ago")],
        sessions: Vec::new(),
        consents: vec![fact("Claude Code", "github:read github:write, ends in 28 days")],
        keys: vec![fact("ci-laptop", "github:read, ends in 80 days")],
        record: Some(place("/admin/record?user=https%3A%2F%2Facme.okta.com%2F00u1x2y3")),
    }
}

fn attempts(say: Say<'_>) -> AttemptsPage {
    let attempt = |(sign, word): (Sign, &str), words: &str, advice: Option<(&str, &str)>| AttemptRow {
        name: claimed(say, "Cursor"),
        client: Some(technical(say, "dwc_AAAAAAAAAAAA")),
        who: claimed(say, "https://acme.okta.com/00u1x2y3"),
        server: Some(technical(say, "warehouse")),
        sign,
        word: word.to_owned(),
        words: words.to_owned(),
        advice: advice.map(|(cause, cure)| (cause.to_owned(), cure.to_owned())),
        when: "2 minutes ago".to_owned(),
    };
    AttemptsPage {
        frame: Frame::team(say),
        around: around(say, Tab::Attempts),
        more: None,
        attempts: vec![
            attempt((Sign::Look, "stopped"), "It has not fetched its tokens", Some(("Nobody came for the tokens.", "Start it anew."))),
            attempt((Sign::Good, "connected"), "Its first call was let in", None),
            attempt((Sign::Plain, "under way"), "Nobody has decided", None),
        ],
    }
}

fn record(say: Say<'_>) -> RecordPage {
    let field = |name, label, value: &str| Field { name, label, value: say(value) };
    RecordPage {
        frame: Frame::team(say),
        around: auditing(say, Tab::Record),
        asked: vec![field("user", "Who", "alice"), field("client", "Client", ""), field("server", "Server", ""), field("tool", "Tool", "")],
        decisions: vec![("permit".to_owned(), Picked::No), ("deny".to_owned(), Picked::Yes), ("refuse".to_owned(), Picked::No)],
        rows: rows(say),
        older: Some(place("/admin/record?before=1154")),
        bad: None,
    }
}

fn record_at(say: Say<'_>) -> RecordAtPage {
    let member = |name: &str, value: &str| (technical(say, name), technical(say, value));
    RecordAtPage {
        frame: Frame::team(say),
        around: auditing(say, Tab::Record),
        position: "1204".to_owned(),
        head: "1204:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".to_owned(),
        sealed: "by record 1300".to_owned(),
        records: vec![
            vec![member("kind", "intent"), member("server", "github"), member("name", "list_issues"), member("principal", "reader")],
            vec![member("kind", "outcome"), member("class", "completed"), member("latency_ms", "40")],
        ],
    }
}

fn settings(say: Say<'_>) -> SettingsPage {
    SettingsPage {
        frame: Frame::team(say),
        around: around(say, Tab::Settings),
        values: vec![
            ("public_url".to_owned(), say("\"https://mcp.acme.example\"")),
            ("login.admins".to_owned(), say("[\"group:platform-security\"]")),
        ],
    }
}
