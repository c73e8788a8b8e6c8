//! How the C library gives back the memory of large blocks.
//!
//! A block of glibc above a threshold is a mapping of its own and goes back to the system when it is freed. That threshold grows with
//! the first large block that is freed, up to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`), and from then on bodies of megabytes lie among small
//! blocks, which hold their pages: after minutes of large calls a gateway held a quarter more than it had in use. A fixed threshold does
//! not grow (ADR 18).

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// In bytes: above what small calls need, below a body that is counted as large. The second keeps the end of the heap from going back and
/// coming again all the time, as it would with the default beside a fixed threshold.
const FIXED: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "262144"), ("MALLOC_TRIM_THRESHOLD_", "1048576")];
/// Says that this was tried: the loader takes the others away from a program with capabilities of its file.
const TRIED: &str = "_DOORWARD_THRESHOLDS";

/// Begins the program anew in its place, once, with the thresholds fixed: the library reads them when a program begins, and there is no
/// other way without `unsafe`. To be called before anything is opened. Returns where they are set, by whomever, where the library is
/// another one, and where the file that runs is not known by its name.
///
/// # Errors
/// The system's, which did not let it; SIGPIPE is at its default then (`CommandExt::exec`).
pub fn fix_thresholds() -> io::Result<()> {
    let is_set = |name: &str| env::var_os(name).is_some();
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || is_set(TRIED) || FIXED.iter().any(|(name, _)| is_set(name)) {
        return Ok(());
    }
    let (program, mut arguments) = (env::current_exe()?, env::args_os());
    let name = arguments.next().unwrap_or_default();
    // Through a loader, or from a file that was replaced, what would begin is something else.
    if program.file_name() != Path::new(&name).file_name() {
        return Ok(());
    }
    Err(Command::new(program).arg0(name).args(arguments).envs(FIXED).env(TRIED, "1").exec())
}
