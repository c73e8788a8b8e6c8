//! `doorward-fixture`: the well-behaved MCP server on the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use doorward_testkit::fixture::{Era, door};

/// An MCP server for tests.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which revisions it speaks.
    #[arg(long, value_enum, default_value = "dual")]
    era: Era,
    /// How it is reached.
    #[arg(long, value_enum, default_value = "http")]
    transport: Transport,
    /// Port on 127.0.0.1; 0 takes a free one. The first line on standard output is `listening 127.0.0.1:PORT`.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Pads the tool list to this length.
    #[arg(long, default_value_t = 0)]
    tools: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Http,
    Stdio,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "doorward-fixture: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<()> {
    match arguments.transport {
        Transport::Stdio => door::stdio(arguments.era, arguments.tools).await,
        Transport::Http => {
            let (listener, address) = door::bind(arguments.port).await?;
            writeln!(io::stdout(), "listening {address}")?;
            io::stdout().flush()?;
            door::http(listener, arguments.era, arguments.tools).await
        }
    }
}
