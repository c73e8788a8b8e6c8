//! Every entry of every client of the table, as the corpus of the auditor has them, rewritten and taken back to the byte.

use super::plan::{form, put, steps};
use super::show::covered;
use doorward_edit::{Change, Patch, rewrite};
use doorward_scan::{ANCHORS, CONNECTION, Computer, Depth, Layout, Os, Reach, Request, Target, clients, survey};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Group {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    about: String,
    os: Option<String>,
    path: String,
    text: String,
    #[serde(default)]
    more: Vec<More>,
}

#[derive(Deserialize)]
struct More {
    path: String,
    #[serde(default)]
    text: String,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan/tests/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).expect("corpus").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let read = |path: &PathBuf| toml::from_str::<Group>(&fs::read_to_string(path).expect("text")).expect("cases").case;
    files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")).flat_map(read).collect()
}

fn filled(text: &str, home: &Path) -> String {
    let parts = text.split("@@").enumerate();
    let made =
        |(at, part): (usize, &str)| if at % 2 == 0 { part.to_owned() } else { format!("ghp_Zq7Wx3Ke9Rt2Yu6Ip4Ls8Dh5Gj1Mn0{}", part.len()) };
    parts.map(made).collect::<String>().replace("%HOME%", &home.to_string_lossy()).replace("%PROJECT%", "/project")
}

#[test]
fn scn_03_every_client_of_the_corpus_is_rewritten_and_taken_back_to_the_byte() {
    let root = std::env::temp_dir().join(format!("doorward-connect-corpus-{}", std::process::id()));
    drop(fs::remove_dir_all(&root));
    let words = ["/opt/doorward".to_owned(), "bridge".to_owned(), "x".to_owned()];
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, case) in cases().into_iter().enumerate() {
        let place = root.join(number.to_string());
        let (home, project, top) = (place.join("home"), place.join("project"), place.join("root"));
        for directory in [&home, &project, &top] {
            fs::create_dir_all(directory).expect("made");
        }
        let home = fs::canonicalize(home).expect("there");
        for (path, text) in std::iter::once((&case.path, &case.text)).chain(case.more.iter().map(|more| (&more.path, &more.text))) {
            let at = path.strip_prefix("~/").map(|rest| home.join(rest)).or_else(|| path.strip_prefix('/').map(|rest| top.join(rest)));
            let at = at.unwrap_or_else(|| project.join(path));
            fs::create_dir_all(at.parent().expect("a parent")).expect("made");
            fs::write(at, filled(text, &home)).expect("written");
        }
        let os = match case.os.as_deref() {
            Some("macos") => Os::MacOs,
            Some("windows") => Os::Windows,
            _ => Os::Linux,
        };
        let layout = Layout { os, home, root: Some(top), moved: Vec::new(), here: None };
        let paths = vec![Target { path: fs::canonicalize(project).expect("there"), depth: Depth::Below }];
        for found in survey(&Request { layout, computer: Computer::Read, paths }).files {
            let text = found.text.expose();
            let mut patches = Vec::new();
            let mut changed = Vec::new();
            for entry in found.entries.iter().filter(|entry| !matches!(entry.reach, Reach::Doorward(_))) {
                let put = put(entry, &words);
                let edit = Change { anchors: ANCHORS, drop: CONNECTION, put: &put };
                let rewrite = rewrite(form(found.language), text, &steps(&entry.steps), &edit);
                let rewrite = rewrite.unwrap_or_else(|fault| panic!("{}: {}: {fault}\n{text}", case.about, entry.name));
                let alone = rewrite.patch.apply(text);
                found.reads_back(&alone, &[(entry, &words)]).unwrap_or_else(|unlike| panic!("{}: {unlike}\n{alone}", case.about));
                assert_eq!(rewrite.patch.inverse(text).apply(&alone), text, "{}", case.about);
                patches.push(rewrite.patch);
                changed.push((entry, &words[..]));
                *seen.entry(found.client.id).or_default() += 1;
            }
            let patch = Patch::joined(text, &patches).expect("none over another");
            let after = patch.apply(text);
            found.reads_back(&after, &changed).unwrap_or_else(|unlike| panic!("{}: {unlike}\n{after}", case.about));
            assert_eq!(patch.inverse(text).apply(&after), text, "{}", case.about);
            let shown = covered(&found.path, text, &[]).unwrap_or_else(|| panic!("{}: nothing can be shown", case.about));
            assert!(!shown.contains("Zq7Wx3"), "{}: {shown}", case.about);
        }
    }
    fs::remove_dir_all(&root).expect("removed");
    let missing: Vec<&str> = clients().map(|client| client.id).filter(|id| !seen.contains_key(id)).collect();
    assert!(missing.is_empty(), "no entry of {missing:?} in the corpus");
    assert!(seen.values().sum::<usize>() > 120, "{seen:?}");
}
