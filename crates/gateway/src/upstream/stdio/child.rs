//! A running child: lines in, lines out, and one end, after which nothing of it is left.
//!
//! Three tasks serve a child: one reads its lines, one writes to it, one watches over its life. A child that does not
//! read blocks those who send to it, and nobody else; a child that nobody reads is blocked itself, by its pipe.

use super::complaints::{self, Secrets};
use super::ending::{Ending, Why};
use super::framing::{BadLine, Lines};
use super::household::{LaunchError, PrivateDirectory};
use super::keeper::{Keeper, Member};
use super::plan::{FAILED, Plan, READY, REPORT};
use super::proc;
use crate::tasks::Tasks;
use bytes::{Bytes, BytesMut};
use doorward_core::id::ServerName;
use rustix::process::{PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::timeout;

/// Lines on their way to the process.
const QUEUE: usize = 8;
/// Lines of the process that nobody has taken yet; each may be as large as a reply, and nobody has counted it.
const AHEAD: usize = 2;
/// How long the launcher may take.
const LAUNCH: Duration = Duration::from_secs(10);
/// How long a child may run on after its standard input was closed, and then after SIGTERM.
const AFTER_CLOSE: Duration = Duration::from_secs(2);
const AFTER_TERM: Duration = Duration::from_secs(3);
/// How long two reports of the same end may lie apart: the exit and the closing of the pipes.
const TOGETHER: Duration = Duration::from_secs(1);

/// A running process. Dropping it kills the process and everything that it started.
#[derive(Debug)]
pub struct Child {
    server: ServerName,
    pid: u32,
    outgoing: mpsc::Sender<Bytes>,
    lines: Option<mpsc::Receiver<Bytes>>,
    ending: watch::Receiver<Option<Ending>>,
    order: watch::Sender<Order>,
    patience: Duration,
}

/// A line was not accepted for a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// The child has ended or takes no more input.
    #[error("the server process is gone")]
    Ended,
    /// The child has not read for as long as the sender was to wait.
    #[error("the server process does not read")]
    Stuck,
    /// The bytes hold a line break: they would be two messages.
    #[error("not a single line")]
    NotOneLine,
}

/// What [`super::household`] hands over.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) process: tokio::process::Child,
    pub(super) member: Member,
    pub(super) directory: PrivateDirectory,
    pub(super) seat: OwnedSemaphorePermit,
    pub(super) keeper: Keeper,
}

/// What holds for one child.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) server: ServerName,
    pub(super) secrets: Secrets,
    pub(super) line: usize,
    pub(super) patience: Duration,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Run,
    Close,
}

/// How far the end has come; the reading and writing tasks follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// What is queued is still written, then standard input is closed.
    Draining,
    /// Nothing is written any more.
    Shut,
    /// The process is gone: what is in the pipe is still read, nothing is waited for.
    Dead,
}

/// The life of one child, from the launcher to the burial.
struct Watch {
    process: Process,
    exit: AsyncFd<OwnedFd>,
    phase: watch::Sender<Phase>,
    order: watch::Receiver<Order>,
    verdict: mpsc::Receiver<Why>,
    tasks: Tasks,
}

// === impl Child ===

impl Child {
    /// Gives the launcher its plan, waits until it has become the program, and starts the tasks.
    pub(super) async fn begin(mut process: Process, plan: &Plan, terms: Terms, tasks: Tasks) -> Result<Self, LaunchError> {
        let pid = process.member.pid();
        let exit = pidfd_open(pid, PidfdFlags::empty()).map_err(std::io::Error::from)?;
        let exit = exit_of(exit)?;
        let pipes = (process.process.stdin.take(), process.process.stdout.take(), process.process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(std::io::Error::other("a process without pipes").into());
        };
        let (order, orders) = watch::channel(Order::Run);
        let (tell_end, ending) = watch::channel(None);
        let (tell_start, started) = oneshot::channel();
        let (outgoing, to_write) = mpsc::channel(QUEUE);
        let (deliver, lines) = mpsc::channel(AHEAD);
        let (judge, verdict) = mpsc::channel(4);
        let phase = watch::Sender::new(Phase::Open);

        tasks.spawn(complaints::listen(stderr, terms.server.clone(), terms.secrets));
        let (bytes, server) = (plan.encode(), terms.server.clone());
        let life = Watch { process, exit, phase, order: orders, verdict, tasks: tasks.clone() };
        let cap = terms.line;
        // From here on the task owns the process: whoever stops waiting, it is brought to its end.
        tasks.spawn(async move {
            let mut life = life;
            let opened = timeout(LAUNCH, life.open(stdin, stdout, &bytes, cap)).await.unwrap_or(Err(LaunchError::Silent));
            drop(bytes);
            let ending = match opened {
                Ok((stdin, stdout, read)) => {
                    let phase = life.phase.subscribe();
                    life.tasks.spawn(write(stdin, to_write, phase.clone(), judge.clone()));
                    life.tasks.spawn(Reader { stdout, read, deliver, phase, tasks: life.tasks.clone() }.run(judge));
                    let _unwanted = tell_start.send(Ok(()));
                    life.run(&server).await
                }
                Err(error) => {
                    life.signal(Signal::KILL);
                    let ending = life.bury(Why::NotStarted).await;
                    let _unwanted = tell_start.send(Err(error));
                    ending
                }
            };
            tell_end.send_replace(Some(ending));
        });

        let pid = u32::try_from(pid.as_raw_pid()).unwrap_or(0);
        let child = Self { server: terms.server, pid, outgoing, lines: Some(lines), ending, order, patience: terms.patience };
        started.await.map_err(|_| LaunchError::Stopping)??;
        Ok(child)
    }

    /// The server that this process is.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// The process, its session and its group.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Queues one message, without its line break. Waits for room at most as long as the launcher's `patience`.
    ///
    /// Accepted does not mean read: the child may end before it gets to it.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&self, line: Bytes) -> Result<(), Gone> {
        if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(Gone::NotOneLine);
        }
        match timeout(self.patience, self.outgoing.send(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone::Ended),
            Err(_) => Err(Gone::Stuck),
        }
    }

    /// The lines of the child, complete and without their line break; `None` after the first time. The channel is
    /// closed after the last one. Dropping the receiver ends the child.
    pub const fn take_lines(&mut self) -> Option<mpsc::Receiver<Bytes>> {
        self.lines.take()
    }

    /// Becomes `Some` when the process has been reaped and everything that it had started is gone.
    #[must_use]
    pub fn exited(&self) -> watch::Receiver<Option<Ending>> {
        self.ending.clone()
    }

    /// Closes standard input, waits two seconds, sends SIGTERM to the group, waits three seconds, kills. Returns when
    /// nothing is left of the child.
    pub async fn close(self) -> Option<Ending> {
        self.order.send_replace(Order::Close);
        let mut ending = self.ending.clone();
        // The lines are still taken out, so that a child that wants to finish its last answer can.
        let mut lines = self.lines;
        let drain = async {
            if let Some(lines) = &mut lines {
                while lines.recv().await.is_some() {}
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = ending.wait_for(Option::is_some) => ended.ok().and_then(|e| *e),
            () = drain => None,
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Sends the plan and reads the report of the launcher.
    async fn open(
        &mut self,
        mut stdin: ChildStdin,
        mut stdout: ChildStdout,
        plan: &[u8],
        cap: usize,
    ) -> Result<(ChildStdin, ChildStdout, Lines), LaunchError> {
        let abandoned = self.order.clone();
        let talk = async {
            // A launcher that gives up early does not read to the end; its report says why.
            let _given_up = stdin.write_all(plan).await;
            let mut lines = Lines::new(cap.max(4096));
            loop {
                match lines.next_line() {
                    Ok(Some(line)) => return Ok((understand(&line)?, lines)),
                    Ok(None) => {}
                    Err(_) => return Err(LaunchError::Refused("not a launcher".into())),
                }
                if stdout.read_buf(lines.space()).await? == 0 {
                    return Err(LaunchError::Refused("it ended without a report".into()));
                }
            }
        };
        tokio::select! {
            spoken = talk => spoken.map(|((), lines)| (stdin, stdout, lines)),
            () = wanted(abandoned) => Err(LaunchError::Stopping),
        }
    }

    /// Waits for the first reason to end, and carries it out.
    async fn run(mut self, server: &ServerName) -> Ending {
        let stopping = self.tasks.clone();
        let order = self.order.clone();
        let why = tokio::select! {
            biased;
            Some(why) = self.verdict.recv() => why,
            _ = self.exit.readable() => Why::Exited,
            () = wanted(order) => Why::Closed,
            () = stopping.stopping() => Why::Closed,
        };
        let why = match why {
            // A pipe closes a moment before the process is gone.
            Why::OutputClosed | Why::InputClosed if self.exits_within(TOGETHER).await => Why::Exited,
            other => other,
        };
        match why {
            Why::Closed if self.order.has_changed().is_err() => self.signal(Signal::KILL), // dropped, not closed
            Why::Closed | Why::InputClosed | Why::OutputClosed => self.ask_to_end().await,
            Why::Exited => {}
            Why::LineTooLong | Why::NotText | Why::Unheard | Why::NotStarted => self.signal(Signal::KILL),
        }
        let ending = self.bury(why).await;
        tracing::debug!(%server, why = ending.why.as_str(), status = ?ending.status, "a server process ended");
        ending
    }

    async fn ask_to_end(&self) {
        self.phase.send_replace(Phase::Draining);
        if self.exits_within(AFTER_CLOSE).await {
            return;
        }
        self.phase.send_replace(Phase::Shut);
        self.signal(Signal::TERM);
        if !self.exits_within(AFTER_TERM).await {
            self.signal(Signal::KILL);
        }
    }

    async fn exits_within(&self, span: Duration) -> bool {
        timeout(span, self.exit.readable()).await.is_ok()
    }

    /// To the group of the child. Safe until the burial: a process that was not reaped keeps its id.
    fn signal(&self, signal: Signal) {
        let _gone = kill_process_group(self.process.member.pid(), signal);
        if signal == Signal::KILL {
            // Before the launcher has its own session there is no such group yet.
            let _gone = rustix::process::kill_process(self.process.member.pid(), signal);
        }
    }

    /// Waits for the exit, kills what is left of the session and what stood below the child, reaps, and removes the
    /// directory.
    async fn bury(mut self, why: Why) -> Ending {
        let pid = self.process.member.pid();
        let below = proc::descendants(&proc::all(), pid.as_raw_pid());
        let _readable = self.exit.readable().await;
        let left = self.process.keeper.clear(pid, below).await;
        if left > 0 {
            tracing::warn!(left, "processes of a server could not be killed");
        }
        // The session is empty. A violation may have been reported after the exit was seen.
        self.phase.send_replace(Phase::Dead);
        let late = if why == Why::Exited { timeout(TOGETHER, self.verdict.recv()).await.ok().flatten() } else { None };
        let why = match late {
            Some(late @ (Why::LineTooLong | Why::NotText | Why::NotStarted)) => late,
            _ => why,
        };
        let Process { mut process, member, directory, seat, keeper: _ } = self.process;
        let status = member.bury(|| process.try_wait()).ok().flatten();
        directory.remove().await;
        drop(seat);
        Ending { why, status }
    }
}

/// Tells when the process behind a pidfd is dead.
#[expect(
    deprecated,
    reason = "its successor is unsafe, which this workspace forbids; what is unsound about it are types that lie about \
              their descriptor or close it early, and `OwnedFd` does neither"
)]
fn exit_of(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd)
}

/// Resolves when the owner has closed or dropped the child.
async fn wanted(mut order: watch::Receiver<Order>) {
    let _dropped = order.wait_for(|order| *order == Order::Close).await;
}

fn understand(line: &[u8]) -> Result<(), LaunchError> {
    let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_prefix(REPORT));
    match text {
        Some(READY) => Ok(()),
        Some(other) => Err(LaunchError::Refused(other.strip_prefix(FAILED).unwrap_or("not a report").to_owned())),
        None => Err(LaunchError::Refused("not a launcher".into())),
    }
}

/// Writes what is queued until the phase says otherwise; dropping the pipe closes it.
async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Bytes>, mut phase: watch::Receiver<Phase>, judge: mpsc::Sender<Why>) {
    let mut draining = phase.clone();
    let work = async {
        loop {
            let line = tokio::select! {
                biased;
                line = queue.recv() => line,
                _ = draining.wait_for(|p| *p >= Phase::Draining), if !queue.is_closed() => { queue.close(); continue }
            };
            let Some(line) = line else { return };
            let mut message = BytesMut::with_capacity(line.len() + 1);
            message.extend_from_slice(&line);
            message.extend_from_slice(b"\n");
            if stdin.write_all(&message).await.is_err() {
                let _known = judge.try_send(Why::InputClosed);
                return;
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = phase.wait_for(|p| *p >= Phase::Shut) => {}
    }
}

struct Reader {
    stdout: ChildStdout,
    read: Lines,
    deliver: mpsc::Sender<Bytes>,
    phase: watch::Receiver<Phase>,
    tasks: Tasks,
}

impl Reader {
    async fn run(mut self, judge: mpsc::Sender<Why>) {
        let why = self.follow().await;
        let _known = judge.try_send(why);
    }

    async fn follow(&mut self) -> Why {
        let failed = format!("{REPORT}{FAILED}");
        let mut first = true;
        loop {
            match self.read.next_line() {
                // Between its report and the program the launcher can only fail.
                Ok(Some(line)) if first && line.starts_with(failed.as_bytes()) => return Why::NotStarted,
                Ok(Some(line)) => {
                    first = false;
                    if let Some(why) = self.hand_over(line).await {
                        return why;
                    }
                }
                Ok(None) => match self.more().await {
                    Ok(0) | Err(_) => return Why::OutputClosed, // what is left has no line break: not a message
                    Ok(_) => {}
                },
                Err(BadLine::TooLong) => return Why::LineTooLong,
                Err(BadLine::NotText) => return Why::NotText,
            }
        }
    }

    /// Waits for room, or for a reason not to.
    async fn hand_over(&self, line: Bytes) -> Option<Why> {
        tokio::select! {
            biased;
            sent = self.deliver.send(line) => sent.is_err().then_some(Why::Unheard),
            () = self.tasks.stopping() => Some(Why::Closed),
        }
    }

    async fn more(&mut self) -> std::io::Result<usize> {
        tokio::select! {
            biased;
            count = self.stdout.read_buf(self.read.space()) => count,
            _ = self.phase.wait_for(|p| *p == Phase::Dead) => Ok(0),
        }
    }
}
