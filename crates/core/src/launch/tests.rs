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
fn std_08_a_runner_behind_options_and_wrappers_is_never_taken_for_something_else() {
    let digest = format!("x@sha256:{}", "ab".repeat(32));
    for line in [
        "docker --context x run evil",
        "docker -D run evil",
        "docker --unknown run evil",
        "docker --unknown value run evil",
        "podman --log-level=debug run evil",
        "podman --root /x container run evil",
        "docker --context x container --unknown run evil",
        "docker compose -f x.yml up",
        "npm --yes exec a",
        "npm --loglevel silent exec a",
        "npm --unknown exec a@1.0.0",
        "npm exe a",
        "npm init x",
        "npm --yes create x",
        "npm innit x",
        "pnpm -s dlx a",
        "pnpm create x",
        "yarn --silent dlx a",
        "yarn create x",
        "bun --bun x a",
        "bun create x",
        "uv --unknown x tool run a",
        "uv tool --unknown run a",
        "pipx --verbose run a",
        "go -C /x run a@v1",
        "deno --quiet run npm:a",
        "node --no-warnings /x/npx-cli.js a",
        "node /x/npm-cli.js --yes exec a",
        "corepack pnpm@9.0.0 dlx a",
        "python3 -I -m pipx run a",
        "python3 -Im pipx run a",
        "python3 -X dev -mpipx run a",
        "python3.12 -W error -B -m uv tool run a",
        "env -S npx~a",
        "env -Snpx~a",
        "env -iS npx~a",
        "env --split-string=npx~a",
        "env -S npx\\_a",
        "sh -c -- npx~a",
        "bash -ce npx~a",
        "bash -c -o pipefail npx~a",
        "bash -o pipefail -c npx~a",
        "fish --command=npx~a",
        "sh -c if~true;~then~npx~a;~fi",
        "sh -c exec~\"$@\" x npx a",
        "op run -- npx a",
        "op run --env-file x -- npx a",
        "doppler run -- npx a",
        "doppler run --command npx~a",
        "unknown-wrapper --flag -- npx a",
        "su -c npx~a x",
        "env env env env env env env env npx a",
    ] {
        let run = run(line);
        assert!(run.packages.iter().all(|package| !package.exact), "{line}: {run:?}");
        assert_eq!(run.installable(), None, "{line}");
        for policy in [PackageRunners::Pinned, PackageRunners::Refuse] {
            let ruling = rule(policy, "files", &argv(line), Some(&Integrity::new([7; 32])));
            assert!(matches!(ruling, Ruling::Refused(_)), "{line}: {ruling:?}");
        }
    }
    // An option that may have a value or not may hide which word is the image.
    for line in ["podman run --replace evil:latest", "docker run --pull always evil", "docker run -Z evil", "docker run -- evil"] {
        let line = format!("{line} {digest}");
        let Ruling::Refused(problem) = rule(PackageRunners::Pinned, "files", &argv(&line), None) else { panic!("{line}") };
        assert!(line.contains("-- ") || problem.fix.contains("--option=VALUE"), "{problem:?}");
    }
    for line in [
        format!("docker run --pull=always --replace=true -it -e A --env B --mount type=bind -p8080:80 {digest}"),
        format!("docker --context x run {digest}"),
        format!("docker run -- {digest} --replace"),
    ] {
        assert_eq!(rule(PackageRunners::Pinned, "files", &argv(&line), None), Ruling::Fine, "{line}");
    }
    for line in [
        "npm run x",
        "npm --silent run x",
        "docker --context x ps",
        "docker container ls",
        "docker compose exec app x",
        "python3 -I -m server run",
        "python3 server.py -m pipx",
        "python3 -c x -m pipx run a",
        "env -u A B=c /usr/bin/node x.js",
        "sh -e script.sh",
        "bash -lc node~x.js",
        "op run -- node x.js",
        "uv pip list",
    ] {
        assert_eq!(runner(&argv(line)), None, "{line}");
    }
}

/// A copy is fetched by another program: what the runner was told of registries, interpreters and configuration would be lost.
#[test]
fn std_08_a_runner_with_options_that_a_copy_would_not_follow_is_not_installable() {
    let integrity = Integrity::new([7; 32]);
    for (line, option) in [
        ("npx --registry https://u:secret@intern.test a@1.0.0", "--registry"),
        ("npx --registry=https://u:secret@intern.test a@1.0.0", "--registry"),
        ("npx --userconfig /x a@1.0.0", "--userconfig"),
        ("npx -y --@s:registry=https://u:secret@intern.test a@1.0.0", "--@s:registry"),
        ("npx --unknown -p a@1.0.0 b", "--unknown"),
        ("npm --registry https://u:secret@intern.test exec a@1.0.0", "--registry"),
        ("npm exec a@1.0.0 --registry https://u:secret@intern.test", "--registry"),
        ("npm exec a@1.0.0 b --package=evil", "--package"),
        ("pnpm --silent dlx a@1.0.0", "--silent"),
        ("uvx --index-url https://u:secret@intern.test a==1.0", "--index-url"),
        ("uvx -ihttps://u:secret@intern.test a==1.0", "-i"),
        ("uvx --extra-index-url=https://u:secret@intern.test a==1.0", "--extra-index-url"),
        ("uvx --python 3.12 a==1.0", "--python"),
        ("uvx -p 3.12 --from a==1.0 b", "-p"),
        ("uv --config-file /x tool run a==1.0", "--config-file"),
        ("pipx run --pip-args=-ihttps://u:secret@intern.test a==1.0", "--pip-args"),
    ] {
        assert_eq!(run(line).installable(), None, "{line}");
        let Ruling::Refused(problem) = rule(PackageRunners::Pinned, "files", &argv(line), Some(&integrity)) else { panic!("{line}") };
        assert!(problem.what.contains(&format!("is given {option} for")) && problem.fix.contains("--registry URL"), "{line}: {problem:?}");
        assert!(!format!("{problem:?}").contains("secret"), "{line}: {problem:?}");
    }
    // Bun is not Node, nor npm.
    for line in ["bunx a@1.0.0", "bun x a@1.0.0", "bunx a"] {
        assert_eq!(run(line).installable(), None, "{line}");
        let Ruling::Refused(problem) = rule(PackageRunners::Pinned, "files", &argv(line), Some(&integrity)) else { panic!("{line}") };
        assert!(!problem.fix.contains("doorward server install"), "{problem:?}");
    }
    for line in [
        "npx -y -q --yes --quiet a@1.0.0 --registry x",
        "npx -p a@1.0.0 b --registry x",
        "npm --yes exec a@1.0.0 -- --registry x",
        "npm exec -- a@1.0.0 --registry x",
        "uvx -q --from a==1.0 b --python x",
        "uv --quiet tool run a==1.0",
        "pipx run --spec=a==1.0 b",
    ] {
        assert!(run(line).installable().is_some(), "{line}");
    }
    assert_eq!(seen("npm exec a@1.0.0 -- --registry x").2, "--registry x");
    let loose = rule(PackageRunners::Pinned, "files", &argv("npx --registry x a"), None);
    assert!(matches!(loose, Ruling::Refused(problem) if problem.fix.contains("leave out --registry")));
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
