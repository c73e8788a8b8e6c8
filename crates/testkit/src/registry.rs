//! A registry of packages that can lie: answers what it was told to for each path, notes who asked for what, and can be away.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A registry on a loopback port. It lives as long as the process.
#[derive(Debug, Clone)]
pub struct Registry {
    address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
    place: Place,
}

/// Where a registry is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// It answers.
    #[default]
    Here,
    /// It answers nobody.
    Away,
}

// === impl Registry ===

impl Registry {
    /// Starts one that has nothing.
    ///
    /// # Errors
    /// Without a free port.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let registry = Self { address: listener.local_addr()?.to_string(), shared: Arc::default() };
        let serving = registry.clone();
        std::thread::spawn(move || {
            for line in listener.incoming().map_while(Result::ok) {
                let registry = serving.clone();
                std::thread::spawn(move || registry.answer(line));
            }
        });
        Ok(registry)
    }

    /// Its URL, with a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on this is what stands at `path`.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.shared().files.insert(path.to_owned(), bytes);
    }

    /// From now on it closes every connection without a word, or answers again.
    pub fn be(&self, place: Place) {
        self.shared().place = place;
    }

    /// The paths that were asked for, since this was asked last.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().asked)
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut line: TcpStream) {
        let Ok(reading) = line.try_clone() else { return };
        let mut lines = BufReader::new(reading).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let _head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let found = {
            let mut shared = self.shared();
            shared.asked.push(path.clone());
            if shared.place == Place::Away {
                return;
            }
            shared.files.get(&path).cloned()
        };
        let (status, body) = found.map_or(("404 Not Found", b"{}".to_vec()), |body| ("200 OK", body));
        // Pages of PyPI are HTML, everything else is read by its content.
        let kind = if body.starts_with(b"<") { "text/html" } else { "application/json" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _sent = line.write_all(&[head.as_bytes(), &body].concat());
    }
}
