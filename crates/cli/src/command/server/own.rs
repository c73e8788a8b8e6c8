//! The account with which a server is asked that everybody has an account of their own at: of whom it is, the command line says.

use super::Whose;
use crate::command::apikey::unavailable;
use crate::console::inert;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::House;
use doorward_core::credential::UpstreamSecret;
use doorward_core::id::{ServerName, UserId};
use doorward_gateway::credential::{Broker, Till};
use doorward_store::Store;
use std::sync::Arc;

/// The secret to ask `server` with.
///
/// # Errors
/// [`Failure`] where each person has their own and nobody, or somebody without an account there, is named.
pub(super) async fn secret(
    house: &House,
    store: &Store,
    (server, broker): (&ServerName, &Broker),
    whose: &Whose,
) -> Result<Option<Arc<UpstreamSecret>>, Failure> {
    if !broker.is_of_each_person() {
        return match &whose.person {
            None => of_nobody(house, store, (server, broker)).await,
            Some(_) => Err(Failure::new(
                Exit::Usage,
                "server.as",
                format!("{server} is asked with the same credential for everybody"),
                "leave --as out",
            )),
        };
    }
    let all = store.list_connections(None).await.map_err(|error| unavailable(&error))?;
    let owners: Vec<UserId> =
        all.into_iter().filter(|connection| connection.server == *server).map(|connection| connection.owner).collect();
    // Nobody's account is used because it is the only one.
    let Some(name) = &whose.person else { return Err(several(server, &owners)) };
    let mut named = owners.into_iter().filter(|owner| owner.to_string() == *name);
    let (Some(user), None) = (named.next(), named.next()) else { return Err(nobody(server, name)) };
    let known = store.user(&user).await.map_err(|error| unavailable(&error))?;
    if known.is_some_and(|known| known.disabled.is_some()) {
        let message = format!("{} is disabled", inert(name));
        return Err(Failure::new(Exit::Usage, "server.as", message, "use the account of somebody else"));
    }
    // On the record of the gateway, whatever becomes of it.
    let now = house.env.now();
    store.account_is_used(&user, server, "doorward server --as", now).await.map_err(|error| unavailable(&error))?;
    let epoch = store.epoch().await.map_err(|error| unavailable(&error))?;
    let secret = broker.of_person(&Till { store, env: &house.env, audit: None, epoch }, server, &user).await;
    secret.map_err(|why| {
        let help = format!("they connect their account on the page /connect/{server} of the gateway");
        Failure::new(Exit::SignIn, "server.as", format!("the account of {} cannot be used: {why}", inert(&user.to_string())), help)
    })
}

async fn of_nobody(house: &House, store: &Store, (server, broker): (&ServerName, &Broker)) -> Result<Option<Arc<UpstreamSecret>>, Failure> {
    let epoch = store.epoch().await.map_err(|error| unavailable(&error))?;
    let secret = broker.of_nobody(&Till { store, env: &house.env, audit: None, epoch }, server).await;
    secret.map_err(|why| {
        let message = format!("there is no credential for {server}: {why}");
        Failure::new(Exit::Unreachable, "server.credential", message, "look at it with: doorward doctor")
    })
}

fn nobody(server: &ServerName, name: &str) -> Failure {
    let message = format!("{} has no account at {server} here", inert(name));
    Failure::new(Exit::Usage, "server.as", message, format!("they connect it on the page /connect/{server} of the gateway"))
}

fn several(server: &ServerName, owners: &[UserId]) -> Failure {
    let message = format!("each person has their own account at {server}");
    let help = match owners.first() {
        Some(one) => format!("say with whose: --as {}", inert(&one.to_string())),
        None => format!("nobody has connected one yet; the first does on the page /connect/{server} of the gateway"),
    };
    Failure::new(Exit::Usage, "server.as", message, help)
}
