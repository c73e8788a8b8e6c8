//! `doorward scan`: the auditor at the command line. Says where to look and where the report goes; what is wrong is decided in
//! `doorward-scan`, which starts nothing and connects nowhere, and in `doorward-probe`, which asks the servers that were named
//! (product 6).

mod live;

use crate::console::{Console, Form};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::reason;
use clap::{Args, ValueEnum};
use doorward_scan::{Color, Computer, Depth, Layout, MOVES, Moved, Os, Report, Request, Severity, Target, explain, ids, scan};
use live::Probing;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Options of `scan`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files and directories; a directory with all below it [default: the clients of this user, and the project in this directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Look in this home directory instead of one's own
    #[arg(long, value_name = "DIR", conflicts_with = "paths")]
    pub home: Option<PathBuf>,
    /// Whose paths [default: those of this system]
    #[arg(long, value_name = "SYSTEM")]
    pub os: Option<System>,
    /// Exit with 1 if a finding is as bad as this or worse, or a file could not be looked at
    #[arg(long, value_name = "SEVERITY")]
    pub fail_on: Option<Level>,
    /// Leave out what an earlier report (--json) knows
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write a SARIF 2.1.0 log besides; - is stdout, instead of the text
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Write one page of HTML besides; - is stdout, instead of the text
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print the page of a rule
    #[arg(long, value_name = "ID", conflicts_with_all = ["paths", "home", "sarif", "html", "baseline", "fail_on", "probe"])]
    pub explain: Option<String>,
    /// What is asked of servers.
    #[command(flatten)]
    pub probing: Probing,
}

/// A system by its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Linux.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
}

/// A severity that ends with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Low, medium or high.
    Low,
    /// Medium or high.
    Medium,
    /// High.
    High,
}

/// No baseline is longer.
const MAX_BASELINE: u64 = 32 << 20;

/// Looks, and reports.
///
/// # Errors
/// [`Failure`] if there is no home directory, the baseline is none, or a report cannot be written.
pub fn run(arguments: &Arguments, console: &mut Console) -> Result<Exit, Failure> {
    if let Some(id) = &arguments.explain {
        return page(id, console);
    }
    // A baseline that is none is said before anything is read.
    let known = arguments.baseline.as_deref().map(baseline).transpose()?;
    let files = if arguments.probing.probe.is_empty() || !arguments.paths.is_empty() || arguments.home.is_some() {
        Some(request(arguments)?)
    } else {
        None
    };
    // Who does not agree is told so before anything is read.
    let live = arguments.probing.run(console)?;
    let files = files.as_ref().map(scan);
    let mut report = match (files, live) {
        (files, Some(live)) => Report::of_servers(files, live),
        (Some(files), None) => files,
        (None, None) => return Ok(Exit::Fine),
    };
    if let Some(known) = known {
        report.leave_out(&known);
    }
    tell(arguments, &report, console)?;
    let most = match arguments.fail_on {
        None => return Ok(Exit::Fine),
        Some(Level::Low) => Severity::Low,
        Some(Level::Medium) => Severity::Medium,
        Some(Level::High) => Severity::High,
    };
    // A gate that could not look does not say that all is well.
    Ok(if report.at_least(most) > 0 || report.unread() > 0 { Exit::Findings } else { Exit::Fine })
}

fn page(id: &str, console: &mut Console) -> Result<Exit, Failure> {
    let Some(text) = explain(id) else {
        let all: Vec<&str> = ids().collect();
        return Err(Failure::new(Exit::Usage, "scan.unknown_rule", format!("there is no rule {id}"), all.join(" ")));
    };
    if console.form() == Form::Json {
        console.document(crate::command::config::object(json!({"id": id.to_ascii_uppercase(), "text": text})));
    } else {
        console.line(text);
    }
    Ok(Exit::Fine)
}

fn request(arguments: &Arguments) -> Result<Request, Failure> {
    // What was named and is not there is an error: a gate must not pass because of a slip in its path.
    let absolute = |path: &Path| {
        let there = path.symlink_metadata().and_then(|_| std::path::absolute(path));
        there.map_err(|error| {
            let message = format!("{} cannot be looked at", path.display());
            Failure::new(Exit::Unreachable, "scan.path", message, "name files or directories that are there").because(reason(&error))
        })
    };
    let os = match arguments.os {
        None => Os::here(),
        Some(System::Linux) => Os::Linux,
        Some(System::Macos) => Os::MacOs,
        Some(System::Windows) => Os::Windows,
    };
    let here = std::env::current_dir().ok();
    let layout = match &arguments.home {
        // Somebody else's home: neither the variables nor the root of this computer belong to it.
        Some(home) => Layout { os, home: absolute(home)?, root: None, moved: Vec::new(), here: None },
        None => own_layout(os, here.clone())?,
    };
    let named: Vec<Target> =
        arguments.paths.iter().map(|path| Ok(Target { path: absolute(path)?, depth: Depth::Below })).collect::<Result<_, Failure>>()?;
    let own = here.filter(|_| arguments.home.is_none()).map(|path| Target { path, depth: Depth::Top });
    Ok(if named.is_empty() {
        Request { layout, computer: Computer::Read, paths: own.into_iter().collect() }
    } else {
        Request { layout, computer: Computer::Leave, paths: named }
    })
}

/// Where the files of this user lie.
pub(crate) fn own_layout(os: Os, here: Option<PathBuf>) -> Result<Layout, Failure> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let help = "say where: doorward scan --home DIR, or name files";
    let home = variable("HOME").ok_or_else(|| Failure::new(Exit::Usage, "scan.home", "there is no home directory", help))?;
    let moved = MOVES.iter().filter_map(|(name, from)| Some(Moved { from, to: variable(name)? })).collect();
    Ok(Layout { os, home, root: Some(PathBuf::from("/")), moved, here })
}

fn baseline(path: &Path) -> Result<std::collections::BTreeSet<String>, Failure> {
    let help = "make one: doorward scan --json > FILE";
    let failed = |message: &str| Failure::new(Exit::Configuration, "scan.baseline", format!("{} {message}", path.display()), help);
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BASELINE).read_to_string(&mut text));
    read.map_err(|error| failed("cannot be read").because(reason(&error)))?;
    Report::baseline(&text).map_err(|error| failed("is no baseline").because(error))
}

fn tell(arguments: &Arguments, report: &Report, console: &mut Console) -> Result<(), Failure> {
    let mut on_stdout = false;
    for (path, text) in [
        (&arguments.sarif, arguments.sarif.as_ref().map(|_| format!("{:#}\n", report.sarif()))),
        (&arguments.html, arguments.html.as_ref().map(|_| report.html())),
    ] {
        let (Some(path), Some(text)) = (path, text) else { continue };
        if path.as_os_str() == "-" {
            if on_stdout {
                return Err(Failure::new(Exit::Usage, "usage", "only one report goes to stdout", "name a file for the other"));
            }
            on_stdout = true;
            let _ = console.raw(&text);
        } else {
            written(path, &text).map_err(|error| unwritten(path, &error))?;
        }
    }
    if on_stdout {
        return Ok(());
    }
    if console.form() == Form::Json {
        console.document(report.json());
    } else {
        let color = if console.color() { Color::Ansi } else { Color::Plain };
        let _ = console.raw(&report.text(console.width(), color));
    }
    Ok(())
}

/// Writes a report, but through no link to a file: what is looked at may have put one there that leads to a file of the user's.
fn written(path: &Path, text: &str) -> io::Result<()> {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    // /dev/stdout and its like lead to what is no file.
    if is_link && std::fs::metadata(path).map_or(true, |there| there.is_file()) {
        return Err(io::Error::other("it is a link"));
    }
    std::fs::write(path, text)
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be written", path.display());
    Failure::new(Exit::Unreachable, "scan.unwritten", message, "name another file").because(reason(error))
}
