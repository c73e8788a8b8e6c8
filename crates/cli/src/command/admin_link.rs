//! `doorward admin-link`: a link that signs the administrator in, once, within ten minutes (product L6). There is no password.
//!
//! Whoever may write the store of this installation may make one: the same person who may make a key.

use super::apikey::unavailable;
use crate::args::Global;
use crate::console::{Console, Form, Sign};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::running;
use clap::Args;
use doorward_core::id::UserId;
use doorward_core::secret::{LinkSecret, PlainToken};
use doorward_gateway::LINK_LIFE;
use serde_json::json;

/// Options of `admin-link`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Makes a link and prints it.
///
/// # Errors
/// [`Failure`] when nothing runs that it could lead to, or the store takes nothing.
pub fn run(_arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(make(&house, console))
}

async fn make(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let root = match (&house.config().public_url, running::other(&house.state)) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, Some(Some(notice))) => format!("http://{}", notice.address),
        (None, _) => {
            let help = "start it first: doorward, or doorward serve";
            return Err(Failure::new(Exit::Unreachable, "admin_link.not_running", "no gateway runs that a link could lead to", help));
        }
    };
    let no_random = |_| Failure::new(Exit::Internal, "random", "the system gives no random bytes", "try again");
    let link = PlainToken::<LinkSecret>::mint(&house.env.bytes::<32>().map_err(no_random)?);
    let (store, now) = (house.store().await?, house.env.now());
    let made = store.put_link(&link.hashed(), &administrator()?, now.after(LINK_LIFE), now).await;
    store.close().await;
    made.map_err(|error| unavailable(&error))?;
    let address = format!("{root}/setup#{}", link.reveal());
    if console.form() == Form::Json {
        console.document(super::config::object(json!({"link": address, "seconds": LINK_LIFE.as_secs()})));
    } else {
        console.line(&address);
        let good = console.sign(Sign::Good);
        console.say(format_args!("{good} open it in a browser on this computer: it works once, for 10 minutes"));
    }
    Ok(Exit::Fine)
}

/// The person who administers this installation.
///
/// # Errors
/// None: the name fits.
pub(super) fn administrator() -> Result<UserId, Failure> {
    let unfit = |_| Failure::new(Exit::Internal, "admin_link.name", "the administrator has no name", "report this");
    UserId::new("local", "admin").map_err(unfit)
}
