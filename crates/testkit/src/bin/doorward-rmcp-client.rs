//! `doorward-rmcp-client`: crates.io `rmcp` as a client: URL KEY_FILE ERA TOOL ARGUMENTS, one JSON line. KEY_FILE `-` sends no key.
//! The SDK's TLS-free HTTP client speaks to a Unix socket; a bridge takes it to the loopback port
//! and writes the target in origin form, as every other HTTP client does (the SDK's socket client writes it in absolute form, for proxies).

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use doorward_testkit::forwarder;
use doorward_testkit::wire::Head;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, UnixSocketHttpClient};
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use tokio::net::UnixListener;

/// Longest run.
const LIMIT: Duration = Duration::from_secs(30);

/// Drives one server: lists its tools and calls one.
#[derive(Debug, Parser)]
struct Arguments {
    /// `http://host:port/path`.
    url: String,
    /// A file with the API key, or `-`.
    key_file: String,
    /// `legacy`, `modern` or `auto`.
    era: String,
    /// The tool to call.
    tool: String,
    /// Its arguments, a JSON object.
    arguments: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::time::timeout(LIMIT, drive(&arguments)).await.unwrap_or_else(|_| Err("timeout".into()));
    let (tools, ok, error) = match outcome {
        Ok((tools, refused)) => (tools, refused.is_none(), refused),
        Err(error) => (0, false, Some(error.to_string())),
    };
    let report = json!({ "client": "rmcp", "era": arguments.era, "tools": tools, "ok": ok, "error": error });
    let _unheard = writeln!(io::stdout(), "{report}");
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

async fn drive(arguments: &Arguments) -> Result<(usize, Option<String>), Anything> {
    let uri: http::Uri = arguments.url.parse()?;
    let authority = uri.authority().ok_or("the URL has no host")?.to_string();
    let socket = format!("@doorward-rmcp-client-{}", std::process::id());
    bridge(&socket, authority)?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(arguments.url.clone());
    if arguments.key_file != "-" {
        config = config.auth_header(tokio::fs::read_to_string(&arguments.key_file).await?.trim());
    }
    let transport = StreamableHttpClientTransport::with_client(UnixSocketHttpClient::new(&socket, &arguments.url), config);
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match arguments.era.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        "modern" => ClientLifecycleMode::Discover { preferred_versions: modern },
        "auto" => ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: None },
        other => return Err(format!("unknown era: {other}").into()),
    };
    let client = ().serve_with_lifecycle(transport, lifecycle).await?;
    let tools = client.list_all_tools().await?.len();
    let mut call = CallToolRequestParams::new(arguments.tool.clone());
    call.arguments = match serde_json::from_str(&arguments.arguments)? {
        Value::Object(object) => Some(object),
        _ => return Err("the arguments must be an object".into()),
    };
    let result = client.call_tool(call).await?;
    let refused = (result.is_error == Some(true)).then(|| format!("{:?}", result.content));
    client.cancel().await?;
    Ok((tools, refused))
}

/// Takes every connection of the abstract Unix socket to `authority`.
fn bridge(socket: &str, authority: String) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let name = std::os::unix::net::SocketAddr::from_abstract_name(socket.trim_start_matches('@'))?;
    let listener = std::os::unix::net::UnixListener::bind_addr(&name)?;
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let authority = authority.clone();
            tokio::spawn(async move {
                // Whoever ends first ends both; there is nobody to tell.
                let _ended = forwarder::carry(near, &authority, |head| origin_form(head, &authority)).await;
            });
        }
    });
    Ok(())
}

fn origin_form(head: &Head, authority: &str) -> Vec<u8> {
    let path = head.target.strip_prefix("http://").and_then(|rest| rest.strip_prefix(authority)).unwrap_or(&head.target);
    let first = format!("{} {} ", head.method, head.target).len();
    [format!("{} {path} ", head.method).as_bytes(), head.raw.get(first..).unwrap_or_default()].concat()
}
