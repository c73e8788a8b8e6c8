//! A database of its own on the server of `TEST_POSTGRES_DOORWARD`, and statements past Doorward. Two messages of the protocol are all
//! that is needed, so there is no client library here (PostgreSQL 15, chapter 55).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A database; dropped with the test.
#[derive(Debug)]
pub(crate) struct Database {
    server: Server,
    pub(crate) name: String,
}

/// Where the server is: `postgres://USER@HOST:PORT/DATABASE?PARAMETERS`.
#[derive(Debug, Clone)]
struct Server {
    user: String,
    address: String,
    parameters: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// A fresh one; `None`, with a word, where there is no server.
    pub(crate) fn new() -> Option<Self> {
        let Ok(url) = std::env::var("TEST_POSTGRES_DOORWARD") else {
            eprintln!("not run: TEST_POSTGRES_DOORWARD is not set");
            return None;
        };
        let server = Server::of(&url);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
        let name = format!("doorward_{}_{}_{now}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        server.run("postgres", &format!("CREATE DATABASE {name}"));
        Some(Self { server, name })
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(&self.server.address)
    }

    /// The URL by way of another address.
    pub(crate) fn url_at(&self, address: &str) -> String {
        format!("postgres://{}@{address}/{}{}", self.server.user, self.name, self.server.parameters)
    }

    pub(crate) fn address(&self) -> &str {
        &self.server.address
    }

    /// A statement as somebody with access to the database sends it.
    pub(crate) fn run(&self, sql: &str) {
        self.server.run(&self.name, sql);
    }

    /// A statement from outside of this database.
    pub(crate) fn manage(&self, sql: &str) {
        self.server.run("postgres", sql);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.manage(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

impl Server {
    fn of(url: &str) -> Self {
        let rest = url.strip_prefix("postgres://").expect("postgres://");
        let (user, rest) = rest.split_once('@').expect("a user");
        let (address, rest) = rest.split_once('/').expect("a database");
        let parameters = rest.split_once('?').map(|(_, parameters)| format!("?{parameters}")).unwrap_or_default();
        Self { user: user.to_owned(), address: address.to_owned(), parameters }
    }

    fn run(&self, database: &str, sql: &str) {
        let mut line = TcpStream::connect(&self.address).expect("the server of the test");
        line.set_read_timeout(Some(Duration::from_secs(30))).expect("socket option");
        let start = format!("user\0{}\0database\0{database}\0\0", self.user);
        let mut message = u32::try_from(start.len() + 8).expect("short").to_be_bytes().to_vec();
        message.extend(196_608_u32.to_be_bytes());
        message.extend(start.bytes());
        line.write_all(&message).expect("sent");
        settle(&mut line, "start");
        let mut message = vec![b'Q'];
        message.extend(u32::try_from(sql.len() + 5).expect("short").to_be_bytes());
        message.extend(sql.bytes());
        message.push(0);
        line.write_all(&message).expect("sent");
        settle(&mut line, sql);
    }
}

/// Reads until the server is ready for the next query; an error is the end of the test.
fn settle(line: &mut TcpStream, what: &str) {
    let mut failed = None;
    loop {
        let mut head = [0; 5];
        line.read_exact(&mut head).unwrap_or_else(|error| panic!("{what}: {error} {failed:?}"));
        let [kind, length @ ..] = head;
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("short").saturating_sub(4)];
        line.read_exact(&mut body).expect("a whole message");
        match kind {
            b'Z' => break,
            b'E' => failed = Some(String::from_utf8_lossy(&body).into_owned()),
            b'R' => assert_eq!(body, [0; 4], "the server of the test asks for no password"),
            _ => {}
        }
    }
    assert!(failed.is_none(), "{what}: {failed:?}");
}
