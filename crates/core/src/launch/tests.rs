//! STD-08: which commands are package runners, and what they would fetch.

use super::*;

fn argv(line: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace('~', " ")).collect()
}

fn run(line: &str) -> Run {
    runner(&argv(line)).unwrap_or_else(|| panic!("{line}: no runner"))
}

/// Runner, packages with a sign for an exact one, and the arguments that are the package's own.
fn seen(line: &str) -> (&'static str, String, String) {
    let (run, words) = (run(line), argv(line));
    let packages: Vec<String> =
        run.packages.iter().map(|package| format!("{}{}", if package.exact { "=" } else { "?" }, package.text)).collect();
    (run.runner, packages.join(" "), words[run.rest..].join(" "))
}

#[test]
fn std_08_runners_are_recognised_with_package_version_and_arguments() {
    for (line, runner, packages, rest) in [
        ("/usr/bin/npx -y @a/b", "npx", "?@a/b", ""),
        ("/usr/bin/npx -y @a/b@1.2.3 --flag x", "npx", "=@a/b@1.2.3", "--flag x"),
        ("npx --registry http://x a@1.0.0 b", "npx", "=a@1.0.0", "b"),
        ("npx --package=a@1.0.0 b c", "npx", "=a@1.0.0", "c"),
        ("npx -p a@1.0.0 -p b@^2 c", "npx", "=a@1.0.0 ?b@^2", ""),
        ("npx -c a@1.0.0", "npx", "", ""),
        ("npx --call=a@1.0.0", "npx", "", ""),
        ("npm exec --yes -- a@1.0.0-rc.1 b", "npm exec", "=a@1.0.0-rc.1", "b"),
        ("npm x a@latest", "npm exec", "?a@latest", ""),
        ("pnpm dlx a@^1", "pnpm dlx", "?a@^1", ""),
        ("yarn dlx a@1.0", "yarn dlx", "?a@1.0", ""),
        ("yarn dlx a@1.x.0", "yarn dlx", "?a@1.x.0", ""),
        ("bunx a@01.0.0", "bunx", "?a@01.0.0", ""),
        ("bun x a@1.0.0", "bun x", "=a@1.0.0", ""),
        ("npx github:a/b", "npx", "?github:a/b", ""),
        ("npx a/b@1.0.0", "npx", "?a/b@1.0.0", ""),
        ("npx https://x.test/a.tgz@1.0.0", "npx", "?https://x.test/a.tgz@1.0.0", ""),
        ("npx ./a@1.0.0", "npx", "?./a@1.0.0", ""),
        ("npx @a/b@npm:evil@1.0.0", "npx", "?@a/b@npm:evil@1.0.0", ""),
        ("uvx a", "uvx", "?a", ""),
        ("uvx a@1.2.0 x", "uvx", "=a@1.2.0", "x"),
        ("uvx a@latest", "uvx", "?a@latest", ""),
        ("uvx a==1.*", "uvx", "?a==1.*", ""),
        ("uvx a>=1", "uvx", "?a>=1", ""),
        ("uvx --python 3.12 --from a[cli]==1.2 b c", "uvx", "=a[cli]==1.2", "c"),
        ("uvx --with b==1,c a==1.0", "uvx", "=a==1.0 =b==1 ?c", ""),
        ("uvx --from git+https://x.test/a@0123abc b", "uvx", "?git+https://x.test/a@0123abc", ""),
        ("uv tool run a==1.0", "uv tool run", "=a==1.0", ""),
        ("uv --quiet tool run a", "uv tool run", "?a", ""),
        ("uv run --with a==1.0 server.py", "uv run", "", ""),
        ("uv --directory /x run server.py", "uv run", "", ""),
        ("pipx run --spec a==1.0 b", "pipx run", "=a==1.0", ""),
        ("docker run -i --rm -e TOKEN --network host -p8080:80 ghcr.io/a/b:1 -v", "container", "?ghcr.io/a/b:1", "-v"),
        ("podman container run a@sha256:12", "container", "?a@sha256:12", ""),
        ("deno run -A npm:a@1.0.0", "deno run", "", ""),
        ("go run github.com/a/b@v1.2.3", "go run", "", ""),
        // Behind something else.
        ("node /usr/lib/node_modules/npm/bin/npx-cli.js a@1.0.0", "npx", "=a@1.0.0", ""),
        ("python3 -m pipx run a", "pipx run", "?a", ""),
        ("/usr/bin/env A=b npx -y a", "npx", "?a", ""),
        ("timeout 5 nice -n 3 uvx a==1.0", "uvx", "=a==1.0", ""),
        ("sh -c npx~-y~a@1.0.0~--x", "npx", "=a@1.0.0", ""),
        ("bash -lc cd~/tmp;~A=b~exec~uvx~a", "uvx", "?a", ""),
        ("sh -c echo~$(npx~a)", "npx", "?a", ""),
    ] {
        assert_eq!(seen(line), (runner, packages.to_owned(), rest.to_owned()), "{line}");
    }
    let image = format!("docker run --rm -i a/b:1@sha256:{} --x", "ab".repeat(32));
    assert!(run(&image).packages[0].exact);
    assert_eq!(run("npx --package=a@1.0.0 b c").entry.as_deref(), Some("b"));
    for line in
        ["/usr/bin/node /x/index.js", "/usr/bin/python3 server.py", "/opt/npxy a", "docker ps", "deno run main.ts", "sh script.sh", ""]
    {
        assert_eq!(runner(&argv(line)), None, "{line}");
    }
}

#[test]
fn std_08_what_is_not_pinned_is_refused_or_warned_of_with_the_fix() {
    let integrity = Integrity::new([7; 32]);
    let refused = |policy, line: &str, integrity: Option<&Integrity>| match rule(policy, "files", &argv(line), integrity) {
        Ruling::Refused(problem) => Some(problem),
        Ruling::Fine => None,
        Ruling::Warned(problem) => panic!("{problem:?}"),
    };
    let pinned = |line: &str, integrity| refused(PackageRunners::Pinned, line, integrity);
    let problem = pinned("/usr/bin/npx -y a", Some(&integrity)).expect("no version");
    assert!(problem.what.contains("whatever version of a") && problem.fix.contains("a@1.2.3"), "{problem:?}");
    let problem = pinned("/usr/bin/uvx a", None).expect("no version");
    assert!(problem.fix.contains("a==1.2.3"), "{problem:?}");
    let problem = pinned("/usr/bin/npx -y a@1.0.0", None).expect("no integrity");
    assert!(problem.fix.ends_with("doorward server install files"), "{problem:?}");
    assert_eq!(pinned("/usr/bin/npx -y a@1.0.0", Some(&integrity)), None);
    assert_eq!(pinned("/usr/bin/uvx a==1.0", Some(&integrity)), None);
    assert_eq!(pinned("/usr/bin/node /x/index.js", None), None, "no runner");
    // An integrity says nothing of what is behind a wrapper, of several packages, of a line for a shell.
    for line in ["/usr/bin/env npx a@1.0.0", "/usr/bin/npx -p a@1.0.0 -p b@1.0.0 c", "/usr/bin/npx -c a", "/usr/bin/uv run x.py"] {
        assert!(pinned(line, Some(&integrity)).is_some(), "{line}");
    }
    // An image named by its digest is its own integrity.
    let image = format!("/usr/bin/docker run a@sha256:{}", "ab".repeat(32));
    assert_eq!(pinned(&image, None), None);
    assert!(pinned("/usr/bin/docker run a:1", None).is_some());
    // Strictest and mildest.
    assert!(refused(PackageRunners::Refuse, "/usr/bin/npx a@1.0.0", Some(&integrity)).is_some());
    assert_eq!(refused(PackageRunners::Refuse, "/usr/bin/node /x", None), None);
    let warned = rule(PackageRunners::Warn, "files", &argv("/usr/bin/npx a"), None);
    assert!(matches!(warned, Ruling::Warned(problem) if problem.what.contains("npx")));
    assert_eq!(rule(PackageRunners::Warn, "files", &argv("/usr/bin/npx a@1.0.0"), Some(&integrity)), Ruling::Fine);
}

#[test]
fn an_integrity_is_read_as_it_is_written() {
    let integrity = Integrity::new([0xa5; 32]);
    assert_eq!(integrity.to_string().parse(), Ok(integrity));
    for text in ["", "sha256:", "sha512:00", &"a5".repeat(32), &format!("sha256:{}", "A5".repeat(32)), &format!("{integrity}0")] {
        assert_eq!(text.parse::<Integrity>(), Err(BadIntegrity), "{text}");
    }
}
