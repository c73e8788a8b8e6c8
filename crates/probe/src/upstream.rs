//! The probe as somebody's upstream: whoever controls a server may let it lead here, and then it shows which tokens arrive. Says
//! yes to everything and remembers heads, nothing else. Attack PT-01.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

/// What arrived. Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    listener: Rc<TcpListener>,
    heads: Rc<RefCell<Vec<Zeroizing<String>>>>,
}

/// How much of a request is read. Bytes.
const MAX_HEAD: usize = 64 * 1024;
/// So many requests are remembered.
const REQUESTS: usize = 256;
/// So long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

// === impl Upstream ===

impl Upstream {
    /// None if nobody can listen there.
    pub(crate) async fn listen(address: SocketAddr) -> Option<Self> {
        let listener = TcpListener::bind(address).await.ok()?;
        Some(Self { listener: Rc::new(listener), heads: Rc::default() })
    }

    /// Whether a request arrived that holds this text.
    pub(crate) fn saw(&self, text: &str) -> bool {
        self.heads.borrow().iter().any(|head| head.contains(text))
    }

    /// Whether anything arrived.
    pub(crate) fn saw_anything(&self) -> bool {
        !self.heads.borrow().is_empty()
    }

    /// Listens until the work is done.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut listening = pin!(self.serve());
        tokio::select! {
            biased;
            done = &mut work => done,
            never = &mut listening => match never {},
        }
    }

    async fn serve(&self) -> std::convert::Infallible {
        loop {
            if let Ok((stream, _)) = self.listener.accept().await {
                // Who does not get to the point in time is let go.
                drop(tokio::time::timeout(PATIENCE, self.take(stream)).await);
            }
        }
    }

    async fn take(&self, mut stream: TcpStream) {
        let mut read = Zeroizing::new(Vec::new());
        let mut piece = [0; 4096];
        while read.len() < MAX_HEAD && !read.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(more) => read.extend_from_slice(piece.get(..more).unwrap_or_default()),
            }
        }
        if self.heads.borrow().len() < REQUESTS {
            self.heads.borrow_mut().push(Zeroizing::new(String::from_utf8_lossy(&read).into_owned()));
        }
        drop(stream.write_all(ANSWER).await);
    }
}
