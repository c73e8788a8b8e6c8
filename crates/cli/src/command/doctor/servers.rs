//! Each server: whether it answers, in which eras, and how its tools stand to what was approved.

use super::Check;
use crate::console::counted;
use crate::house::{self, House};
use doorward_core::config::Target;
use doorward_gateway::catalogue::{self, Family};
use doorward_gateway::credential::google::Trial;
use doorward_gateway::credential::{Broker, Till};
use doorward_gateway::setup;
use doorward_gateway::tasks::Tasks;
use doorward_gateway::upstream::{Reached, Upstream};
use doorward_store::{ConnectionState, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// For one server in one era.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn checks(house: &House, store: &Store) -> Vec<Check> {
    let tasks = Tasks::new();
    // Apart from a gateway that may be running on the same state directory.
    let scratch = house.state.join(format!("once-{}", std::process::id()));
    let servers = match setup::servers(
        house.config(),
        &scratch,
        &doorward_gateway::upstream::stdio::package::home(&house.state),
        &house.sources,
        &house.env,
        &tasks,
    ) {
        Ok(servers) => servers,
        Err(error) => return vec![Check::bad("servers", house::failed(error).summary(), "doorward config check")],
    };
    let mut checks = Vec::new();
    for (upstream, broker) in &servers {
        let name = format!("server {}", upstream.config.name);
        if !upstream.config.enabled {
            checks.push(Check::note(name, "disabled", "enabled = true brings it back"));
            continue;
        }
        if broker.is_of_each_person() {
            checks.push(connected(name, upstream, store).await);
            continue;
        }
        let till = Till { store, env: &house.env, audit: None, epoch: store.epoch().await.unwrap_or_default() };
        if let Broker::Google(google) = broker {
            checks.extend(google.trials(&till).await.into_iter().map(|trial| token(&name, trial)));
        }
        match broker.of_nobody(&till, &upstream.config.name).await {
            Ok(secret) => checks.push(one(name, upstream, secret, store, &tasks).await),
            Err(why) => checks.push(Check::bad(name, format!("there is no credential for it: {why}"), "see what is said of its accounts")),
        }
    }
    if checks.is_empty() {
        checks.push(Check::note("servers", "none", "doorward server add NAME URL"));
    }
    // All commands have one launcher.
    for stdio in servers.iter().filter_map(|(upstream, _)| if let Reached::Stdio(stdio) = &upstream.reach { Some(stdio) } else { None }) {
        stdio.launcher.stop(Duration::from_secs(5)).await;
    }
    tasks.stop(Duration::from_secs(2)).await;
    std::fs::remove_dir_all(&scratch).ok();
    checks
}

/// Whether Google gives a token of an account.
fn token(server: &str, trial: Trial) -> Check {
    let title = format!("{server}, as {}", trial.whom);
    match trial.trouble {
        None => Check::good(title, "Google gives a token"),
        Some(trouble) => Check::bad(title, trouble, trial.command.unwrap_or_else(|| "see docs/google.md".to_owned())),
    }
}

/// Nobody's account is used to see whether a server answers: that is for `server test --as`.
async fn connected(title: String, upstream: &Upstream, store: &Store) -> Check {
    let name = &upstream.config.name;
    match store.list_connections(None).await {
        Ok(all) => {
            let of: Vec<_> = all.into_iter().filter(|connection| connection.server == *name).collect();
            let over = of.iter().filter(|connection| connection.state == ConnectionState::SignInNeeded).count();
            let words = format!("each person has their own account there: {} connected, {over} to be connected again", of.len());
            Check::note(title, words, format!("doorward server test {name} --as PERSON"))
        }
        Err(_) => Check::bad(title, "the records do not answer", "see the line of the store"),
    }
}

async fn one(
    title: String,
    upstream: &Upstream,
    secret: Option<Arc<doorward_core::credential::UpstreamSecret>>,
    store: &Store,
    tasks: &Tasks,
) -> Check {
    let name = &upstream.config.name;
    let mut approved = None;
    if let (Target::Stdio(_), Reached::Stdio(stdio)) = (&upstream.config.target, &upstream.reach) {
        approved = stdio.digest(name);
        let may = match &approved {
            Some(digest) => matches!(store.launch_approved(name, digest).await, Ok(true)),
            None => false,
        };
        if !may {
            return Check::bad(
                title,
                "its command is not approved, or is another than it was",
                format!("doorward server approve {name} --command"),
            );
        }
    }
    let mut eras = Vec::new();
    let (mut same, mut new, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut why = String::new();
    let Ok(pins) = store.pins(name).await else { return Check::bad(title, "its approvals cannot be read", "check [store]") };
    for family in [Family::Modern, Family::Legacy] {
        let read = catalogue::read(upstream, tasks, secret.clone(), approved, family);
        let listing = match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(listing)) => listing,
            Ok(Err(fault)) => {
                let refusal = fault.refusal(name.as_str());
                why = refusal.private.unwrap_or(refusal.public);
                continue;
            }
            Err(_) => {
                "no answer within 15 s".clone_into(&mut why);
                continue;
            }
        };
        eras.push(match family {
            Family::Modern => "2026-07-28",
            Family::Legacy => "up to 2025-11-25",
        });
        for tool in listing.tools() {
            let set = if pins.iter().any(|pin| pin.tool == tool.name && pin.digest == tool.digest) {
                &mut same
            } else if pins.iter().any(|pin| pin.tool == tool.name) {
                &mut changed
            } else {
                &mut new
            };
            set.insert(tool.name.to_string());
        }
    }
    if eras.is_empty() {
        return Check::bad(title, format!("does not answer: {why}"), format!("doorward server test {name}"));
    }
    let tools = counted(u64::try_from(same.len()).unwrap_or(u64::MAX), "tool");
    let text = format!("{}: {tools} approved, {} new, {} changed", eras.join(" and "), new.len(), changed.len());
    if !changed.is_empty() {
        return Check::bad(title, text, format!("doorward server diff {name}"));
    }
    if !new.is_empty() {
        return Check::note(title, text, format!("doorward server diff {name}"));
    }
    Check::good(title, text)
}
