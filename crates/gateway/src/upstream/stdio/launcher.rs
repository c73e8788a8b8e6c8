//! The last thing that runs before a program: the own binary, started again, narrows itself and becomes the program.
//!
//! It is a fresh process with one thread, so everything here is ordinary safe code where `pre_exec` would not be. The
//! order matters: first the tie to the parent, then the plan, then one restriction after the other, then `execve`. A
//! restriction that cannot be applied ends the launch. Must not know servers, users or where values come from.

use super::plan::{EXIT_FAILED, FAILED, MAX_PLAN, Plan, READY, REPORT};
use super::{package, proc};
use rustix::fs::{Access, Mode, access};
use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, setrlimit, setsid};
use rustix::process::{set_parent_process_death_signal, umask};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_no_new_privs};
use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// The hidden first argument with which the binary is started as a launcher.
pub const ARGUMENT: &str = "__launch";

/// Open files of a child.
const OPEN_FILES: u64 = 1024;
/// Processors that a `CpuSet` can name.
const MAX_CPUS: usize = 1024;

/// Why the launcher gave up. It reaches the gateway as text and never holds a value of the environment.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
    #[error("the plan is malformed")]
    Plan,
    #[error("the gateway is gone")]
    Orphaned,
    #[error("the program is neither a binary of this machine nor a script that names its interpreter")]
    Format,
    #[error("{}", package::CHANGED)]
    Changed,
    #[error("{}", package::MISSING)]
    Missing,
    #[error("a descriptor besides 0, 1 and 2 stays open")]
    Descriptors,
}

/// Reads the plan from standard input and becomes the program. Returns only if that failed: the reason stands on
/// standard output, and the exit code is 126.
///
/// To be called before anything else in `main`, when the only argument is [`ARGUMENT`]: no thread may have been
/// started and no descriptor opened.
#[must_use]
pub fn main() -> ExitCode {
    let refused = match run() {
        Ok(never) => match never {},
        Err(refused) => refused,
    };
    let text: String = refused.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _gone = report(&format!("{FAILED}{text}"));
    ExitCode::from(EXIT_FAILED)
}

fn run() -> Result<std::convert::Infallible, Refused> {
    // First of all: from here on this process, and the program that it becomes, dies with the thread that started it.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(system("parent-death signal"))?;
    let plan = read_plan()?;
    // The parent may have died before the signal was set; then another process stands here.
    if getppid().map(Pid::as_raw_pid) != i32::try_from(plan.parent).ok() {
        return Err(Refused::Orphaned);
    }
    setsid().map_err(system("new session"))?;
    umask(Mode::from_raw_mode(0o077));
    set_no_new_privs(true).map_err(system("no new privileges"))?;
    close_descriptors()?;
    limit(&plan)?;
    std::env::set_current_dir(&plan.cwd).map_err(|e| Refused::System("working directory", e))?;
    // Last, so that as little time as can be lies between the check and the start.
    let argv = arguments(&plan)?;
    let mut argv = argv.iter();
    let program = argv.next().ok_or(Refused::Plan)?;
    access(program.as_os_str(), Access::EXEC_OK).map_err(system("program"))?;
    check_format(program)?;
    report(READY).map_err(|e| Refused::System("standard output", e))?;
    // `exec` resets the signal mask and SIGPIPE; handlers do not survive it.
    Err(Refused::System("execute", command(program).args(argv).env_clear().envs(plan.environment()).exec()))
}

/// What becomes the program: the command as it is, or a package in which everything is as it was approved.
fn arguments(plan: &Plan) -> Result<Vec<OsString>, Refused> {
    let Some(package) = &plan.package else { return Ok(plan.argv.clone()) };
    let tree = package::read(Path::new(&package.directory)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Refused::Missing,
        // Whatever cannot be read, or is no package, is not the one that was approved.
        _ => Refused::Changed,
    })?;
    if *tree.integrity.as_bytes() != package.integrity {
        return Err(Refused::Changed);
    }
    let own = usize::try_from(package.replaces).ok().and_then(|count| plan.argv.get(count..)).ok_or(Refused::Plan)?;
    Ok(tree.program.into_iter().chain(own.iter().cloned()).collect())
}

/// `CommandExt::exec` is execvp(3), which gives what the kernel does not know (ENOEXEC) to `/bin/sh`. There is no shell
/// here: a program is a script with an interpreter line, or ELF of the same class, byte order and machine as this one.
fn check_format(program: &std::ffi::OsStr) -> Result<(), Refused> {
    let theirs = head(std::path::Path::new(program))?;
    if theirs.starts_with(b"#!") {
        return Ok(());
    }
    let ours = head(std::path::Path::new("/proc/self/exe"))?;
    // Magic number, class and byte order; then the machine (elf(5)).
    let same = |from: usize, to: usize| theirs.get(from..to) == ours.get(from..to);
    if theirs.starts_with(b"\x7fELF") && same(4, 6) && same(18, 20) { Ok(()) } else { Err(Refused::Format) }
}

fn head(file: &std::path::Path) -> Result<[u8; 20], Refused> {
    use std::io::Read as _;
    let mut head = [0u8; 20];
    let opened = std::fs::File::open(file).map_err(|e| Refused::System("program", e))?;
    let mut bytes = Vec::with_capacity(head.len());
    opened.take(20).read_to_end(&mut bytes).map_err(|e| Refused::System("program", e))?;
    head.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    Ok(head)
}

fn command(program: &std::ffi::OsStr) -> std::process::Command {
    std::process::Command::new(program)
}

fn system(what: &'static str) -> impl Fn(rustix::io::Errno) -> Refused {
    move |errno| Refused::System(what, errno.into())
}

fn report(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{REPORT}{text}")?;
    out.flush()
}

/// Reads exactly the plan: whatever follows on standard input is for the program, so nothing may buffer here.
fn read_plan() -> Result<Plan, Refused> {
    let mut length = [0u8; 8];
    read_exactly(&mut length)?;
    let length = usize::try_from(u64::from_be_bytes(length)).ok().filter(|n| *n <= MAX_PLAN).ok_or(Refused::Plan)?;
    let mut body = Zeroizing::new(vec![0; length]);
    read_exactly(&mut body)?;
    Plan::decode(&body).map_err(|_| Refused::Plan)
}

fn read_exactly(mut into: &mut [u8]) -> Result<(), Refused> {
    while !into.is_empty() {
        match rustix::io::read(std::io::stdin(), &mut *into) {
            Ok(0) => return Err(Refused::Plan),
            Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(system("standard input")(errno)),
        }
    }
    Ok(())
}

/// The gateway opens everything close-on-exec, but it may itself have been started with descriptors that are not.
fn close_descriptors() -> Result<(), Refused> {
    for extra in extra_descriptors()? {
        // The listing's own descriptor is among them and already closed.
        let _closed = nix::unistd::close(extra);
    }
    let left = extra_descriptors()?;
    // One is the listing itself.
    if left.len() > 1 { Err(Refused::Descriptors) } else { Ok(()) }
}

fn extra_descriptors() -> Result<Vec<i32>, Refused> {
    let listing = std::fs::read_dir("/proc/self/fd").map_err(|e| Refused::System("descriptors", e))?;
    let mut found = Vec::new();
    for entry in listing {
        let name = entry.map_err(|e| Refused::System("descriptors", e))?.file_name();
        let number: i32 = name.to_str().and_then(|n| n.parse().ok()).ok_or(Refused::Descriptors)?;
        if number > 2 {
            found.push(number);
        }
    }
    Ok(found)
}

fn limit(plan: &Plan) -> Result<(), Refused> {
    // Private writable memory rather than address space: runtimes reserve far more addresses than they use.
    lower(Resource::Data, plan.memory)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Nofile, OPEN_FILES)?;
    // The kernel counts all tasks of the user, so those that exist already are added.
    lower(Resource::Nproc, proc::tasks_of_this_user().saturating_add(plan.processes))?;
    bind_processors(plan.cpu)
}

/// Sets both limits, never above what was inherited.
fn lower(resource: Resource, to: u64) -> Result<(), Refused> {
    let to = getrlimit(resource).maximum.map_or(to, |inherited| inherited.min(to));
    setrlimit(resource, Rlimit { current: Some(to), maximum: Some(to) }).map_err(system("resource limit"))
}

/// Keeps to `count` of the allowed processors, beginning at another one in each process.
fn bind_processors(count: u16) -> Result<(), Refused> {
    let allowed = sched_getaffinity(None).map_err(system("processors"))?;
    let numbers: Vec<usize> = (0..MAX_CPUS).filter(|n| allowed.is_set(*n)).collect();
    if numbers.len() <= usize::from(count) {
        return Ok(());
    }
    let first = usize::try_from(std::process::id()).unwrap_or(0) % numbers.len();
    let mut chosen = CpuSet::new();
    for number in numbers.iter().cycle().skip(first).take(usize::from(count)) {
        chosen.set(*number);
    }
    sched_setaffinity(None, &chosen).map_err(system("processors"))
}
