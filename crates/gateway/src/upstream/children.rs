//! Child processes as servers: approved, started within their budget, and their lines joined to a [`Pipe`].

use super::fault::Fault;
use super::pace::Pace;
use super::pipe::Pipe;
use super::stdio::child::Gone;
use super::stdio::ending::Ending;
use super::stdio::household::LaunchError;
use super::stdio::package;
use super::stdio::profile::{LaunchProfile, Limits, Package, Variable, approve};
use super::stdio::restart::{Rate, RestartBudget, Verdict};
use super::{PipeKey, StdioServer, Upstream};
use crate::tasks::Tasks;
use bytes::Bytes;
use doorward_core::config::reference::SecretRef;
use doorward_core::config::units::Rate as PaceOf;
use doorward_core::config::{Config, ProcessLimits, Stdio, Target};
use doorward_core::id::ServerName;
use doorward_core::launch::{Problem, Ruling, rule, runner};
use doorward_core::secret::Secret;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use tokio::sync::{mpsc, watch};

/// A process is read as fast as the streams of so many calls: it may serve that many, and what one of them says stands before the
/// answer of another.
const CALLS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Lines that wait for a child.
const WAITING: usize = 16;

impl StdioServer {
    /// Digest of the command, for its approval; `None` for one that can never run.
    #[must_use]
    pub fn digest(&self, server: &ServerName) -> Option<[u8; 32]> {
        digest(server, &self.command)
    }

    /// Starts a process. The approval is that of exactly this command (I9).
    ///
    /// # Errors
    /// [`Fault::NotApproved`], [`Fault::Child`].
    pub async fn launch(&self, upstream: &Upstream, tasks: &Tasks, approved: Option<[u8; 32]>) -> Result<Arc<Pipe>, Fault> {
        if let Ruling::Refused(problem) =
            rule(self.command.runners, upstream.config.name.as_str(), &self.command.argv, self.command.integrity.as_ref())
        {
            tracing::warn!(server = %upstream.config.name, why = %problem.what, fix = %problem.fix, "a package runner was not started");
            return Err(Fault::Unpinned);
        }
        let profile = self.profile(&upstream.config.name).ok_or(Fault::Child("the command cannot be run"))?;
        let approved = approve(profile, approved.as_ref()).map_err(|_| Fault::NotApproved)?;
        let mut child = self.launcher.launch(approved).await.map_err(|error| {
            tracing::warn!(server = %upstream.config.name, %error, "a process did not start");
            match error {
                LaunchError::Full => Fault::Child("too many processes"),
                LaunchError::Stopping => Fault::Child("the gateway is shutting down"),
                LaunchError::Refused(why) if why == package::CHANGED => Fault::PackageChanged,
                LaunchError::Refused(why) if why == package::MISSING => Fault::PackageMissing,
                _ => Fault::Child("the process did not start"),
            }
        })?;
        let lines = child.take_lines().ok_or(Fault::Child("its output is taken"))?;
        let (input, mut wanted) = mpsc::channel::<Bytes>(WAITING);
        let (gone, ended) = watch::channel(false);
        let pipe = Pipe::new(input, ended, Arc::clone(&upstream.generation), self.replies.clone());
        let pace = Pace::of(PaceOf { count: self.pace.count.saturating_mul(CALLS), per: self.pace.per });
        tasks.spawn(Arc::clone(&pipe).read(lines, pace));
        let server = upstream.config.name.clone();
        tasks.spawn(async move {
            let mut exited = child.exited();
            loop {
                tokio::select! {
                    line = wanted.recv() => match line {
                        Some(line) => match child.send(line).await {
                            Ok(()) => {}
                            // One bad message is not the end of a process that others use, too.
                            Err(Gone::NotOneLine) => tracing::error!(%server, "a message of several lines was not sent"),
                            Err(_) => break,
                        },
                        None => break,
                    },
                    () = ended_by_itself(&mut exited) => break,
                }
            }
            let ending = child.close().await;
            tracing::info!(%server, ?ending, "a process ended");
            gone.send_replace(true);
        });
        Ok(pipe)
    }

    fn profile(&self, server: &ServerName) -> Option<LaunchProfile> {
        let value = |of: &str| self.secrets.iter().find(|(name, _)| name == of).map(|(_, value)| Secret::new(value.expose().clone()));
        profile(server, &self.command, &self.packages, value)
    }

    /// Waits as long as a command that ended by itself has to before it is started again.
    ///
    /// # Errors
    /// [`Fault::Child`] when it ends too often.
    pub(super) async fn before_restart(&self, key: &PipeKey) -> Result<(), Fault> {
        let Some(rate) = rate(self.command.limits) else { return Err(Fault::Child("the command cannot be run")) };
        let verdict = {
            let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
            budgets.entry(key.clone()).or_insert_with(|| RestartBudget::new(rate)).ask(self.since.elapsed())
        };
        match verdict {
            Verdict::After(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Verdict::Exhausted(_) => Err(Fault::Child("the process ends too often")),
        }
    }
}

/// What is wrong with package runners among these servers, and whether they start all the same (STD-08).
#[must_use]
pub fn unpinned(config: &Config) -> Vec<(ServerName, &'static str, Problem)> {
    let commands = config.servers.values().filter(|server| server.enabled).filter_map(|server| match &server.target {
        Target::Stdio(command) => Some((&server.name, command)),
        Target::Http { .. } => None,
    });
    let problem =
        |(name, command): (&ServerName, &Stdio)| match rule(command.runners, name.as_str(), &command.argv, command.integrity.as_ref()) {
            Ruling::Fine => None,
            Ruling::Warned(problem) => Some((name.clone(), "package_unpinned", problem)),
            Ruling::Refused(problem) => Some((name.clone(), "package_refused", problem)),
        };
    commands.filter_map(problem).collect()
}

/// Digest of a command, for its approval; the values of its environment are not part of it. `None` for one that can never run.
#[must_use]
pub fn digest(server: &ServerName, command: &Stdio) -> Option<[u8; 32]> {
    // Where a package lies is not part of what is approved.
    profile(server, command, Path::new(""), |_| Some(Secret::new(String::new()))).map(|profile| profile.digest())
}

fn profile(server: &ServerName, command: &Stdio, packages: &Path, value: impl Fn(&str) -> Option<Secret<String>>) -> Option<LaunchProfile> {
    let variable = |(name, reference): (&String, &SecretRef)| Some(Variable::new(name.clone(), reference.to_string(), value(name)?));
    let env = command.env.iter().map(variable).collect::<Option<Vec<_>>>()?;
    let limits = process_limits(command.limits)?;
    let profile = LaunchProfile::new(server.clone(), command.argv.clone(), env, command.cwd.clone(), limits)
        .inspect_err(|error| tracing::warn!(%server, %error, "the command cannot be run"))
        .ok()?;
    let Some(integrity) = command.integrity else { return Some(profile) };
    // Where the runner that it stands for cannot be told from its arguments, nothing is started.
    let run = runner(&command.argv).filter(|run| run.installable().is_some())?;
    Some(profile.installed(Package { directory: package::place(packages, &integrity), integrity, replaces: run.rest }))
}

async fn ended_by_itself(exited: &mut watch::Receiver<Option<Ending>>) {
    let _ending = exited.wait_for(Option::is_some).await;
}

fn process_limits(limits: ProcessLimits) -> Option<Limits> {
    let cpu = limits.cpu_millis.get().div_ceil(1000);
    Some(Limits {
        memory: u64::try_from(limits.memory.as_usize()).ok()?,
        cpu: u16::try_from(cpu).ok()?,
        processes: limits.processes.get(),
        restart: rate(limits)?,
    })
}

fn rate(limits: ProcessLimits) -> Option<Rate> {
    Rate::new(limits.restart.count.get(), limits.restart.per).ok()
}
