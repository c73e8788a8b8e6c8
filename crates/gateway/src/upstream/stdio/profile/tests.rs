//! Profiles: what is refused, and what a digest covers.

use super::super::restart::Rate;
use super::*;
use std::time::Duration;

fn limits() -> Limits {
    Limits { memory: 1 << 29, cpu: 1, processes: 32, restart: Rate::new(5, Duration::from_secs(60)).expect("rate") }
}

fn variable(name: &str, reference: &str, value: &str) -> Variable {
    Variable::new(name.into(), reference.into(), Secret::new(value.into()))
}

fn profile(argv: &[&str], env: Vec<Variable>, cwd: Option<&str>) -> Result<LaunchProfile, BadProfile> {
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    LaunchProfile::new(ServerName::new("files").expect("name"), argv, env, cwd.map(PathBuf::from), limits())
}

#[test]
fn std_01_only_the_approved_command_is_approved() {
    let made = || profile(&["/bin/x", "a"], vec![variable("K", "file:/k", "1")], Some("/srv")).expect("profile");
    let digest = made().digest();
    assert!(approve(made(), Some(&digest)).is_ok());
    assert_eq!(approve(made(), None).err(), Some(NotApproved::Never));
    let changed = [
        profile(&["/bin/y", "a"], vec![variable("K", "file:/k", "1")], Some("/srv")),
        profile(&["/bin/x", "a", ""], vec![variable("K", "file:/k", "1")], Some("/srv")),
        profile(&["/bin/x", "b"], vec![variable("K", "file:/k", "1")], Some("/srv")),
        profile(&["/bin/x", "a"], vec![variable("L", "file:/k", "1")], Some("/srv")),
        profile(&["/bin/x", "a"], vec![variable("K", "file:/l", "1")], Some("/srv")),
        profile(&["/bin/x", "a"], vec![], Some("/srv")),
        profile(&["/bin/x", "a"], vec![variable("K", "file:/k", "1")], Some("/srv/x")),
        profile(&["/bin/x", "a"], vec![variable("K", "file:/k", "1")], None),
    ];
    for changed in changed {
        let changed = changed.expect("profile");
        let shown = format!("{changed:?}");
        assert_eq!(approve(changed, Some(&digest)).err(), Some(NotApproved::Changed), "{shown}");
    }
}

#[test]
fn std_01_a_rotated_secret_and_another_order_of_variables_need_no_new_approval() {
    let two = |a: &str, b: &str| profile(&["/x"], vec![variable("A", "r", a), variable("B", "s", b)], None).expect("profile");
    let turned = profile(&["/x"], vec![variable("B", "s", "4"), variable("A", "r", "3")], None).expect("profile");
    assert_eq!(two("1", "2").digest(), two("3", "4").digest());
    assert_eq!(two("1", "2").digest(), turned.digest());
}

#[test]
fn std_01_moving_a_border_changes_the_digest() {
    let digest = |argv: &[&str]| profile(argv, vec![], None).expect("profile").digest();
    assert_ne!(digest(&["/x", "ab", "c"]), digest(&["/x", "a", "bc"]));
    assert_ne!(digest(&["/x", "a b"]), digest(&["/x", "a", "b"]));
}

#[test]
fn std_02_control_characters_and_relative_programs_are_refused() {
    for bad in ["a\0b", "a\nb", "a\rb", "\u{1b}[0m", "\u{85}"] {
        assert_eq!(profile(&["/x", bad], vec![], None).err(), Some(BadProfile::Argument(1)), "{bad:?}");
    }
    for bad in [&[][..], &[""], &["sh"], &["./sh"], &["../sh"]] {
        assert_eq!(profile(bad, vec![], None).err(), Some(BadProfile::Program), "{bad:?}");
    }
    assert_eq!(profile(&["/x", &"a".repeat(MAX_TEXT + 1)], vec![], None).err(), Some(BadProfile::TooLong));
    for good in ["; id", "$(id)", "`id`", "*", "@file", "--config=/etc/x", "-ofoo", "é", ""] {
        assert!(profile(&["/x", good], vec![], None).is_ok(), "{good:?} is an argument like any other");
    }
}

#[test]
fn std_03_names_of_variables_are_plain_single_and_not_the_fixed_ones() {
    let one = |name: &str| profile(&["/x"], vec![variable(name, "r", "v")], None).err();
    for bad in ["", "A=B", "1A", "A B", "A\0", "é"] {
        assert_eq!(one(bad), Some(BadProfile::Name(0)), "{bad:?}");
    }
    for fixed in FIXED {
        assert_eq!(one(fixed), Some(BadProfile::Fixed(0)));
    }
    let twice = vec![variable("A", "r", "v"), variable("A", "s", "w")];
    assert_eq!(profile(&["/x"], twice, None).err(), Some(BadProfile::Twice(1)));
    assert_eq!(profile(&["/x"], vec![variable("A", "r", "\0")], None).err(), Some(BadProfile::Value(0)));
}

#[test]
fn std_03_directories_are_straight() {
    for bad in ["srv", "/srv/../etc", "/a\nb", ""] {
        assert_eq!(profile(&["/x"], vec![], Some(bad)).err(), Some(BadProfile::Directory), "{bad:?}");
    }
}

#[test]
fn a_profile_does_not_print_values() {
    let made = profile(&["/x"], vec![variable("A", "file:/k", "canary")], None).expect("profile");
    assert!(!format!("{made:?}").contains("canary"));
}
