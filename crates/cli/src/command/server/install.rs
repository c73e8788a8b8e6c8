//! `doorward server install`: keeps a copy of the package that a runner would fetch, with everything that it needs (STD-08).
//!
//! From then on the runner is never started, and no registry is asked: the copy is checked as a whole before each start. The
//! installer is the only program that this command starts. No script of a package runs while it is installed.

mod npm;
mod pypi;

use super::NameArguments;
use super::file::Draft;
use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::House;
use clap::Args;
use doorward_core::config::{Stdio, Target};
use doorward_core::launch::{Integrity, Package, PackageRunners, Registry, Ruling, Run, rule, runner};
use doorward_gateway::upstream::stdio::package::{self, MANIFEST};
use serde_json::json;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as Pipe};

/// Options of `server install`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which server.
    #[command(flatten)]
    pub server: NameArguments,
    /// Registry to fetch from [default: as npm or pip is configured for you]
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
}

/// What is installed, and with what.
struct Order<'a> {
    run: &'a Run,
    package: &'a Package,
    /// The runner, absolute.
    program: &'a Path,
    registry: Option<&'a str>,
    /// An empty directory that becomes the package.
    into: &'a Path,
    /// What an earlier installation resolved, if it is known.
    lock: Option<String>,
}

/// What came of it.
struct Installed {
    /// Program and first arguments; `./` is inside the package.
    program: Vec<String>,
    /// Exactly what was fetched, with hashes, to do it again.
    lock: String,
}

/// Installs the package of a server and writes its integrity into the configuration, where none is.
///
/// # Errors
/// [`Failure`]; exit 6 if what the registry gave is not what the configuration names.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    let name = arguments.server.name.as_str();
    let server = house.config().servers.values().find(|server| server.name.as_str() == name).ok_or_else(|| {
        Failure::new(Exit::Usage, "server.unknown", format!("there is no server \"{}\"", inert(name)), "see doorward server list")
    })?;
    let Target::Stdio(command) = &server.target else { return Err(no_package("it is reached by a URL")) };
    let run = runner(&command.argv).ok_or_else(|| no_package("its command fetches nothing"))?;
    let package = run.installable().ok_or_else(|| unpinned(name, command))?;
    let packages = package::home(&house.state);
    DirBuilder::new().recursive(true).mode(0o700).create(&packages).map_err(|error| unkept(&packages, &error))?;
    let room = Room::new(&packages, &house)?;
    let what = match package.registry {
        Registry::Npm => "npm",
        _ => "PyPI",
    };
    console.say(format_args!("  {what} package {}, with everything that it needs; no script of it runs", inert(&package.text)));
    let program = command.argv.first().map(Path::new).unwrap_or(Path::new("/"));
    let lock = command.integrity.and_then(|integrity| fs::read_to_string(lock_of(&packages, &integrity)).ok());
    let order = Order { run: &run, package, program, registry: arguments.registry.as_deref(), into: &room.0, lock };
    let installed = if package.registry == Registry::Npm { npm::install(&order) } else { pypi::install(&order) }?;
    let words: Vec<&str> = installed.program.iter().map(String::as_str).collect();
    let text = package::manifest(&format!("{what}:{}", package.text), &words);
    fs::write(room.0.join(MANIFEST), text).map_err(|error| unkept(&room.0, &error))?;
    let tree = package::read(&room.0).map_err(|error| unkept(&room.0, &error))?;
    if let Some(wanted) = command.integrity.filter(|wanted| *wanted != tree.integrity) {
        let message = format!("what was fetched for {} is not what the configuration names", inert(&package.text));
        let help = "something changed under this version, in it or in what it needs: look at it; to accept it, take integrity out of the \
                    configuration and install again";
        let cause = format!("wanted {wanted}, got {}", tree.integrity);
        return Err(Failure::new(Exit::Integrity, "server.package_changed", message, help).because(cause));
    }
    let place = package::place(&packages, &tree.integrity);
    keep(&room.0, &place, &tree.integrity, &packages, &installed.lock).map_err(|error| unkept(&place, &error))?;
    let good = console.sign(Sign::Good);
    if console.form() == Form::Json {
        let document = json!({"server": name, "package": package.text, "integrity": tree.integrity.to_string()});
        console.document(super::super::config::object(document));
    } else {
        console.line(format_args!("{good} {} is installed: {}", inert(&package.text), tree.integrity));
    }
    if command.integrity.is_none() {
        let mut draft = Draft::open(global)?;
        draft.set(name, "integrity", &tree.integrity.to_string())?;
        draft.show(console)?;
        let path = draft.write()?;
        console.say(format_args!("{good} written to {}", path.display()));
        console.say(format_args!("  it is another command now: doorward server approve {name} --command --read-only"));
    }
    Ok(Exit::Fine)
}

/// Puts a package into its place, unless it is there already as it should be.
fn keep(from: &Path, place: &Path, integrity: &Integrity, packages: &Path, lock: &str) -> io::Result<()> {
    if !package::read(place).is_ok_and(|there| there.integrity == *integrity) {
        package::remove(place)?;
        fs::rename(from, place)?;
        package::freeze(place)?;
    }
    fs::write(lock_of(packages, integrity), lock)
}

fn lock_of(packages: &Path, integrity: &Integrity) -> PathBuf {
    packages.join(format!("{}.lock", integrity.hex()))
}

/// A directory in which a package is put together; gone when dropped, unless it was given another name.
struct Room(PathBuf);

impl Room {
    fn new(packages: &Path, house: &House) -> Result<Self, Failure> {
        let no_random = |_| Failure::new(Exit::Internal, "random", "the system gives no random bytes", "try again");
        let id: String = house.env.bytes::<8>().map_err(no_random)?.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = packages.join(format!(".new-{id}"));
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| unkept(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(package::remove(&self.0));
    }
}

/// A program beside the runner, or where systems keep programs.
fn beside(program: &Path, name: &str) -> Result<PathBuf, Failure> {
    let directories = [program.parent().unwrap_or(Path::new("/")), Path::new("/usr/local/bin"), Path::new("/usr/bin")];
    let found = directories.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let message = format!("there is no {name} beside {}", program.display());
        Failure::new(Exit::Unreachable, "server.installer", message, "install it, or name a runner that has it at its side")
    })
}

/// Runs an installer in `directory`.
fn installer<A: AsRef<OsStr>>(program: &Path, arguments: &[A], directory: &Path) -> Result<(), Failure> {
    let directories = program.parent().unwrap_or(Path::new("/")).display();
    let mut command = Command::new(program);
    // Where it is, its interpreter is, too. Everything else is as for the person at the keyboard: proxies, registries, credentials.
    command.env("PATH", format!("{directories}:/usr/local/bin:/usr/bin:/bin"));
    command.args(arguments).current_dir(directory).stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::piped());
    let failed = |cause: String| {
        let message = format!("{} did not install the package", program.display());
        Failure::new(Exit::Unreachable, "server.install", message, "see what it says; nothing was changed").because(cause)
    };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<String> = said.lines().filter(|line| !line.trim().is_empty()).take(6).map(inert).collect();
    Err(failed(lines.join("; ")))
}

fn no_package(why: &str) -> Failure {
    let help = "only for commands that are package runners, such as npx and uvx";
    Failure::new(Exit::Usage, "server.no_package", format!("there is nothing to install: {why}"), help)
}

/// Something that cannot be installed, in the words of the policy.
fn unpinned(name: &str, command: &Stdio) -> Failure {
    match rule(PackageRunners::Pinned, name, &command.argv, command.integrity.as_ref()) {
        Ruling::Refused(problem) | Ruling::Warned(problem) => {
            Failure::new(Exit::Usage, "server.unpinned", inert(&problem.what), inert(&problem.fix))
        }
        Ruling::Fine => no_package("its image is named by its digest"),
    }
}

fn unkept(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be kept", path.display());
    Failure::new(Exit::Unreachable, "server.package", message, "check the state directory").because(crate::settings::reason(error))
}

/// What a package itself says, and what is none of ours.
fn odd(package: &Package, why: &str) -> Failure {
    let message = format!("{} cannot be started from a copy: {why}", inert(&package.text));
    Failure::new(Exit::Unreachable, "server.package", message, "install it yourself and name its program")
}
