//! `doorward-forwarder`: adds one header field, read from a file, to every request that passes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use doorward_testkit::{fixture::door, forwarder};

/// A header-adding loopback forwarder for tests.
#[derive(Debug, Parser)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one. The first line on standard output is `listening 127.0.0.1:PORT`.
    listen: u16,
    /// Where requests go, `host:port`.
    target: String,
    /// A file with one header line, for example `Authorization: Bearer ...`. A file keeps it out of the process list.
    #[arg(long)]
    header_file: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "doorward-forwarder: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> io::Result<()> {
    let field = tokio::fs::read_to_string(&arguments.header_file).await?.trim().to_owned();
    if !field.contains(':') || field.contains(['\r', '\n']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the header file must hold one line `Name: value`"));
    }
    let (listener, address) = door::bind(arguments.listen).await?;
    writeln!(io::stdout(), "listening {address}")?;
    io::stdout().flush()?;
    forwarder::run(listener, arguments.target, field).await
}
