//! The third party against the client that it is for: one connection from the first 401 to its end, and what goes wrong on the way.

use super::ledger::Rotation;
use super::protected::Protected;
use super::serve::Answer;
use super::{Fault, Iss, ThirdParty, location};
use crate::wire::{Reader, Walk};
use bytes::Bytes;
use doorward_core::connection::challenge::Challenge;
use doorward_core::connection::client::{Registration, UpstreamClient};
use doorward_core::connection::given::{BadGiven, Given};
use doorward_core::connection::held::{Held, Parts};
use doorward_core::connection::request::{TokenRequest, exchange, refresh, revoke};
use doorward_core::connection::resource::{Resource, well_known};
use doorward_core::connection::scopes::{Limits, Wishes, asked};
use doorward_core::connection::server::{AuthorizationServer, Pkce, addresses};
use doorward_core::connection::trip::{Begin, NotArrived, Trip};
use doorward_core::id::{ServerName, UserId};
use doorward_core::oauth::form::Form;
use doorward_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const REDIRECT: &str = "http://127.0.0.1:1/connect/linear/callback";
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Status, fields and body of one exchange; `None` where the connection is closed without an answer.
async fn ask(url: &str, fields: &[(&str, &str)], body: Option<&str>) -> Option<(u16, Vec<(String, String)>, Vec<u8>)> {
    let (host, path) = url.strip_prefix("http://").unwrap().split_at(url.strip_prefix("http://").unwrap().find('/').unwrap());
    let mut stream = TcpStream::connect(host).await.unwrap();
    let method = if body.is_some() { "POST" } else { "GET" };
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = body.unwrap_or_default();
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut reader = Reader::new(stream);
    let head = reader.head().await.ok()??;
    let mut walk = Walk::new(head.framing());
    while reader.piece(&mut walk).await.unwrap().is_some() {}
    Some((head.target.parse().unwrap(), head.fields, walk.payload()))
}

async fn document(url: &str) -> Bytes {
    let (status, _, body) = ask(url, &[], None).await.unwrap();
    assert_eq!(status, 200, "{url}");
    Bytes::from(body)
}

async fn sent(url: &str, request: &TokenRequest) -> Option<(u16, Bytes)> {
    let proof = request.authorization().map(|value| ("Authorization", value.expose().as_str()));
    let (status, _, body) = ask(url, &proof.into_iter().collect::<Vec<_>>(), Some(request.body().expose())).await?;
    Some((status, Bytes::from(body)))
}

fn call(tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}).to_string()
}

struct Known {
    resource: Resource,
    server: AuthorizationServer,
    client: UpstreamClient,
    scopes: Vec<String>,
}

/// From a refused call to a client of our own.
async fn known(protected: &Protected) -> Known {
    let url = protected.url();
    let (status, fields, _) = ask(&url, &[], Some(&call("whoami"))).await.unwrap();
    assert_eq!(status, 401);
    let values: Vec<&[u8]> = fields.iter().filter(|(name, _)| name == "WWW-Authenticate").map(|(_, value)| value.as_bytes()).collect();
    let challenge = Challenge::parse(values, &url);
    let place = challenge.resource_metadata.clone().unwrap();
    assert_eq!(Some(&place), well_known(&url).first());
    let resource = Resource::parse(&document(&place).await, &url).unwrap();
    let issuer = &resource.servers.first().unwrap().url;
    let server = AuthorizationServer::parse(&document(addresses(issuer).first().unwrap()).await, issuer, Pkce::Required).unwrap();
    let wishes = Wishes { challenge: challenge.scope.as_deref(), resource: resource.scopes.as_deref(), server: server.scopes.as_deref() };
    let scopes = asked(Limits::default(), wishes);
    assert_eq!(scopes, ["read", "offline_access"]);
    let registration = Registration::new("Doorward", REDIRECT, &server, &scopes);
    let (status, _, body) = ask(&server.registration.as_ref().unwrap().url, &[], Some(registration.body())).await.unwrap();
    let client = registration.read(status, &Bytes::from(body), NOW).unwrap();
    Known { resource, server, client, scopes }
}

fn trip(known: &Known) -> Trip {
    let (server, user) = (ServerName::new("linear").unwrap(), UserId::new("local", "alice").unwrap());
    let begin = Begin {
        server: &server,
        user: &user,
        browser: [5; 32],
        at: &known.server,
        client: &known.client,
        redirect: REDIRECT,
        scopes: &known.scopes,
        resource: &known.resource.name,
    };
    Trip::begin(begin, &[[1; 32], [2; 32], [3; 32]], None, NOW)
}

fn comes(known: &Known, back: &str) -> Result<doorward_core::connection::trip::Arrived, NotArrived> {
    let query = back.strip_prefix(REDIRECT).unwrap().strip_prefix('?').unwrap();
    let (server, user) = (ServerName::new("linear").unwrap(), UserId::new("local", "alice").unwrap());
    trip(known).arrive(&server, &user, &[5; 32], &Form::parse(query).unwrap(), known.server.naming)
}

async fn connected(known: &Known, party: &ThirdParty) -> Held {
    let address = trip(known).authorization(&known.server).unwrap();
    let arrived = comes(known, &party.approve(&address, "ann")).unwrap();
    let (status, body) = sent(&known.server.token.url, &exchange(&arrived, &known.client).unwrap()).await.unwrap();
    assert_eq!(status, 200, "{body:?}");
    let parts = Parts {
        origin: "http://127.0.0.1".to_owned(),
        resource: known.resource.name.clone(),
        server: known.server.clone(),
        client: known.client.clone(),
        label: None,
        connected: NOW,
    };
    Held::connect(parts, Given::parse(&body, &known.scopes, NOW).unwrap())
}

async fn who(protected: &Protected, held: &Held, tool: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", held.access().expose());
    let (status, _, body) = ask(&protected.url(), &[("Authorization", &bearer)], Some(&call(tool))).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn renewed(held: &Held) -> Result<Held, BadGiven> {
    let (_, body) = sent(&held.parts().server.token.url, &refresh(held).unwrap()).await.unwrap();
    Given::parse(&body, held.scopes(), NOW).map(|given| held.renewed(given))
}

#[tokio::test]
async fn a_connection_from_the_first_refusal_to_its_end() {
    let party = ThirdParty::start_under("/tenant").await.unwrap();
    let protected = Protected::start(&party).await.unwrap();
    let known = known(&protected).await;
    let held = connected(&known, &party).await;
    let (status, answer) = who(&protected, &held, "whoami").await;
    assert_eq!((status, answer.pointer("/result/content/0/text")), (200, Some(&json!("ann"))));
    assert_eq!(who(&protected, &held, "change").await.0, 403, "it may read");
    assert_eq!(protected.authorizations().last(), Some(&format!("Bearer {}", held.access().expose())));
    party.age();
    assert_eq!(who(&protected, &held, "whoami").await.0, 401);
    let second = renewed(&held).await.unwrap();
    assert_eq!(who(&protected, &second, "whoami").await.0, 200);
    assert_eq!(party.renewable("ann"), 1);
    for request in revoke(&second) {
        assert_eq!(sent(&known.server.revocation.as_ref().unwrap().url, &request).await.unwrap().0, 200);
    }
    assert_eq!((who(&protected, &second, "whoami").await.0, party.renewable("ann")), (401, 0));
    assert!(renewed(&second).await.unwrap_err().is_terminal());
    let counts = party.counts();
    assert_eq!((counts.registrations, counts.exchanges, counts.refreshes, counts.reuses, counts.revocations), (1, 1, 1, 0, 2));
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_family_and_no_other() {
    let party = ThirdParty::start().await.unwrap();
    let protected = Protected::start(&party).await.unwrap();
    let known = known(&protected).await;
    let (first, other) = (connected(&known, &party).await, connected(&known, &party).await);
    let second = renewed(&first).await.unwrap();
    assert!(renewed(&first).await.unwrap_err().is_terminal());
    assert_eq!((who(&protected, &second, "whoami").await.0, who(&protected, &other, "whoami").await.0), (401, 200));
    assert_eq!((party.counts().reuses, party.counts().refreshes), (1, 1));
    // A lost answer is spent all the same.
    party.fault_once("/token", Fault::Lost);
    assert!(sent(&known.server.token.url, &refresh(&other).unwrap()).await.is_none());
    assert_eq!(party.counts().refreshes, 2);
    assert!(renewed(&other).await.unwrap_err().is_terminal());
    assert_eq!(party.counts().reuses, 2);
    party.behave(|manners| manners.rotation = Rotation::Lasting);
    let lasting = connected(&known, &party).await;
    let again = renewed(&renewed(&lasting).await.unwrap()).await.unwrap();
    assert!(again.is_renewable() && who(&protected, &again, "whoami").await.0 == 200);
    party.withdraw("ann");
    assert_eq!((who(&protected, &again, "whoami").await.0, renewed(&again).await.unwrap_err().is_terminal()), (401, true));
}

#[tokio::test]
async fn a_browser_that_is_known_is_not_asked_again() {
    let party = ThirdParty::start().await.unwrap();
    let protected = Protected::start(&party).await.unwrap();
    let known = known(&protected).await;
    let address = trip(&known).authorization(&known.server).unwrap();
    let page = |answer: &Answer| matches!(answer, Answer::Whole { status: 200, body, .. } if body.contains("Approve"));
    assert!(page(&party.open(&address, None)) && page(&party.open(&address, Some("ann"))), "nobody has said yes yet");
    let back = party.approve(&address, "ann");
    assert!(comes(&known, &back).is_ok());
    assert!(page(&party.open(&address, None)) && page(&party.open(&address, Some("bob"))));
    assert!(comes(&known, &location(&party.open(&address, Some("ann")))).is_ok(), "straight back");
    party.behave(|manners| manners.asks_again = true);
    assert!(page(&party.open(&address, Some("ann"))));
    assert!(matches!(party.open(&address.replace("callback", "elsewhere"), Some("ann")), Answer::Whole { status: 400, .. }));
    for (iss, why) in [(Iss::Missing, NotArrived::Issuer), (Iss::Other("http://evil.test".to_owned()), NotArrived::Issuer)] {
        party.behave(|manners| manners.iss = iss);
        assert_eq!(comes(&known, &party.approve(&address, "ann")).unwrap_err(), why);
    }
    party.mend();
    party.behave(|manners| manners.refuses = Some("access_denied"));
    let refused = comes(&known, &location(&party.open(&address, Some("ann")))).unwrap_err();
    assert_eq!(refused, NotArrived::Refused("access_denied".to_owned()));
}

#[tokio::test]
async fn everything_that_goes_wrong_at_a_token_endpoint() {
    let party = ThirdParty::start().await.unwrap();
    let protected = Protected::start(&party).await.unwrap();
    let known = known(&protected).await;
    let held = connected(&known, &party).await;
    let wrong = [
        (Fault::Error(400, "invalid_grant"), 400, BadGiven::Refused("invalid_grant".to_owned())),
        (Fault::InvalidClient, 401, BadGiven::Refused("invalid_client".to_owned())),
        (Fault::Status(500), 500, BadGiven::Form),
        (Fault::TooMany(7), 429, BadGiven::Refused("slow_down".to_owned())),
        (Fault::Page, 200, BadGiven::Form),
        (Fault::Twice, 200, BadGiven::Form),
        (Fault::Leads("http://127.0.0.1:1/".to_owned()), 302, BadGiven::Form),
        (Fault::Says(200, "{\"access_token\":".to_owned()), 200, BadGiven::Form),
    ];
    for (fault, status, why) in wrong {
        party.fault_once("/token", fault.clone());
        let (said, body) = sent(&known.server.token.url, &refresh(&held).unwrap()).await.unwrap();
        assert_eq!((said, Given::parse(&body, &known.scopes, NOW).unwrap_err()), (status, why), "{fault:?}");
    }
    assert_eq!(party.counts().refreshes, 0, "nothing of it was done");
    party.fault("/token", Fault::Deaf);
    assert!(sent(&known.server.token.url, &refresh(&held).unwrap()).await.is_none());
    assert_eq!(party.counts().refreshes, 0);
    party.fault("/token", Fault::Waits);
    let token = refresh(&held).unwrap();
    let (_, waited) = tokio::join!(
        async {
            while party.heard("/token").len() < 11 {
                tokio::task::yield_now().await;
            }
            party.mend();
        },
        sent(&known.server.token.url, &token)
    );
    assert_eq!(waited.unwrap().0, 200);
    party.behave(|manners| manners.expires = Value::Null);
    let assumed = Given::parse(&sent(&known.server.token.url, &token).await.unwrap().1, &known.scopes, NOW);
    assert!(assumed.unwrap_err().is_terminal(), "the token was spent");
    assert_eq!(party.heard("/token").last().and_then(|heard| heard.parameter("grant_type")).as_deref(), Some("refresh_token"));
}

#[tokio::test]
async fn a_server_that_is_shut_or_says_something_else() {
    let party = ThirdParty::start().await.unwrap();
    let protected = Protected::start(&party).await.unwrap();
    let known = known(&protected).await;
    let held = connected(&known, &party).await;
    let another = Protected::start(&party).await.unwrap();
    assert_eq!(who(&another, &held, "whoami").await.0, 401, "a token is for one resource");
    another.behave(|habits| habits.takes_any_resource = true);
    assert_eq!(who(&another, &held, "whoami").await.0, 200);
    protected.behave(|habits| {
        habits.is_shut = true;
        habits.challenge = Some("Bearer resource_metadata=\"http://169.254.169.254/\"".to_owned());
        habits.resource = json!({"resource": "http://evil.test/mcp"});
    });
    assert_eq!(who(&protected, &held, "whoami").await.0, 401);
    let (_, fields, _) = ask(&protected.url(), &[], Some("{}")).await.unwrap();
    let values: Vec<&[u8]> = fields.iter().map(|(_, value)| value.as_bytes()).filter(|value| value.starts_with(b"Bearer")).collect();
    assert_eq!(Challenge::parse(values, &protected.url()), Challenge::default());
    let place = well_known(&protected.url());
    assert!(Resource::parse(&document(place.first().unwrap()).await, &protected.url()).is_err());
}
