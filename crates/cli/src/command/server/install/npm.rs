//! Packages of Node, with `npm`: resolved once into a lock with hashes, then always as the lock says. `--ignore-scripts` always.

use super::{Installed, Order, beside, installer, odd, unkept};
use crate::failure::Failure;
use serde_json::{Value, json};
use std::fs;
use std::path::{Component, Path};

/// A copy in `order.into`.
///
/// # Errors
/// [`Failure`].
pub(super) fn install(order: &Order<'_>) -> Result<Installed, Failure> {
    let (package, into) = (order.package, order.into);
    let (npm, node) = (beside(order.program, "npm")?, beside(order.program, "node")?);
    let version = package.version.as_deref().unwrap_or_default();
    let wanted = json!({"name": "doorward-package", "private": true, "dependencies": {package.name.as_str(): version}});
    fs::write(into.join("package.json"), format!("{wanted}\n")).map_err(|error| unkept(into, &error))?;
    if let Some(lock) = &order.lock {
        fs::write(into.join("package-lock.json"), lock).map_err(|error| unkept(into, &error))?;
    }
    let cache = into.join(".cache");
    let mut arguments = vec![if order.lock.is_some() { "ci" } else { "install" }.to_owned()];
    let fixed = [
        "--ignore-scripts",
        // A dependency from a repository is prepared by an npm of its own, which obeys the .npmrc that it brings.
        "--allow-git=none",
        "--git=/bin/false",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--omit=dev",
        "--loglevel=error",
        "--lockfile-version=3",
        // Somebody waits, and asks again by themselves. Bytes that are not what their hash says are no reason to ask again.
        "--fetch-retries=0",
        "--fetch-timeout=60000",
    ];
    arguments.extend(fixed.map(str::to_owned));
    // Its own cache: what lies in another one was not checked now.
    arguments.push(format!("--cache={}", cache.display()));
    arguments.extend(order.registry.map(|registry| format!("--registry={registry}")));
    let done = installer(&npm, &arguments, into);
    drop(fs::remove_dir_all(&cache));
    done?;
    let lock = fs::read_to_string(into.join("package-lock.json")).map_err(|error| unkept(into, &error))?;
    hashed(&lock).map_err(|why| odd(package, &why))?;
    let root = Path::new("node_modules").join(&package.name);
    let described = fs::read_to_string(into.join(&root).join("package.json")).map_err(|error| unkept(into, &error))?;
    let described: Value = serde_json::from_str(&described).map_err(|_| odd(package, "its package.json is not JSON"))?;
    if described.get("version").and_then(Value::as_str) != Some(version) {
        return Err(odd(package, "its package.json names another version"));
    }
    let entry = entry(&described, &package.name, order.run.entry.as_deref()).map_err(|why| odd(package, why))?;
    let inside = root.join(entry);
    let bytes = fs::read(into.join(&inside)).map_err(|error| unkept(&inside, &error))?;
    let inside = format!("./{}", inside.display());
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // A program of another kind is started as it is.
    let is_other = bytes.starts_with(b"\x7fELF") || (first.starts_with(b"#!") && !first.windows(4).any(|piece| piece == b"node"));
    let program = if is_other { vec![inside] } else { vec![node.display().to_string(), inside] };
    Ok(Installed { program, lock })
}

/// Whether everything comes from a registry under a hash: no repository, no directory, no link.
fn hashed(lock: &str) -> Result<(), String> {
    let lock: Value = serde_json::from_str(lock).map_err(|_| "its lock is not JSON".to_owned())?;
    let packages = lock.get("packages").and_then(Value::as_object).ok_or("its lock names no packages")?;
    for (place, package) in packages.iter().filter(|(place, _)| !place.is_empty()) {
        let is_bundled = package.get("inBundle").and_then(Value::as_bool) == Some(true);
        if !is_bundled && package.get("integrity").and_then(Value::as_str).is_none_or(|hash| !hash.starts_with("sha512-")) {
            return Err(format!("{} comes without a SHA-512", crate::console::inert(place)));
        }
    }
    Ok(())
}

/// The file that `npx` would start.
fn entry(described: &Value, name: &str, wanted: Option<&str>) -> Result<String, &'static str> {
    let unscoped = name.rsplit('/').next().unwrap_or(name);
    let found = match (described.get("bin").unwrap_or(&Value::Null), wanted) {
        (Value::String(path), None) => Some(path.as_str()),
        (Value::String(path), Some(wanted)) if wanted == unscoped => Some(path.as_str()),
        (Value::Object(bins), Some(wanted)) => bins.get(wanted).and_then(Value::as_str),
        (Value::Object(bins), None) => {
            let only = bins.values().next().filter(|first| bins.values().all(|other| other == *first));
            only.or_else(|| bins.get(unscoped)).and_then(Value::as_str)
        }
        _ => None,
    };
    let path = found.ok_or("it has no such command")?;
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_inside = !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if is_inside { Ok(path.to_owned()) } else { Err("its command is not inside it") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_08_the_entry_is_the_one_that_npx_would_start_and_inside() {
        let of = |bin: Value, name, wanted| entry(&json!({ "bin": bin }), name, wanted);
        assert_eq!(of(json!("./a.js"), "@s/p", None).as_deref(), Ok("a.js"));
        assert_eq!(of(json!({"x": "x.js"}), "p", None).as_deref(), Ok("x.js"));
        assert_eq!(of(json!({"x": "x.js", "p": "p.js"}), "@s/p", None).as_deref(), Ok("p.js"));
        assert_eq!(of(json!({"x": "x.js", "p": "p.js"}), "@s/p", Some("x")).as_deref(), Ok("x.js"));
        for (bin, wanted) in [
            (json!({"x": "x.js", "y": "y.js"}), None),
            (json!({"x": "x.js"}), Some("z")),
            (json!(null), None),
            (json!("../../x"), None),
            (json!("/bin/sh"), None),
            (json!("a/../../b"), None),
            (json!(""), None),
        ] {
            assert!(of(bin.clone(), "p", wanted).is_err(), "{bin}");
        }
    }

    #[test]
    fn std_08_a_lock_without_hashes_is_refused() {
        let lock = |package: Value| hashed(&json!({"packages": {"": {}, "node_modules/a": package}}).to_string());
        assert_eq!(lock(json!({"integrity": "sha512-x"})), Ok(()));
        for package in [json!({"resolved": "git+ssh://x"}), json!({"integrity": "sha1-x"}), json!({"link": true, "resolved": "../x"})] {
            assert!(lock(package).is_err());
        }
        assert!(hashed("{}").is_err() && hashed("x").is_err());
    }
}
