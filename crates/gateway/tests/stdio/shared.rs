//! Processes that callers of one server have for themselves: what one of them breaks is not the others' to wait for.

use crate::bench::{Bench, soon};
use doorward_core::config::load::{Form, Inputs, Text, load};
use doorward_core::config::units::Rate;
use doorward_core::config::{Server, Target};
use doorward_core::id::{ClientId, ServerName, UserId};
use doorward_core::screen::Searcher;
use doorward_gateway::egress::pool::PoolKey;
use doorward_gateway::env::Env;
use doorward_gateway::replies::Replies;
use doorward_gateway::tasks::Tasks;
use doorward_gateway::upstream::own::Way;
use doorward_gateway::upstream::stdio::household::Launcher;
use doorward_gateway::upstream::{PipeKey, Reached, StdioServer, Upstream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn key(user: &str) -> PipeKey {
    let owner = (UserId::new("local", user).expect("user"), ClientId::new("client").expect("client"));
    PipeKey { owner: Some(owner) }
}

fn upstream(launcher: Launcher, script: &str) -> (Upstream, [u8; 32]) {
    let toml = format!("version = 1\n[server.test]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\n");
    let file = Text { name: "doorward.toml".to_owned(), form: Form::Toml, bytes: toml.into_bytes(), base: "/".into() };
    let loaded = load(Inputs { files: vec![file], default_name: "test".to_owned(), ..Inputs::default() });
    let config = loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).config;
    let server: Arc<Server> = Arc::clone(config.servers.values().next().expect("one"));
    let Target::Stdio(command) = server.target.clone() else { panic!("a command") };
    let stdio = StdioServer::new(command, Vec::new(), launcher, Rate::parse("500/s").expect("a rate"), Replies::of(1 << 20));
    let digest = stdio.digest(&server.name).expect("it can run");
    (
        Upstream::new(server, Reached::Stdio(Box::new(stdio)), Arc::new(Searcher::new().expect("rules")), &Env::system()).expect("random"),
        digest,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn flt_04_a_crashing_process_of_one_user_holds_up_nobody_else() {
    let Bench { launcher, state } = Bench::new();
    let (upstream, digest) = upstream(launcher, &state.script("import sys\nsys.stdin.read()"));
    let tasks = Tasks::new();
    let pool = PoolKey { server: ServerName::new("test").expect("name"), user: None, credential: None, version: 0 };
    let start = async |user: &str| {
        let way = upstream.stateless(&pool, None, key(user), &tasks, Some(digest)).await.expect("a process");
        let Way::Pipe(pipe) = way else { panic!("a pipe") };
        pipe
    };
    // Each end makes the next wait longer: 250 ms, 500 ms, and now a second.
    for _ in 0..3 {
        soon(start("alice")).await.close().await;
    }
    let waited = AtomicBool::new(false);
    let alice = async {
        let pipe = start("alice").await;
        waited.store(true, Ordering::SeqCst);
        pipe
    };
    let bob = async {
        let pipe = start("bob").await;
        assert!(!waited.load(Ordering::SeqCst), "he did not wait for her");
        pipe
    };
    // Hers is polled first and holds whatever it takes while it waits.
    let (alice, bob) = soon(async { tokio::join!(biased; alice, bob) }).await;
    assert!(Arc::ptr_eq(&bob, &soon(start("bob")).await), "one process for each");
    alice.close().await;
    bob.close().await;
}
