//! crates.io `rmcp` with its own OAuth, unmodified: finds the authorization server, registers, sends a person to the browser, calls.
//!
//! `rmcp-oauth URL`: one step for each word on standard input: connect, refresh, again; each answers with one line of JSON.
//! BROWSER is the program that opens an address.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, AuthorizationRequest, CredentialStore, OAuthState, StoredCredentials,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

const TEXT: &str = "through the front office";

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// Where the client keeps what it is given.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<StoredCredentials>>>);

#[async_trait::async_trait]
impl CredentialStore for Shelf {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        Ok(())
    }

    async fn clear(&self) -> Result<(), AuthError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

impl Shelf {
    /// What it holds was received two hours earlier.
    fn age(&self) {
        if let Some(kept) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            kept.token_received_at = kept.token_received_at.map(|at| at.saturating_sub(7200));
        }
    }
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap_or_default();
    let (shelf, mut words) = (Shelf::default(), BufReader::new(tokio::io::stdin()).lines());
    while let Ok(Some(word)) = words.next_line().await {
        if word == "refresh" {
            shelf.age();
        }
        let done = tokio::time::timeout(Duration::from_secs(110), step(&url, &shelf)).await;
        let answer = match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => json!({ "error": error.to_string() }),
            Err(_) => json!({ "error": "timeout" }),
        };
        println!("{answer}");
        let _unheard = std::io::stdout().flush();
    }
}

/// Uses what is kept; where that is not taken, asks the person, once.
async fn step(url: &str, shelf: &Shelf) -> Result<Value, Anything> {
    let mut manager = AuthorizationManager::new(url).await?;
    manager.set_credential_store(shelf.clone());
    if manager.initialize_from_store().await? {
        match call(url, manager).await {
            Ok(answer) => return Ok(answer),
            Err(error) => eprintln!("with what is kept: {error}"),
        }
        shelf.clear().await?;
    }
    call(url, authorize(url, shelf).await?).await
}

async fn authorize(url: &str, shelf: &Shelf) -> Result<AuthorizationManager, Anything> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let callback = format!("http://{}/callback", listener.local_addr()?);
    let mut manager = AuthorizationManager::new(url).await?;
    manager.set_credential_store(shelf.clone());
    let mut state = OAuthState::Unauthorized(manager);
    state.start_authorization(AuthorizationRequest::new(&callback).with_client_name("rmcp")).await?;
    let address = state.get_authorization_url().await?;
    tokio::process::Command::new(std::env::var("BROWSER")?).arg(address).spawn()?;
    let target = loop {
        let (mut stream, _) = listener.accept().await?;
        let mut head = vec![0; 8192];
        let read = stream.read(&mut head).await?;
        let head = String::from_utf8_lossy(head.get(..read).unwrap_or_default()).into_owned();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await?;
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if target.starts_with("/callback?") {
            break target;
        }
    };
    state.handle_callback_url(&callback.replace("/callback", &target)).await?;
    state.into_authorization_manager().ok_or_else(|| "no authorization".into())
}

async fn call(url: &str, manager: AuthorizationManager) -> Result<Value, Anything> {
    let http = AuthClient::new(reqwest::Client::new(), manager);
    let transport = StreamableHttpClientTransport::with_client(http, StreamableHttpClientTransportConfig::with_uri(url));
    let lifecycle = ClientLifecycleMode::Auto { preferred_versions: vec![ProtocolVersion::V_2026_07_28], legacy_version: None };
    let client = ().serve_with_lifecycle(transport, lifecycle).await?;
    let tools = client.list_all_tools().await?.len();
    let mut parameters = CallToolRequestParams::new("echo");
    parameters.arguments = json!({ "text": TEXT }).as_object().cloned();
    let result = serde_json::to_value(client.call_tool(parameters).await?)?;
    client.cancel().await?;
    let text = result.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(json!({ "version": "3.11.0", "tools": tools, "text": text }))
}
