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
    let mut owners: Vec<UserId> = store
        .list_connections(None)
        .await
        .map_err(|error| unavailable(&error))?
        .into_iter()
        .filter(|connection| connection.server == *server)
        .map(|connection| connection.owner)
        .collect();
    let user = match &whose.person {
        Some(name) => owners.into_iter().find(|owner| owner.to_string() == *name).ok_or_else(|| nobody(server, name))?,
        // One is no question.
        None if owners.len() == 1 => owners.remove(0),
        None => return Err(several(server, &owners)),
    };
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
