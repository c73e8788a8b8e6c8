//! How the C library gives back the memory of large blocks.
//!
//! A block of glibc above a threshold is a mapping of its own and goes back to the system when it is freed. That threshold grows with
//! the first large block that is freed, up to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`), and from then on bodies of megabytes lie among small blocks, which
//! hold their pages: after minutes of large calls a gateway held a quarter more than it had in use. A fixed threshold does not grow
//! (ADR 18).

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// In bytes: above what small calls need, below a body that is counted as large. The second keeps the end of the heap from going back and
/// coming again all the time, as it would with the default beside a fixed threshold.
const FIXED: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "262144"), ("MALLOC_TRIM_THRESHOLD_", "1048576")];

/// Begins the program anew in its place, once, with the thresholds fixed: the library reads them when a program begins, and there is no other
/// way without `unsafe`. To be called before anything is opened. Returns where they are set, by whomever, where the library is another one,
/// and where the system does not let it: then it serves as it is.
pub fn fix_thresholds() {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || FIXED.iter().any(|(name, _)| env::var_os(name).is_some()) {
        return;
    }
    let (Ok(program), mut arguments) = (env::current_exe(), env::args_os()) else { return };
    let Some(name) = arguments.next() else { return };
    let error = Command::new(program).arg0(name).args(arguments).envs(FIXED).exec();
    tracing::debug!(%error, "the thresholds of the C library stay as they are");
}
