//! DW043: a credential file that runs a program, or that sends what it proves to a host which is not its cloud's. Such a file
//! is configuration that acts (Google: "Validate credential configurations from external sources").

use super::Rule;
use super::web::read;
use crate::document::Node;
use crate::estate::{Estate, Kind};
use crate::finding::{Confidence, Finding, Severity};

pub(super) static RULE: Rule = Rule {
    id: "DW043",
    severity: Severity::Medium,
    title: "Credential file that acts",
    why: "Whoever wrote the file decides which program runs, or which host gets the proof of who this is.",
    fix: "look at where the file came from; make it anew with the cloud's own tool, without an executable and with its own hosts",
    check,
};

/// Members that name where proofs and tokens go.
const TARGETS: [&str; 4] = ["token_url", "token_info_url", "service_account_impersonation_url", "token_uri"];

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for document in estate.documents.iter().filter(|document| matches!(document.kind, Kind::Credential)) {
        let root = &document.root;
        if let Some(command) = root.path(&["credential_source", "executable", "command"]) {
            let evidence = "credential_source.executable: runs a program for each token";
            found.push(Finding::new(&RULE, Confidence::High, document.site(command.at), document.owner(), evidence));
        }
        let local = |host: &str| host == "169.254.169.254" || host == "metadata.google.internal";
        let mut targets: Vec<(&str, &Node)> = TARGETS.iter().filter_map(|name| Some((*name, root.child(name)?))).collect();
        targets.extend(root.path(&["credential_source", "url"]).map(|node| ("credential_source.url", node)));
        for (name, node) in targets {
            let Some(address) = node.text().and_then(|text| read(text.peek())) else { continue };
            let host = address.host.as_str();
            let own = host == "googleapis.com" || host.ends_with(".googleapis.com") || (name == "credential_source.url" && local(host));
            if !own {
                let evidence = format!("{name}: {}", address.host);
                // Where the subject token comes from differs from company to company.
                let confidence = if name == "credential_source.url" { Confidence::Low } else { Confidence::High };
                found.push(Finding::new(&RULE, confidence, document.site(node.at), document.owner(), evidence));
            }
        }
    }
    found
}
