//! The state directory: keys, database, record. Found once, made for its owner alone, refused if others can write to it.

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::chosen;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Where the state directory is: `--state`, `$DOORWARD_STATE`, systemd's `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/doorward`, else `~/.local/share/doorward`.
///
/// # Errors
/// [`Failure`] if nothing says where, or what says it is relative.
pub fn directory(global: &Global) -> Result<PathBuf, Failure> {
    let help = "say where: --state /var/lib/doorward";
    if let Some(path) = global.state.clone().map(Ok).or_else(|| chosen("DOORWARD_STATE")).transpose()? {
        return std::path::absolute(path)
            .map_err(|error| Failure::new(Exit::Usage, "state.path", "the state directory has no usable path", help).because(error));
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd's StateDirectory= may name several; the first is ours.
    let unit =
        std::env::var("STATE_DIRECTORY").ok().and_then(|list| list.split(':').next().map(PathBuf::from)).filter(|path| path.is_absolute());
    unit.or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("doorward")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/share/doorward")))
        .ok_or_else(|| Failure::new(Exit::Usage, "state.unknown", "there is no home directory for keys and record", help))
}

/// Makes the directory with mode 0700 if it is not there, and checks that it belongs to this user alone.
///
/// # Errors
/// [`Failure`] with what to do.
pub fn prepare(directory: &Path) -> Result<(), Failure> {
    let shown = directory.display();
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Unreachable,
            "state.unreachable",
            format!("the state directory {shown} cannot be made"),
            "choose another: --state DIR",
        )
        .because(error)
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let found = std::fs::metadata(directory).map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        let message = format!("the state directory {shown} belongs to another user");
        return Err(Failure::new(Exit::Integrity, "state.owner", message, "choose another: --state DIR"));
    }
    if found.mode() & 0o077 != 0 {
        let message = format!("the state directory {shown} is open to others (mode {:04o})", found.mode() & 0o7777);
        return Err(Failure::new(Exit::Integrity, "state.mode", message, format!("close it: chmod 700 {shown}")));
    }
    Ok(())
}

/// A path as people write it: `~` for the home directory.
#[must_use]
pub fn tilde(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_directory_is_for_its_owner_alone() {
        let root = std::env::temp_dir().join(format!("doorward-state-{}", std::process::id()));
        let directory = root.join("a/b");
        assert!(prepare(&directory).is_ok());
        assert_eq!(std::fs::metadata(&directory).map(|found| found.mode() & 0o777).ok(), Some(0o700));
        assert!(prepare(&directory).is_ok(), "twice is fine");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o750)).expect("chmod");
        assert!(prepare(&directory).is_err());
        std::fs::remove_dir_all(&root).expect("removed");
    }
}
