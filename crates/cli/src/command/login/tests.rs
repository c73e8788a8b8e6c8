//! Whom this command line talks to, how long it waits, and what a server is called.

use super::listener::{Seen, Socket};
use super::*;
use doorward_core::time::Timestamp;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

static NEXT: AtomicU64 = AtomicU64::new(0);
/// A bound that is short for the test and long for the machine.
const SHORT: Bounds = Bounds { answer: Duration::from_millis(400), turn: Duration::from_millis(200) };
/// Nothing here may take so long.
const LONG: Duration = Duration::from_secs(20);

/// An own state directory with a sign-in to each of these gateways, whose token has ended; gone when dropped.
struct Stage(Means);

impl Stage {
    fn new(look: Look, all: &[(&str, &str)]) -> Self {
        let name = format!("doorward-login-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state = std::env::temp_dir().join(name);
        fs::create_dir(&state).expect("directory");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).expect("closed");
        let one = |(server, gateway): &(&str, &str)| json!({"gateway": gateway, "server": server, "scope": "", "access": "a", "refresh": "r", "expires": 0, "since": 0, "ca": null});
        let text = json!({"v": 1, "sign_ins": all.iter().map(one).collect::<Vec<_>>()}).to_string();
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(state.join("sign-ins.json"));
        std::io::Write::write_all(&mut file.expect("made"), text.as_bytes()).expect("written");
        Self(Means { bounds: SHORT, look, ..Means::of(state) })
    }

    async fn token(&self, server: &str) -> Result<SignIn, Failure> {
        let server = ServerName::new(server).expect("a name");
        tokio::time::timeout(LONG, fresh(&server, None, &self.0)).await.expect("within a bound")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0.state).ok();
    }
}

/// A listener that reads what it is sent and trickles an answer without an end. Says when it was asked, and how many bytes it got in all.
async fn trickling() -> (SocketAddr, mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let (tell, told) = mpsc::channel();
    Tasks::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            Tasks::new().spawn(async move {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                tell.send(read).ok();
                if read == 0 {
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n").await.ok();
                let mut pace = tokio::time::interval(Duration::from_millis(50));
                loop {
                    pace.tick().await;
                    if stream.write_all(b" ").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (at, told)
}

fn stranger(_: SocketAddr) -> Seen {
    Seen::Sockets(vec![Socket { uid: 4_242, inode: 1 }])
}

fn other_each_time(_: SocketAddr) -> Seen {
    Seen::Sockets(vec![Socket { uid: 0, inode: NEXT.fetch_add(1, Ordering::Relaxed) }])
}

fn nobody_told(_: SocketAddr) -> Seen {
    Seen::Untold
}

#[tokio::test]
async fn a_listener_that_is_not_trusted_is_sent_nothing() {
    for (look, words, connections) in
        [(stranger as Look, "uid 4242", 0), (other_each_time, "has just changed", 4), (nobody_told, "does not tell", 0)]
    {
        let (at, told) = trickling().await;
        let stage = Stage::new(look, &[("crm", &format!("http://{at}"))]);
        let refused = stage.token("crm").await.err().expect("refused");
        assert!(refused.summary().contains(words) && refused.summary().contains("nothing was sent"), "{}", refused.summary());
        let place = Place { gateway: format!("http://{at}"), ca: None, served_by: None };
        let refused = Desk::of(&place, &stage.0).await.expect_err("no sign-in either");
        assert!(refused.summary().contains(words), "{}", refused.summary());
        // Signing in anew, with whoever was named: what was given before is nothing for them.
        let earlier = Kept::read(&stage.0.state).expect("read").into_all().remove(0);
        replaced(&earlier, &stage.0).await;
        let untold = given_back(None, &stage.0).await.expect("forgotten");
        assert!(untold.len() == 1 && untold[0].1.contains(words), "{untold:?}");
        // What was connected to was closed without a byte. The one that is sent is this test's own.
        let mut own = tokio::net::TcpStream::connect(at).await.expect("connected");
        own.write_all(b"x").await.expect("sent");
        let mut got = Vec::new();
        while got.len() <= connections {
            got.extend(told.try_iter());
            tokio::task::yield_now().await;
        }
        got.sort_unstable();
        assert_eq!(got, [vec![0; connections], vec![1]].concat(), "{words}");
    }
}

#[tokio::test]
async fn a_gateway_that_trickles_is_left_in_time_and_holds_up_nobody() {
    let (at, told) = trickling().await;
    let root = format!("http://{at}");
    let mut stage = Stage::new(listener::look, &[("crm", &root), ("wiki", "http://127.0.0.1:1")]);
    // Long enough for what is done meanwhile, on a machine that does much besides.
    stage.0.bounds.answer = Duration::from_secs(4);
    let (first, _) = tokio::join!(stage.token("crm"), async {
        while told.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        // It is being asked now.
        assert_eq!(Kept::read(&stage.0.state).expect("read").into_all().len(), 2);
        let other = stage.token("wiki").await.err().expect("nobody is there");
        assert!(other.summary().contains("nobody listens"), "asked at once: {}", other.summary());
        let second = stage.token("crm").await.err().expect("busy");
        let holder = format!("(process {}) is asking {root}", std::process::id());
        assert!(second.summary().contains(&holder), "{}", second.summary());
    });
    let first = first.err().expect("no answer");
    assert!(first.summary().contains("no whole answer"), "{}", first.summary());
}

#[tokio::test]
async fn a_lock_that_is_held_is_waited_for_within_a_bound() {
    let stage = Stage::new(listener::look, &[("crm", "http://127.0.0.1:1")]);
    let held = Drawer::open(&stage.0.state, LONG).await.expect("free");
    let refused = Drawer::open(&stage.0.state, SHORT.turn).await.err().expect("held");
    assert!(refused.summary().contains(&format!("(process {})", std::process::id())), "{}", refused.summary());
    drop(held);
    assert!(Drawer::open(&stage.0.state, SHORT.turn).await.is_ok());
}

#[tokio::test]
async fn a_renewal_changes_nothing_that_came_meanwhile() {
    let given = || desk::Given {
        access: doorward_core::secret::Secret::new("new".to_owned()),
        refresh: doorward_core::secret::Secret::new("new".to_owned()),
        scope: String::new(),
        life: LONG,
    };
    let stage = Stage::new(listener::look, &[("crm", "http://127.0.0.1:1")]);
    let crm = ServerName::new("crm").expect("a name");
    let old = || Kept::read(&stage.0.state).expect("read").find(&crm, None).expect("kept");
    let drawer = || async { Drawer::open(&stage.0.state, LONG).await.expect("free") };
    let (mut newer, before) = (old(), old());
    newer.since = Timestamp::from_millis(7);
    assert!(drawer().await.replace(newer).is_ok());
    let kept = drawer().await.renew(&before, given(), Timestamp::from_millis(0)).expect("the newer one");
    assert_eq!((kept.since, kept.access.expose().as_str()), (Timestamp::from_millis(7), "a"));
    drawer().await.forget(&before).expect("nothing to forget");
    let kept = drawer().await.renew(&old(), given(), Timestamp::from_millis(0)).expect("renewed");
    assert_eq!(kept.access.expose(), "new");
    let gone = drawer().await.take(&crm, None).expect("taken");
    assert_eq!(drawer().await.renew(&gone, given(), Timestamp::from_millis(0)).err().expect("signed out").exit(), Exit::SignIn);
}

#[test]
fn a_server_is_meant_by_its_name_or_its_address() {
    let found = |text: &str, gateway| meant(text, gateway).ok().map(|(gateway, server)| (gateway, server.to_string()));
    let at = |root: &str| Some((Some(root.to_owned()), "crm".to_owned()));
    assert_eq!(found("crm", None), Some((None, "crm".to_owned())));
    assert_eq!(found("crm", Some("https://a.example/")), at("https://a.example"));
    assert_eq!(found("https://a.example/s/crm/mcp", None), at("https://a.example"));
    assert_eq!(found("https://a.example/s/crm/mcp", Some("https://a.example")), at("https://a.example"));
    for bad in ["", "CRM", "https://a.example", "https://a.example/k/crm/mcp", "https://a.example/s/crm/mcp/", "https://a.example/s/C/mcp"]
    {
        assert_eq!(found(bad, None), None, "{bad}");
    }
    assert_eq!(found("https://a.example/s/crm/mcp", Some("https://b.example")), None);
}
