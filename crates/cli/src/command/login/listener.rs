//! Who listens on a port of this machine. Over plain http nothing else proves whom one talks to: the port of a gateway that has stopped is free
//! for every user.
//!
//! Looked at before and after connecting: if the same sockets listen both times, one of them was connected to. Linux says whose they are in
//! `/proc/net/tcp` (proc(5)); elsewhere the locked notice in the own state directory says where the own gateway listens. Must not know OAuth.

use crate::client;
use crate::console::inert;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::running;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tokio::net::TcpStream;

/// Finds the sockets that take connections to an address.
pub(super) type Look = fn(SocketAddr) -> Seen;

/// A listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    /// User that made it.
    pub(super) uid: u32,
    /// Never given twice while a system runs.
    pub(super) inode: u64,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// These take what is sent there; none: nobody listens.
    Sockets(Vec<Socket>),
    /// This system does not tell.
    Untold,
    /// It does, and what it told cannot be read to its end: somebody may have seen to that.
    Unread,
}

/// Who may be talked to.
#[derive(Debug, Clone)]
pub(super) struct Trusted {
    /// This user.
    pub(super) own: u32,
    /// Another one, that this user named.
    pub(super) served_by: Option<u32>,
    /// Whose notice counts where the system does not tell.
    pub(super) state: PathBuf,
    /// How the system is asked.
    pub(super) look: Look,
}

/// A connection to a process of somebody who is trusted.
#[derive(Debug)]
pub(super) struct Proven(TcpStream);

/// User of everybody who is unknown here (overflowuid, user_namespaces(7)): proves nothing.
const NOBODY: u32 = 65_534;
/// Bytes of a table that are read: some 400,000 sockets.
const MOST: u64 = 64 * 1024 * 1024;
/// Bytes of the table of users.
const USERS: u64 = 1024 * 1024;
/// State of a listening socket.
const LISTENING: &str = "0A";

impl Proven {
    /// For the one request that it was made for.
    pub(super) fn into_stream(self) -> TcpStream {
        self.0
    }
}

impl Trusted {
    /// Connects to an address of this machine, if who listens there is trusted.
    ///
    /// # Errors
    /// [`Failure`] before a byte is sent.
    pub(super) async fn reach(&self, at: SocketAddr) -> Result<Proven, Failure> {
        let before = (self.look)(at);
        self.check(at, &before)?;
        let stream = client::connected(at).await.map_err(|cause| nobody_there(at).because(cause))?;
        let after = (self.look)(at);
        self.check(at, &after)?;
        if before != after {
            let message = format!("who listens on {at} has just changed; nothing was sent");
            return Err(Failure::new(Exit::Unreachable, "login.listener", message, "try again"));
        }
        Ok(Proven(stream))
    }

    fn check(&self, at: SocketAddr, seen: &Seen) -> Result<(), Failure> {
        match seen {
            Seen::Sockets(all) if all.is_empty() => Err(nobody_there(at)),
            Seen::Sockets(all) => match all.iter().find(|socket| !self.trusts(socket.uid)) {
                None => Ok(()),
                Some(Socket { uid, .. }) => Err(Failure::new(
                    Exit::Integrity,
                    "login.listener",
                    format!("{} listens on {at}, which is not you and not root; nothing was sent", named(*uid)),
                    "find out who that is before you sign in there: it may have taken the place of your gateway; only for one that runs as a \
                     user of its own there is --served-by USER at the first sign-in",
                )),
            },
            // Its lock ends with the process, and its directory is of this user alone.
            Seen::Untold if running::other(&self.state).flatten().is_some_and(|notice| notice.address == at) => Ok(()),
            Seen::Unread => Err(Failure::new(
                Exit::Unreachable,
                "login.listener",
                format!("the table of sockets cannot be read whole, so nobody knows who listens on {at}; nothing was sent"),
                "try again, or reach the gateway by https://",
            )),
            Seen::Untold => Err(Failure::new(
                Exit::Integrity,
                "login.listener",
                format!("this system does not tell who listens on {at}; nothing was sent"),
                "start the gateway on the same state directory (--state DIR), or reach it by https://",
            )),
        }
    }

    const fn trusts(&self, uid: u32) -> bool {
        // Root reads the memory of every process: from there is nothing to hide.
        let is_named = matches!(self.served_by, Some(named) if named == uid);
        uid == 0 || (uid != NOBODY && (uid == self.own || is_named))
    }
}

/// The user that is meant by a name or a number.
///
/// # Errors
/// [`Failure`] for none, and for one that stands for everybody who is unknown.
pub(super) fn user(text: &str) -> Result<u32, Failure> {
    let number = || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten();
    let found = number().or_else(|| users().iter().find(|(name, _)| name == text).map(|(_, uid)| *uid));
    found.filter(|uid| *uid != NOBODY).ok_or_else(|| {
        let message = format!("there is no user \"{}\" whose sockets could be told from others'", inert(text));
        Failure::new(Exit::Usage, "login.served_by", message, "--served-by doorward, or the number of that user")
    })
}

/// The sockets that take what is sent to an address, as Linux tells.
pub(super) fn look(at: SocketAddr) -> Seen {
    let table = |path: &str| {
        let file = File::open(path)?;
        listeners(BufReader::new(file.take(MOST)), at.port())
    };
    let seen = match (table("/proc/net/tcp"), table("/proc/net/tcp6")) {
        (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
        // A system without IPv6 has no such table.
        (Ok(v4), Err(error)) if error.kind() == ErrorKind::NotFound => Ok(v4),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match seen {
        Ok(all) => Seen::Sockets(nearest(&all, at.ip())),
        Err(error) if error.kind() == ErrorKind::NotFound => Seen::Untold,
        Err(_) => Seen::Unread,
    }
}

/// Those that the system prefers: an address before all addresses, a family before one that takes both.
fn nearest(all: &[(IpAddr, Socket)], ip: IpAddr) -> Vec<Socket> {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let order = match ip {
        IpAddr::V4(v4) => {
            let all = Ipv4Addr::UNSPECIFIED;
            vec![vec![ip, IpAddr::V6(v4.to_ipv6_mapped())], vec![IpAddr::V4(all), IpAddr::V6(all.to_ipv6_mapped())], vec![any]]
        }
        IpAddr::V6(_) => vec![vec![ip], vec![any]],
    };
    let at = |alike: &Vec<IpAddr>| all.iter().filter(|(local, _)| alike.contains(local)).map(|(_, socket)| *socket).collect::<Vec<_>>();
    order.iter().map(at).find(|found| !found.is_empty()).unwrap_or_default()
}

/// The listening sockets of a table with this port.
///
/// # Errors
/// When the table cannot be read to its end, or is none.
fn listeners(mut table: impl BufRead, port: u16) -> std::io::Result<Vec<(IpAddr, Socket)>> {
    let bad = || std::io::Error::from(ErrorKind::InvalidData);
    let (mut found, mut line) = (Vec::new(), String::new());
    table.read_line(&mut line)?;
    if !line.contains("local_address") {
        return Err(bad());
    }
    loop {
        line.clear();
        if table.read_line(&mut line)? == 0 {
            return Ok(found);
        }
        // Cut off by the bound: who is not seen may be the one.
        if !line.ends_with('\n') {
            return Err(bad());
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, uid, _, inode, ..] = fields.as_slice() else { return Err(bad()) };
        if *state != LISTENING {
            continue;
        }
        let (ip, local_port) = address(local).ok_or_else(bad)?;
        if local_port == port {
            let (Ok(uid), Ok(inode)) = (uid.parse(), inode.parse()) else { return Err(bad()) };
            found.push((ip, Socket { uid, inode }));
        }
    }
}

/// `0100007F:20E1`: 32-bit words in the order of this machine, then the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            for (to, from) in bytes.iter_mut().zip(words.as_flattened()) {
                *to = *from;
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

fn nobody_there(at: SocketAddr) -> Failure {
    let help = "start the gateway, or say where it is: --gateway https://mcp.example.com";
    Failure::new(Exit::Unreachable, "login.gateway", format!("nobody listens on {at}"), help)
}

fn named(uid: u32) -> String {
    match users().into_iter().find(|(_, other)| *other == uid) {
        Some((name, _)) => format!("user {} (uid {uid})", inert(&name)),
        None => format!("a user without a name here (uid {uid})"),
    }
}

/// Names and numbers of the users of this machine; those of a directory service are not among them.
fn users() -> Vec<(String, u32)> {
    let mut text = String::new();
    let read = File::open(Path::new("/etc/passwd")).and_then(|file| file.take(USERS).read_to_string(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    let entry = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn row(local: &str, state: &str, uid: u32, inode: u64) -> String {
        format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0 100 0 0 10 0\n")
    }

    fn seen(rows: &[String], at: &str) -> Vec<u32> {
        let at: SocketAddr = at.parse().expect("an address");
        let all = listeners(format!("{HEAD}{}", rows.concat()).as_bytes(), at.port()).expect("a table");
        nearest(&all, at.ip()).iter().map(|socket| socket.uid).collect()
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_socket_that_takes_a_connection_is_found_among_others() {
        let rows = [
            row("00000000:20E1", "0A", 1, 1),
            row("0100007F:20E1", "0A", 2, 2),
            row("0100007F:20E1", "01", 3, 3),
            row("0100007F:20E2", "0A", 4, 4),
            row("0200007F:20E1", "0A", 5, 5),
            row("00000000000000000000000000000000:20E1", "0A", 6, 6),
            row("00000000000000000000000001000000:20E1", "0A", 7, 7),
            row("0000000000000000FFFF00000100007F:20E3", "0A", 8, 8),
            row("00000000000000000000000000000000:20E4", "0A", 9, 9),
            // All of IPv4, written as IPv6: beside one of IPv6 alone it is the one that takes the connection.
            row("0000000000000000FFFF000000000000:20E6", "0A", 10, 10),
            row("00000000000000000000000000000000:20E6", "0A", 9, 11),
        ];
        for (at, uids) in [
            ("127.0.0.1:8417", &[2][..]),
            ("127.0.0.3:8417", &[1]),
            ("127.0.0.2:8417", &[5]),
            ("127.0.0.1:8418", &[4]),
            ("[::1]:8417", &[7]),
            ("[::2]:8417", &[6]),
            ("127.0.0.1:8419", &[8]),
            ("127.0.0.1:8420", &[9]),
            ("127.0.0.1:8421", &[]),
            ("127.0.0.1:8422", &[10]),
            ("[::1]:8418", &[]),
        ] {
            assert_eq!(seen(&rows, at), uids, "{at}");
        }
    }

    #[test]
    fn a_table_that_is_none_or_was_cut_says_nothing() {
        let whole = format!("{HEAD}{}", row("0100007F:20E1", "0A", 1, 1));
        assert_eq!(listeners(whole.as_bytes(), 8417).expect("a table").len(), 1);
        let bad = [
            String::new(),
            "no table\n".to_owned(),
            whole.trim_end().to_owned(),
            format!("{HEAD}short line\n"),
            format!("{HEAD}{}", row("0100007F", "0A", 1, 1)),
            format!("{HEAD}{}", row("0100007F:20E1", "0A", 1, 1).replace("  1        0 1 ", "  x        0 1 ")),
        ];
        for text in bad {
            assert!(listeners(text.as_bytes(), 8417).is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_user_root_and_who_was_named_are_trusted() {
        let trusted = |own, served_by| Trusted { own, served_by, state: PathBuf::from("/nowhere"), look: |_| Seen::Untold };
        let at: SocketAddr = "127.0.0.1:8417".parse().expect("an address");
        let says = |trusted: &Trusted, uids: &[u32]| {
            let all = uids.iter().map(|uid| Socket { uid: *uid, inode: 1 }).collect();
            trusted.check(at, &Seen::Sockets(all)).is_ok()
        };
        for (own, served_by, uids, fine) in [
            (1000, None, &[1000][..], true),
            (1000, None, &[0], true),
            (1000, None, &[1001], false),
            (1000, None, &[1000, 1001], false),
            (1000, None, &[], false),
            (1000, Some(998), &[998], true),
            (1000, Some(998), &[1001], false),
            (NOBODY, None, &[NOBODY], false),
            (1000, Some(NOBODY), &[NOBODY], false),
            (0, None, &[1000], false),
        ] {
            assert_eq!(says(&trusted(own, served_by), uids), fine, "{own} {served_by:?} {uids:?}");
        }
        assert!(trusted(1000, None).check(at, &Seen::Untold).is_err());
    }

    #[test]
    fn where_the_system_does_not_tell_the_notice_of_the_own_gateway_does() {
        let state = std::env::temp_dir().join(format!("doorward-listener-{}", std::process::id()));
        std::fs::create_dir_all(&state).expect("directory");
        let running::State::Ours(mut claim) = running::claim(&state).expect("claim") else { panic!("nobody has it") };
        let at: SocketAddr = "127.0.0.1:8417".parse().expect("an address");
        claim.announce(&running::Notice { pid: 7, address: at, since: String::new() }).expect("written");
        let trusted = Trusted { own: 1000, served_by: None, state: state.clone(), look: |_| Seen::Untold };
        assert!(trusted.check(at, &Seen::Untold).is_ok());
        assert!(trusted.check(at, &Seen::Unread).is_err(), "a system that tells is asked again");
        assert!(trusted.check("127.0.0.1:8418".parse().expect("an address"), &Seen::Untold).is_err());
        drop(claim);
        assert!(trusted.check(at, &Seen::Untold).is_err(), "it has stopped, and the port is anybody's");
        std::fs::remove_dir_all(&state).expect("removed");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_that_this_process_listens() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        let at = taken.local_addr().expect("address");
        let Seen::Sockets(all) = look(at) else { panic!("it tells") };
        assert_eq!(all.iter().map(|socket| socket.uid).collect::<Vec<_>>(), [rustix::process::geteuid().as_raw()]);
        drop(taken);
        assert_eq!(look(at), Seen::Sockets(Vec::new()));
    }
}
