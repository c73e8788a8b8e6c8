//! What the launcher is told, as bytes on its standard input before the program's own input begins.
//!
//! Not on its command line and not in its environment: the loader and the runtime of the launcher itself must not be
//! steered by variables that are meant for the program, and secrets do not belong on a command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use zeroize::Zeroizing;

/// Bytes of a plan, without its length.
pub(super) const MAX_PLAN: usize = 4 * 1024 * 1024;

/// Starts every line that the launcher writes on its standard output.
pub(super) const REPORT: &str = "doorward-launch/1 ";
/// The launcher is about to become the program.
pub(super) const READY: &str = "ready";
/// The launcher gives up; a reason follows.
pub(super) const FAILED: &str = "failed ";
/// With which it then exits.
pub(super) const EXIT_FAILED: u8 = 126;

/// What the launcher does before it becomes the program.
pub(super) struct Plan {
    /// Who must be the parent.
    pub(super) parent: u32,
    /// `RLIMIT_DATA` in bytes.
    pub(super) memory: u64,
    /// Processors.
    pub(super) cpu: u16,
    /// Processes and threads on top of those that the user has.
    pub(super) processes: u64,
    /// Working directory.
    pub(super) cwd: OsString,
    /// Program and arguments.
    pub(super) argv: Vec<OsString>,
    /// The package that is checked, and started instead of the first arguments.
    pub(super) package: Option<Checked>,
    /// The whole environment.
    pub(super) env: Vec<(OsString, Zeroizing<Vec<u8>>)>,
}

/// A package that the launcher reads as a whole before it becomes its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    /// Where it lies.
    pub(super) directory: OsString,
    /// What it must be.
    pub(super) integrity: [u8; 32],
    /// So many first arguments its program stands for.
    pub(super) replaces: u64,
}

/// The bytes are not a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plan is malformed")]
pub(super) struct BadPlan;

impl Plan {
    /// Length and plan.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let texts = self.argv.iter().map(|a| a.len() + 8).sum::<usize>()
            + self.cwd.len()
            + self.package.as_ref().map_or(0, |package| package.directory.len() + 64);
        let env = self.env.iter().map(|(name, value)| name.len() + value.len() + 16).sum::<usize>();
        // Big enough from the start: a buffer that grows leaves copies of secrets behind.
        let mut out = Zeroizing::new(Vec::with_capacity(texts + env + 128));
        let mut body = Zeroizing::new(Vec::with_capacity(texts + env + 128));
        number(&mut body, u64::from(self.parent));
        number(&mut body, self.memory);
        number(&mut body, u64::from(self.cpu));
        number(&mut body, self.processes);
        text(&mut body, self.cwd.as_bytes());
        number(&mut body, length(self.argv.len()));
        for argument in &self.argv {
            text(&mut body, argument.as_bytes());
        }
        number(&mut body, u64::from(self.package.is_some()));
        if let Some(package) = &self.package {
            text(&mut body, package.directory.as_bytes());
            text(&mut body, &package.integrity);
            number(&mut body, package.replaces);
        }
        number(&mut body, length(self.env.len()));
        for (name, value) in &self.env {
            text(&mut body, name.as_bytes());
            text(&mut body, value);
        }
        text(&mut out, &body);
        out
    }

    /// The plan out of its bytes, without the length in front.
    ///
    /// # Errors
    /// [`BadPlan`] if a part is missing or something is left over.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadPlan> {
        let mut rest = bytes;
        let parent = u32::try_from(take_number(&mut rest)?).map_err(|_| BadPlan)?;
        let memory = take_number(&mut rest)?;
        let cpu = u16::try_from(take_number(&mut rest)?).map_err(|_| BadPlan)?;
        let processes = take_number(&mut rest)?;
        let cwd = OsString::from_vec(take_text(&mut rest)?.to_vec());
        let mut argv = Vec::new();
        for _ in 0..take_number(&mut rest)? {
            argv.push(OsString::from_vec(take_text(&mut rest)?.to_vec()));
        }
        let package = match take_number(&mut rest)? {
            0 => None,
            1 => {
                let directory = OsString::from_vec(take_text(&mut rest)?.to_vec());
                let integrity = take_text(&mut rest)?.try_into().map_err(|_| BadPlan)?;
                Some(Checked { directory, integrity, replaces: take_number(&mut rest)? })
            }
            _ => return Err(BadPlan),
        };
        let mut env = Vec::new();
        for _ in 0..take_number(&mut rest)? {
            let name = OsString::from_vec(take_text(&mut rest)?.to_vec());
            env.push((name, Zeroizing::new(take_text(&mut rest)?.to_vec())));
        }
        if rest.is_empty() && !argv.is_empty() {
            Ok(Self { parent, memory, cpu, processes, cwd, argv, package, env })
        } else {
            Err(BadPlan)
        }
    }

    /// The environment as the program gets it.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.env.iter().map(|(name, value)| (name.as_os_str(), OsStr::from_bytes(value)))
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn text(out: &mut Vec<u8>, value: &[u8]) {
    number(out, length(value.len()));
    out.extend_from_slice(value);
}

fn take_number(rest: &mut &[u8]) -> Result<u64, BadPlan> {
    let (head, tail) = rest.split_first_chunk::<8>().ok_or(BadPlan)?;
    *rest = tail;
    Ok(u64::from_be_bytes(*head))
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadPlan> {
    let length = usize::try_from(take_number(rest)?).map_err(|_| BadPlan)?;
    let (head, tail) = rest.split_at_checked(length).ok_or(BadPlan)?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Plan {
        Plan {
            parent: 42,
            memory: 1 << 40,
            cpu: 2,
            processes: 32,
            cwd: "/d".into(),
            argv: vec!["/bin/x".into(), "".into(), "a b; id".into()],
            package: Some(Checked { directory: "/p".into(), integrity: [7; 32], replaces: 2 }),
            env: vec![("K".into(), Zeroizing::new(b"v\nw".to_vec()))],
        }
    }

    #[test]
    fn a_plan_survives_the_way() {
        let bytes = sample().encode();
        let plan = Plan::decode(&bytes[8..]).expect("plan");
        assert_eq!((plan.parent, plan.memory, plan.cpu, plan.processes), (42, 1 << 40, 2, 32));
        assert_eq!(plan.environment().collect::<Vec<_>>(), sample().environment().collect::<Vec<_>>());
        assert_eq!((plan.argv, plan.package), (sample().argv, sample().package));
    }

    #[test]
    fn a_plan_that_is_cut_or_longer_is_refused() {
        let bytes = sample().encode();
        for end in 8..bytes.len() {
            assert_eq!(Plan::decode(&bytes[8..end]).err(), Some(BadPlan), "{end}");
        }
        let mut longer = bytes[8..].to_vec();
        longer.push(0);
        assert_eq!(Plan::decode(&longer).err(), Some(BadPlan));
    }
}
