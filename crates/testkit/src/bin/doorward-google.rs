//! `doorward-google`: the Google of the tests on the command line, for comparisons with libraries of others.

use doorward_testkit::google::{Google, MACHINE};
use serde_json::json;
use std::io::{self, BufRead as _, Write};
use std::path::Path;
use std::process::ExitCode;

/// The account that everybody here may become.
const READER: &str = "reader@corp-data.iam.gserviceaccount.com";

/// Writes credential files into the directory that is named, prints where it listens, and for each line that it reads prints what it was
/// asked since the last one, as one line of JSON.
#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "doorward-google: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let directory = std::env::args().nth(1).ok_or_else(|| io::Error::other("name a directory"))?;
    let (directory, google) = (Path::new(&directory), Google::start().await?);
    let key = google.key_file()?;
    for by in [MACHINE, "ann@corp.example", doorward_testkit::google::KEYED] {
        google.allow(by, READER);
    }
    let workload = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/ci";
    google.allow(workload, READER);
    let subject = directory.join("subject");
    std::fs::write(&subject, doorward_testkit::google::SUBJECT)?;
    let source = json!({"file": subject});
    for (name, content) in [
        ("person", google.person_file()),
        ("key", key),
        ("becoming", google.impersonating_file(&google.person_file(), READER)),
        ("workload", google.workload_file(&source, None)),
        ("workload-becoming", google.workload_file(&source, Some(READER))),
    ] {
        std::fs::write(directory.join(format!("{name}.json")), content.to_string())?;
    }
    writeln!(io::stdout(), "{}", google.base())?;
    io::stdout().flush()?;
    let lines = io::stdin().lock().lines();
    for line in lines {
        line?;
        let asked = google.asked();
        google.forget();
        let all: Vec<_> = asked.iter().map(|one| json!({"line": one.line, "body": one.body, "authorization": one.authorization})).collect();
        writeln!(io::stdout(), "{}", serde_json::Value::from(all))?;
        io::stdout().flush()?;
    }
    Ok(())
}
