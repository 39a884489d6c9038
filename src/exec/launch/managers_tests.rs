//! The programs that npm, yarn, pnpm and npx start. Exit codes and messages are those of npm 11.

use super::*;
use crate::exec::tests::{call, short, tree};
use crate::exec::{Exec, Followed, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

const SCRIPT: &[u8] = b"#!/usr/bin/env node\nrequire('x')\n";

/// An image with node and the package managers that starts `words` in /srv/app.
fn run_with(extra: &[(&str, &str)], words: &[&str]) -> Trace {
    let (own, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let mut files: Vec<(&str, u16, &[u8])> =
        ["bin/sh", "usr/bin/env", "usr/bin/node"].iter().map(|path| (*path, 0o755, own.as_slice())).collect();
    files.extend(["npm", "npx", "yarn", "pnpm"].map(|name| match name {
        "npm" => ("usr/bin/npm", 0o755, SCRIPT),
        "npx" => ("usr/bin/npx", 0o755, SCRIPT),
        "yarn" => ("usr/bin/yarn", 0o755, SCRIPT),
        _ => ("usr/bin/pnpm", 0o755, SCRIPT),
    }));
    files.push(("srv/app/node_modules/.bin/next", 0o755, SCRIPT));
    files.push(("srv/app/node_modules/.bin/foreign", 0o755, &foreign));
    files.push(("srv/app/server/index.js", 0o644, b"require('x')"));
    files.extend(extra.iter().map(|(path, text)| (*path, 0o644, text.as_bytes())));
    let env = vec!["PATH=/usr/bin:/bin".to_string()];
    trace(&tree(&files), &Exec { env, working_dir: "/srv/app".into(), ..call(words) }, &Node::plain(Arch::Amd64))
}

const PACKAGE: &str = r#"{"name":"app","scripts":{"start":"NODE_ENV=production next start","server":"node server/index.js",
    "gone":"node dist/index.js","dev":"nodemon x.js","native":"foreign serve","prebuilt":"make all","built":"node dist/index.js",
    "again":"npm run server","prechecked":"foreign","checked":"next start","two":"npm run server && npm run gone"}}"#;

fn with_package(words: &[&str]) -> Trace {
    run_with(&[("srv/app/package.json", PACKAGE)], words)
}

#[test]
fn a_script_of_the_project_is_followed_to_what_it_starts() {
    let is_full = |words: &[&str], expected: &str| {
        let trace = with_package(words);
        assert_eq!(
            (short(&trace.outcome).as_str(), &trace.followed),
            (expected, &Followed::Full),
            "{words:?} {trace:#?}"
        );
    };
    for words in [
        &["npm", "start"][..],
        &["npm", "run", "server"],
        &["npm", "run", "--silent", "server", "--", "--port", "1"],
        &["npm", "run", "again"],
        &["yarn", "start"],
        &["yarn", "server"],
        &["yarn", "next", "start"],
        &["pnpm", "run", "server"],
        &["npx", "next", "start"],
        &["npm", "exec", "--", "next"],
    ] {
        is_full(words, "runs");
    }
    is_full(&["npm", "run", "gone"], "exit 1 missing-script");
    is_full(&["yarn", "gone"], "exit 1 missing-script");
    is_full(&["npm", "run", "dev"], "exit 127 not-in-path");
    is_full(&["npm", "run", "native"], "exit 126 foreign-architecture");
    is_full(&["npm", "--prefix", "/srv/app", "run", "native"], "exit 126 foreign-architecture");
    is_full(&["npx", "foreign"], "exit 126 foreign-architecture");
    is_full(&["pnpm", "exec", "foreign"], "exit 126 foreign-architecture");
    is_full(&["npm", "run", "checked"], "exit 126 foreign-architecture");
    let visited = with_package(&["npm", "start"]).visited;
    assert!(visited.iter().any(|step| step.typed == "/srv/app/node_modules/.bin/next"), "{visited:#?}");
}

#[test]
fn a_missing_script_or_project_ends_the_start() {
    let dies = |trace: &Trace, expected: &str, says: &str| {
        assert_eq!((short(&trace.outcome).as_str(), trace.says.concat().as_str()), (expected, says), "{trace:#?}");
    };
    dies(&with_package(&["npm", "run", "none"]), "exit 1 missing-script", "npm error Missing script: \"none\"");
    let says = "npm error enoent Could not read package.json: Error: ENOENT: no such file or directory, open \
                '/srv/app/package.json'";
    dies(&run_with(&[], &["npm", "start"]), "exit 254 missing-script", says);
    let server = [("srv/app/package.json", r#"{"scripts":{"x":"y"}}"#), ("srv/app/server.js", "")];
    dies(&run_with(&server, &["npm", "start"]), "runs", "");
    dies(&run_with(&server[..1], &["npm", "start"]), "exit 1 missing-script", "npm error Missing script: \"start\"");
    // The project in the directory above is used.
    let above = [("srv/package.json", r#"{"scripts":{"start":"node app/server/index.js"}}"#)];
    dies(&run_with(&above, &["npm", "start"]), "runs", "");
}

#[test]
fn a_program_that_is_not_known_leaves_the_path_open() {
    let is_open = |trace: Trace| {
        let is_partial = matches!(trace.followed, Followed::Partial { .. });
        assert!(is_partial && short(&trace.outcome) == "runs", "{trace:#?}");
    };
    for words in [
        &["npm", "ci"][..],
        &["npm", "--prefix", "x", "start"],
        &["npm", "run", "--workspace", "a", "none"],
        &["npx", "create-x@1"],
        &["npx", "@scope/tool"],
        &["npx", "unknown"],
        &["yarn"],
        &["yarn", "install"],
        &["npm", "run", "none", "--if-present"],
        // An earlier step may create the file.
        &["npm", "run", "built"],
    ] {
        is_open(with_package(words));
    }
    is_open(run_with(&[("srv/app/package.json", PACKAGE), ("srv/app/.yarnrc.yml", "")], &["yarn", "gone"]));
    is_open(run_with(&[("srv/app/package.json", "{}")], &["npm", "start"]));
    is_open(run_with(&[], &["yarn", "serve"]));
}

#[test]
fn words_after_the_name_are_passed_on_as_each_manager_does() {
    let words = ["--x", "a", "--", "--y"].map(String::from);
    assert_eq!(Manager::Npm.handed(&words), ["a", "--y"]);
    assert_eq!(Manager::Yarn.handed(&words), ["--x", "a", "--y"]);
    assert_eq!(quoted("it's"), "'it'\\''s'");
}
