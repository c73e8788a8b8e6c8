//! Between a gateway and its database: a TCP proxy that passes on, holds, delays, drips, cuts and forgets.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They pass.
    Pass,
    /// Connections are closed, and new ones at once.
    Cut,
    /// Nothing passes; what came meanwhile is delivered afterwards.
    Silent,
    /// Each piece waits so long.
    Slow(Duration),
    /// A byte a second.
    Drip,
}

/// Runs until the end of the test.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: String,
    mode: Mutex<Mode>,
    pairs: Mutex<Vec<(TcpStream, TcpStream, Arc<AtomicBool>)>>,
    opened: AtomicUsize,
    open: AtomicUsize,
}

impl Proxy {
    pub(crate) fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (mode, pairs) = (Mutex::new(Mode::Pass), Mutex::default());
        let shared = Arc::new(Shared { to: to.to_owned(), mode, pairs, opened: AtomicUsize::new(0), open: AtomicUsize::new(0) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|near| accepting.take(near)));
        Self { address, shared }
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        if mode == Mode::Cut {
            for (near, far, _) in self.shared.pairs.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                for end in [near, far] {
                    end.shutdown(Shutdown::Both).ok();
                }
            }
        }
    }

    /// The connections of now carry nothing more, in neither direction, and nobody is told; new ones pass. As after a machine that
    /// kept the state of connections was replaced.
    pub(crate) fn forget(&self) {
        for (_, _, forgotten) in self.shared.pairs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            forgotten.store(true, Ordering::SeqCst);
        }
    }

    /// Connections made so far.
    pub(crate) fn opened(&self) -> usize {
        self.shared.opened.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, near: TcpStream) {
        self.opened.fetch_add(1, Ordering::SeqCst);
        if self.mode() == Mode::Cut {
            return;
        }
        let Ok(far) = TcpStream::connect(&self.to) else { return };
        let twin = |end: &TcpStream| end.try_clone().expect("a second handle");
        let forgotten = Arc::new(AtomicBool::new(false));
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner).push((twin(&near), twin(&far), Arc::clone(&forgotten)));
        self.open.fetch_add(1, Ordering::SeqCst);
        for (from, to, is_first) in [(twin(&near), twin(&far), true), (far, near, false)] {
            let (shared, forgotten) = (Arc::clone(self), Arc::clone(&forgotten));
            std::thread::spawn(move || {
                shared.carry(from, to, &forgotten);
                if is_first {
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, forgotten: &AtomicBool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let mut pieces = vec![read];
            match self.mode() {
                Mode::Slow(wait) => std::thread::sleep(wait),
                Mode::Drip => pieces = vec![1; read],
                Mode::Pass | Mode::Cut | Mode::Silent => {}
            }
            let mut at = 0;
            for piece in pieces {
                while self.mode() == Mode::Silent {
                    std::thread::sleep(Duration::from_millis(10));
                }
                if self.mode() == Mode::Drip {
                    std::thread::sleep(Duration::from_secs(1));
                }
                if !forgotten.load(Ordering::SeqCst) && to.write_all(&buffer[at..at + piece]).is_err() {
                    break;
                }
                at += piece;
            }
        }
        if !forgotten.load(Ordering::SeqCst) {
            to.shutdown(Shutdown::Both).ok();
            from.shutdown(Shutdown::Both).ok();
        }
    }
}
