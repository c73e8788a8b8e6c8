//! What a call carries on its way to its server and back, besides its permit, and the proofs that the way was not cut short.
//!
//! Each step takes the proof of the one before by value: `resolve` makes [`Opened`], `policy` narrows it into [`Judged`], `consume`
//! turns that into [`Cleared`], and nothing goes to a server without an [`Errand`]. Each maker has one caller (`tests/tidy/sites.toml`).

use crate::path::Walk;
use doorward_core::contract::Promise;
use doorward_core::credential::Principal;
use doorward_core::id::ToolName;
use doorward_core::json::RawJson;
use doorward_core::mcp::headers::Mirrored;
use doorward_core::time::Timestamp;
use doorward_store::StoredTask;
use std::collections::HashMap;
use std::ops::Deref;

/// What the sealed values and ids of a call stand for, towards its server.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The server's own `requestState`.
    pub(crate) state: Option<String>,
    /// Name and end of life of the state. Not to be taken back: it is consumed before the intent.
    once: Option<([u8; 32], Timestamp)>,
    /// The server's own cursor, or a position in the catalogue.
    pub(crate) cursor: Option<String>,
    /// The task that the call is about.
    pub(crate) task: Option<StoredTask>,
    /// The tasks that a list is made of.
    pub(crate) own_tasks: Vec<StoredTask>,
    /// What may be mentioned.
    pub(crate) tasks: Topics,
    /// Members of params in the server's terms.
    pub(crate) replaced: Vec<(String, RawJson)>,
}

/// What a server may mention to the client of a call.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    /// Tasks: upstream id to gateway id.
    pub(crate) tasks: HashMap<String, String>,
    /// The tools of the tasks of a subscription, by upstream id.
    pub(crate) tools: HashMap<String, ToolName>,
    /// What was approved of these tools, by upstream id.
    pub(crate) promises: HashMap<String, Promise>,
    /// Resources of the subscription, as it went to the server.
    pub(crate) resources: Vec<String>,
}

/// What was approved of the tool of a call; nothing for a call that is about none.
#[derive(Debug, Default)]
pub(crate) struct Approved {
    /// Parameters that it mirrors into headers.
    pub(crate) mirrors: Vec<Mirrored>,
    /// What its arguments and its result are held against.
    pub(crate) promise: Option<Promise>,
    /// Its definition, which the process that runs it must say of itself.
    pub(crate) definition: Option<RawJson>,
}

/// What the decision was made on, narrowed to what the caller may have.
#[derive(Debug)]
pub(crate) struct Judged {
    opened: Opened,
    approved: Approved,
}

/// What a call may spend: its state has been used up for it alone.
#[derive(Debug)]
pub(crate) struct Cleared(Judged);

/// A request on the way to its server and back.
#[derive(Debug)]
pub(crate) struct Errand {
    walk: Walk,
    cleared: Cleared,
    /// As whom it went to its server, once it has a credential.
    pub(crate) acting: Option<Principal>,
    /// Since when the account is connected that it goes with, where each person has their own.
    pub(crate) account: Option<Timestamp>,
}

impl Opened {
    /// Of a call that holds nothing sealed, until `resolve` has looked.
    pub(crate) fn nothing() -> Self {
        Self { state: None, once: None, cursor: None, task: None, own_tasks: Vec::new(), tasks: Topics::default(), replaced: Vec::new() }
    }

    /// What is opened works once: it has to be consumed.
    pub(crate) const fn once(&mut self, name: [u8; 32], expires: Timestamp) {
        self.once = Some((name, expires));
    }
}

impl Judged {
    /// For a permitted call.
    pub(crate) const fn of(opened: Opened, approved: Approved) -> Self {
        Self { opened, approved }
    }

    /// What has to be consumed.
    pub(crate) const fn once(&self) -> Option<([u8; 32], Timestamp)> {
        self.opened.once
    }
}

impl Cleared {
    /// For a call whose state, if it has one, was consumed just now.
    pub(crate) const fn of(judged: Judged) -> Self {
        Self(judged)
    }
}

impl Errand {
    /// A walk that may go on.
    pub(crate) const fn new(walk: Walk, cleared: Cleared) -> Self {
        Self { walk, cleared, acting: None, account: None }
    }

    /// What its sealed values and ids stand for.
    pub(crate) const fn opened(&self) -> &Opened {
        &self.cleared.0.opened
    }

    /// The same, to be spent.
    pub(crate) const fn spend(&mut self) -> &mut Opened {
        &mut self.cleared.0.opened
    }

    /// What was approved of its tool.
    pub(crate) const fn approved(&self) -> &Approved {
        &self.cleared.0.approved
    }
}

impl Deref for Errand {
    type Target = Walk;

    fn deref(&self) -> &Walk {
        &self.walk
    }
}
