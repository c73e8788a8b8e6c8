//! Packages of Python, with `pip`: resolved once into requirements with hashes, then always as those say. Only wheels, which hold
//! no script that could run while they are installed.

use super::{Installed, Order, beside, installer, odd, unkept};
use crate::failure::Failure;
use doorward_core::launch::Package;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// pip, but without what it has for other things than wheels: `--only-binary` does not hold for a dependency that names its own URL, and to
/// ask such a thing what it needs runs what it brings. A pip that has these parts elsewhere ends with an error before it does anything.
const WHEELS_ALONE: &str = "
import sys
from pip._internal.cli.main import main
from pip._internal.distributions.sdist import SourceDistribution
from pip._internal.exceptions import InstallationError
from pip._internal.vcs import vcs

def refused(*_, **__):
    raise InstallationError('only wheels are installed')

SourceDistribution.prepare_distribution_metadata
SourceDistribution.prepare_distribution_metadata = refused
vcs._registry.clear()
sys.exit(main(sys.argv[1:]))
";

/// A copy in `order.into`.
///
/// # Errors
/// [`Failure`].
pub(super) fn install(order: &Order<'_>) -> Result<Installed, Failure> {
    let (package, into) = (order.package, order.into);
    let python = beside(order.program, "python3")?;
    let pip = |more: &[&str]| {
        let fixed =
            ["-I", "-c", WHEELS_ALONE, "--no-input", "--disable-pip-version-check", "--no-cache-dir", "install", "--only-binary", ":all:"];
        let registry = order.registry.map(|registry| ["--index-url", registry]);
        let arguments: Vec<&str> = fixed.iter().chain(registry.iter().flatten()).chain(more).copied().collect();
        installer(&python, &arguments, into)
    };
    let lock = match &order.lock {
        Some(lock) => lock.clone(),
        None => {
            let wanted = wanted(package);
            pip(&["--dry-run", "--ignore-installed", "--quiet", "--report", "report.json", &wanted])?;
            let report = fs::read_to_string(into.join("report.json")).map_err(|error| unkept(into, &error))?;
            fs::remove_file(into.join("report.json")).map_err(|error| unkept(into, &error))?;
            requirements(&report).ok_or_else(|| odd(package, "something that it needs comes without a SHA-256"))?
        }
    };
    fs::write(into.join("requirements.txt"), &lock).map_err(|error| unkept(into, &error))?;
    pip(&["--require-hashes", "--no-deps", "--no-compile", "--quiet", "--target", "site", "--requirement", "requirements.txt"])?;
    let name = order.run.entry.as_deref().unwrap_or(&package.name);
    let start = script(&into.join("site"), &package.name, name).ok_or_else(|| odd(package, "it has no such command"))?;
    fs::write(into.join("run.py"), start).map_err(|error| unkept(into, &error))?;
    let program = [&python.display().to_string(), "-I", "-B", "./run.py"].map(str::to_owned).to_vec();
    Ok(Installed { program, lock })
}

/// As pip wants it: `name[extra]==version`.
fn wanted(package: &Package) -> String {
    let version = package.version.as_deref().unwrap_or_default();
    let front = package.text.split(['=', '@']).next().unwrap_or_default().trim();
    format!("{front}=={version}")
}

/// The report of a resolution (`pip install --report`) as requirements with hashes.
fn requirements(report: &str) -> Option<String> {
    let report: Value = serde_json::from_str(report).ok()?;
    let mut lines: Vec<String> = Vec::new();
    for found in report.get("install")?.as_array()? {
        let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str);
        let (name, version) = (text("/metadata/name")?, text("/metadata/version")?);
        let hash = text("/download_info/archive_info/hashes/sha256")?;
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+!".contains(&b));
        if !(is_plain(name) && is_plain(version) && hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())) {
            return None;
        }
        lines.push(format!("{name}=={version} --hash=sha256:{hash}\n"));
    }
    lines.sort_unstable();
    (!lines.is_empty()).then(|| lines.concat())
}

/// A program that calls the entry point `name` of the distribution.
fn script(site: &Path, distribution: &str, name: &str) -> Option<String> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['_', '.'], "-");
    let directories = fs::read_dir(site).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let points = directories
        .filter(|path| {
            let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".dist-info"));
            stem.and_then(|stem| stem.rsplit_once('-')).is_some_and(|(name, _)| folded(name) == folded(distribution))
        })
        .find_map(|path| fs::read_to_string(path.join("entry_points.txt")).ok())?;
    let (module, object) = point(&points, name)?;
    let mut text = String::from("import os, sys\n");
    text.push_str("sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), \"site\"))\n");
    let _ = writeln!(text, "sys.argv[0] = {name:?}\nimport {module} as module\nsys.exit(module.{object}())");
    Some(text)
}

/// Module and object of a console script in `entry_points.txt`.
fn point<'a>(points: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut is_scripts = false;
    for line in points.lines().map(str::trim) {
        if line.starts_with('[') {
            is_scripts = line == "[console_scripts]";
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| is_scripts) else { continue };
        if key.trim() != name {
            continue;
        }
        let (module, object) = value.split('[').next()?.trim().split_once(':')?;
        let is_path = |text: &str| {
            text.split('.').all(|part| {
                part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            })
        };
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        return (is_path(module) && is_path(object) && is_name).then_some((module, object));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_08_entry_points_are_read_and_nothing_else_becomes_code() {
        let points = "[gui_scripts]\na = x:y\n[console_scripts]\na = pkg.mod:main\nb=pkg:app.run [extra]\nc = os; import x:y\nd = a:b()\n";
        assert_eq!(point(points, "a"), Some(("pkg.mod", "main")));
        assert_eq!(point(points, "b"), Some(("pkg", "app.run")));
        for name in ["c", "d", "e"] {
            assert_eq!(point(points, name), None, "{name}");
        }
    }

    #[test]
    fn std_08_every_requirement_has_its_hash() {
        let item = |hash: &str| {
            format!(
                "{{\"metadata\":{{\"name\":\"a\",\"version\":\"1.0\"}},\"download_info\":{{\"archive_info\":{{\"hashes\":{{{hash}}}}}}}}}"
            )
        };
        let report = |item: &str| requirements(&format!("{{\"install\":[{item}]}}"));
        let hash = "ab".repeat(32);
        assert_eq!(report(&item(&format!("\"sha256\":\"{hash}\""))), Some(format!("a==1.0 --hash=sha256:{hash}\n")));
        for bad in ["", "\"md5\":\"x\"", "\"sha256\":\"x\""] {
            assert_eq!(report(&item(bad)), None);
        }
        assert_eq!(report(""), None);
    }
}
