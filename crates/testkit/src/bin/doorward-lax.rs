//! `doorward-lax`: the lax and hostile MCP server on the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use doorward_testkit::lax::mcp::Luggage;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::lax::{Lax, stdio};

/// An MCP server for tests that believes everything, records every byte (`GET /control/seen`) and misbehaves on demand.
#[derive(Debug, Parser)]
struct Arguments {
    /// How it is reached.
    #[arg(long, value_enum, default_value = "http")]
    transport: Transport,
    /// Port on 127.0.0.1; 0 takes a free one. The first line on standard output is `listening 127.0.0.1:PORT`.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// What it does wrong, for example `modern`, `pages=1000`, `rug=description,2`, `answer=gzip`; repeatable.
    #[arg(long = "quirk")]
    quirks: Vec<Quirk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Http,
    Stdio,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "doorward-lax: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> io::Result<()> {
    let behaviour: Behaviour = arguments.quirks.into_iter().collect();
    match arguments.transport {
        Transport::Stdio => {
            let environment =
                std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
            let given = std::env::args().enumerate().map(|(index, value)| (format!("argv[{index}]"), value));
            stdio::run(behaviour, Luggage { fields: environment.chain(given).collect() }).await
        }
        Transport::Http => {
            let lax = Lax::start_on(arguments.port, behaviour).await?;
            writeln!(io::stdout(), "listening {}", lax.addr())?;
            io::stdout().flush()?;
            lax.serve().await
        }
    }
}
