//! Who listens on a port of this machine, as far as the system tells (L14). Reads `/proc`; elsewhere nobody is known.

use std::fs;
use std::net::SocketAddr;

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its id.
    pub pid: u32,
    /// Its name, as the system shortens it. From outside: escape it before printing.
    pub name: String,
}

/// State of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The process that listens on the port of `address`; `None` when the system does not tell this user.
#[must_use]
pub fn owner(address: SocketAddr) -> Option<Owner> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, address.port()))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for process in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors
            .filter_map(Result::ok)
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target)));
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default().trim().to_owned();
            return Some(Owner { pid, name });
        }
    }
    None
}

/// Inodes of the sockets that listen on a port.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            (local.ends_with(&port) && *state == LISTENING).then(|| (*inode).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_on_that_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:20E1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1 0 100 0 0 10 0\n\
             1: 0100007F:20E1 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000 0 4712 1 0 20 4 30 10 -1\n\
             2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4713 1 0 100 0 0 10 0\n";
        assert_eq!(listeners(table, 8417), ["4711"]);
        assert!(listeners(table, 8418).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn l14_the_owner_of_a_taken_port_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        let found = owner(taken.local_addr().expect("address")).expect("this very process");
        assert_eq!(found.pid, std::process::id());
        assert!(!found.name.is_empty());
    }
}
