//! Who is meant by a list of who may.

use crate::id::{AgentLabel, ClientId, GroupName, UserId};

/// Somebody in a list of who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `user:<issuer name>/<subject>`.
    User(UserId),
    /// `group:<name>`.
    Group(GroupName),
    /// `client:<client id>`.
    Client(ClientId),
    /// `agent:<label>`.
    Agent(AgentLabel),
}

/// Who is held against such a list.
#[derive(Debug, Clone, Copy)]
pub struct Somebody<'a> {
    /// The user.
    pub user: &'a UserId,
    /// Their groups.
    pub groups: &'a [GroupName],
    /// Through which client they come.
    pub through: Through<'a>,
}

/// Through which client somebody comes.
#[derive(Debug, Clone, Copy)]
pub enum Through<'a> {
    /// Through this one, which may have a label of the administrator's.
    Client(&'a ClientId, Option<&'a AgentLabel>),
    /// Through whichever may be meant: a person looks at what is theirs.
    Any,
    /// It is about the person alone.
    None,
}

impl Selector {
    /// Whether it means them.
    #[must_use]
    pub fn means(&self, who: &Somebody<'_>) -> bool {
        match (self, who.through) {
            (Self::User(user), _) => user == who.user,
            (Self::Group(group), _) => who.groups.contains(group),
            (Self::Client(_) | Self::Agent(_), Through::Any) => true,
            (Self::Client(client), Through::Client(through, _)) => client == through,
            (Self::Agent(agent), Through::Client(_, label)) => label == Some(agent),
            (Self::Client(_) | Self::Agent(_), Through::None) => false,
        }
    }

    /// Whether a server with this `visible_to` is there for them: an empty list means everybody.
    #[must_use]
    pub fn is_visible(selectors: &[Self], who: &Somebody<'_>) -> bool {
        selectors.is_empty() || selectors.iter().any(|selector| selector.means(who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_05_a_server_is_there_for_whom_its_list_means() {
        let (ann, bob) = (UserId::new("local", "ann").expect("user"), UserId::new("local", "bob").expect("user"));
        let (client, other) = (ClientId::new("one").expect("client"), ClientId::new("other").expect("client"));
        let (group, label) = (GroupName::new("staff").expect("group"), AgentLabel::new("ci").expect("label"));
        let groups = [group.clone()];
        let somebody = |user, groups, through| Somebody { user, groups, through };
        let all: [(Selector, [bool; 4]); 4] = [
            (Selector::User(ann.clone()), [true, false, true, true]),
            (Selector::Group(group), [false, true, false, false]),
            (Selector::Client(client.clone()), [true, false, true, false]),
            (Selector::Agent(label.clone()), [true, false, true, false]),
        ];
        for (selector, expected) in all {
            let asked = [
                somebody(&ann, &[][..], Through::Client(&client, Some(&label))),
                somebody(&bob, &groups[..], Through::Client(&other, None)),
                somebody(&ann, &[][..], Through::Any),
                somebody(&ann, &[][..], Through::None),
            ];
            assert_eq!(asked.map(|who| selector.means(&who)), expected, "{selector:?}");
            assert_eq!(asked.map(|who| Selector::is_visible(std::slice::from_ref(&selector), &who)), expected, "{selector:?}");
            assert_eq!(asked.map(|who| Selector::is_visible(&[], &who)), [true; 4]);
        }
    }
}
