//! One binary with two parts for the tests of stdio servers: the launcher, and a gateway that does nothing but hold children. Never shipped.

use doorward_core::id::ServerName;
use doorward_gateway::env::Env;
use doorward_gateway::upstream::stdio::household::{Launcher, Options};
use doorward_gateway::upstream::stdio::launcher;
use doorward_gateway::upstream::stdio::profile::{Approved, LaunchProfile, Limits, approve};
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == launcher::ARGUMENT) {
        return launcher::main();
    }
    match hold(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// `<state directory> <count> <program> <argument>...`: starts children, prints their ids, and stops them gracefully
/// when standard input ends.
fn hold(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [state, count, argv @ ..] = arguments else { return Err("arguments".into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let launcher = Launcher::start(Options::new(state.into()), Env::system())?;
        // What the runtime opens once, it opens for this one.
        launcher.launch(approved(argv)?).await?.close().await;
        let before = descriptors()?;
        let mut children = Vec::new();
        for _ in 0..count.parse::<u32>()? {
            let child = launcher.launch(approved(argv)?).await?;
            writeln!(std::io::stdout(), "{}", child.pid())?;
            children.push(child);
        }
        writeln!(std::io::stdout(), "ready")?;
        let mut nothing = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut nothing).await?;
        let left = launcher.stop(Duration::from_secs(10)).await;
        drop(children);
        writeln!(std::io::stdout(), "left {left}, {} descriptors more", descriptors()?.saturating_sub(before))?;
        Ok::<_, Box<dyn Error>>(())
    })
}

fn approved(argv: &[String]) -> Result<Approved, Box<dyn Error>> {
    let limits = Limits { memory: 1 << 30, cpu: 1, processes: 4096, restart: "5/m".parse()? };
    let profile = LaunchProfile::new(ServerName::new("held")?, argv.to_vec(), Vec::new(), None, limits)?;
    let digest = profile.digest();
    Ok(approve(profile, Some(&digest))?)
}

fn descriptors() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}
