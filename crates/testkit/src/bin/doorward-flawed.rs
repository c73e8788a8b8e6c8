//! `doorward-flawed`: every server with a flaw, and a right one, on the command line; for comparisons with other auditors.

use doorward_testkit::flawed::{Flaw, serve};
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints `FLAW URL` for each, `none` first, then `ready`, and serves until it is ended.
#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "doorward-flawed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let mut servers = Vec::new();
    for flaw in std::iter::once(None).chain(Flaw::ALL.into_iter().map(Some)) {
        let server = serve(flaw, None).await?;
        writeln!(io::stdout(), "{} {}", flaw.map_or_else(|| "none".to_owned(), |flaw| format!("{flaw:?}")), server.url())?;
        servers.push(server);
    }
    writeln!(io::stdout(), "ready")?;
    io::stdout().flush()?;
    std::future::pending::<()>().await;
    drop(servers);
    Ok(())
}
