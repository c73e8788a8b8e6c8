//! Whether a changed document says what it said before, but for how some of its servers are reached. Positions do not count.

use super::CONNECTION;
use crate::document::{self, Node};
use crate::server::Step;

/// Whether two documents say the same, but for how the servers at `changed` are reached.
pub(super) fn same(a: &Node, b: &Node, at: &mut Vec<Step>, changed: &[&[Step]]) -> bool {
    use document::Value::{Bool, List, Map, Null, Number, Text};
    match (&a.value, &b.value) {
        (Null, Null) => true,
        (Bool(a), Bool(b)) => a == b,
        (Number(a), Number(b)) | (Text(a), Text(b)) => a.peek() == b.peek(),
        (List(a), List(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).enumerate().all(|(number, (a, b))| {
                    at.push(Step::At(number));
                    let same = same(a, b, at, changed);
                    at.pop();
                    same
                })
        }
        (Map(a), Map(b)) => {
            let is_entry = changed.contains(&at.as_slice());
            let stays = |key: &str| !is_entry || !CONNECTION.contains(&key);
            let (a, b): (Vec<_>, Vec<_>) =
                (a.iter().filter(|member| stays(&member.key)).collect(), b.iter().filter(|member| stays(&member.key)).collect());
            a.len() == b.len()
                && a.iter().zip(&b).all(|(a, b)| {
                    at.push(Step::Key(a.key.clone()));
                    let same = a.key == b.key && same(&a.node, &b.node, at, changed);
                    at.pop();
                    same
                })
        }
        _ => false,
    }
}
