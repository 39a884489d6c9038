//! `diagnose` with an image beside the message: the answer names the file at fault, its layer and the fix, even if the
//! start path leads through supervisors and scripts. The messages are those of the real programs in such images.

use std::process::Command;

use serde_json::Value;

use crate::kit::elf::ElfBuilder;
use crate::kit::small::{Small, write_layout};

/// A file: path, content.
type File<'a> = (&'a str, &'a [u8]);

/// Checks the first answer for `message` about an image of `files` whose entrypoint is `/init`, a script.
fn check(init: &str, files: &[File<'_>], message: &str, (code, path, cure): (&str, &str, &str)) {
    let directory = tempfile::tempdir().unwrap();
    let own = ElfBuilder::amd64().build();
    let mut image = Small { entrypoint: "/init", ..Small::new("amd64", own.clone()) };
    for path in ["bin/sh", "usr/bin/s6-svscan", "usr/bin/s6-supervise", "usr/bin/env"] {
        image = image.file(path, 0o755, own.clone());
    }
    image = image.file("init", 0o755, init.as_bytes().to_vec());
    for (path, content) in files {
        image = image.file(path, 0o755, content.to_vec());
    }
    write_layout(directory.path(), &[image]);
    let layout = format!("oci:{}", directory.path().display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.args(["diagnose", "--no-config", "--offline", "--format", "json", "--image", &layout, message]);
    let output = command.output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{message}: {error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let answer = &json["answers"][0];
    let has = |field: &str, text: &str| {
        answer[field].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(text))
    };
    assert_eq!(answer["cause"]["code"], code, "{message}: {answer:#}");
    assert_eq!(answer["cause"]["likelihood"], "certain", "{message}: {answer:#}");
    assert!(answer["cause"]["text"].as_str().unwrap().starts_with(&format!("{path} in ")), "{message}: {answer:#}");
    assert!(has("evidence", "layer 1 of 1"), "{message}: {answer:#}");
    assert!(has("then", cure), "{message}: {answer:#}");
}

const S6: &str = "#!/bin/sh\nexec s6-svscan /etc/s6\n";
const UNABLE: &str = "s6-supervise web (child): fatal: unable to exec run: Exec format error";
const REBUILD: &str = "docker buildx build --platform linux/amd64";
const FOREIGN: &str = "foreign-architecture";

#[test]
fn a_services_run_file_is_judged_by_itself() {
    let arm64 = ElfBuilder::arm64().build();
    let run = "etc/s6/web/run";
    check(S6, &[(run, &arm64)], UNABLE, (FOREIGN, "/etc/s6/web/run", REBUILD));
    check(S6, &[(run, b"/app start\n")], UNABLE, ("not-a-program", "/etc/s6/web/run", "#!/bin/sh"));
    let crlf = "s6-supervise web (child): fatal: unable to exec run: No such file or directory";
    check(S6, &[(run, b"#!/bin/sh\r\nexec /app\r\n")], crlf, ("script-crlf", "/etc/s6/web/run", "dos2unix"));
    let interpreter: [File<'_>; 2] = [(run, b"#!/opt/bash\necho\n"), ("opt/bash", &arm64)];
    check(S6, &interpreter, UNABLE, (FOREIGN, "/opt/bash", REBUILD));
    let called: [File<'_>; 2] = [(run, b"#!/bin/sh\nexec /srv/web start\n"), ("srv/web", &arm64)];
    check(S6, &called, "./run: 2: exec: /srv/web: Exec format error", (FOREIGN, "/srv/web", REBUILD));
}

#[test]
fn a_script_of_an_entrypoints_directory_is_judged_by_itself() {
    const INIT: &str = "#!/bin/sh\nset -e\nfor f in /docker-entrypoint.d/*.sh; do\n  \"$f\"\ndone\nexec /app\n";
    let script = "docker-entrypoint.d/40-app.sh";
    let message = "/init: 4: /docker-entrypoint.d/40-app.sh: not found";
    let at = "/docker-entrypoint.d/40-app.sh";
    check(INIT, &[(script, b"#!/bin/sh\r\nset -e\r\n")], message, ("script-crlf", at, "dos2unix"));
    check(INIT, &[(script, b"#!/usr/bin/python3\n")], message, ("missing-interpreter", at, "install the interpreter"));
    let arm64 = ElfBuilder::arm64().build();
    let helper: [File<'_>; 2] = [(script, b"#!/bin/sh\nset -e\n/opt/tool once\n"), ("opt/tool", &arm64)];
    let message = "/docker-entrypoint.d/40-app.sh: 3: /opt/tool: Exec format error";
    check(INIT, &helper, message, (FOREIGN, "/opt/tool", REBUILD));
}

#[test]
fn a_program_after_a_waiting_script_is_judged_by_itself() {
    const INIT: &str = "#!/bin/sh\nexec /wait-for-it.sh db:80 -- /srv/web\n";
    const WAIT: &[u8] = b"#!/bin/sh\nshift 2\nexec \"$@\"\n";
    let files: [File<'_>; 2] = [("wait-for-it.sh", WAIT), ("srv/web", &ElfBuilder::arm64().build())];
    let message = "/wait-for-it.sh: line 178: /srv/web: cannot execute binary file: Exec format error";
    check(INIT, &files, message, (FOREIGN, "/srv/web", REBUILD));
    let message = "exec /init: exec format error";
    let shell: [File<'_>; 1] = [("bin/sh", &ElfBuilder::arm64().build())];
    check(INIT, &shell, message, (FOREIGN, "/bin/sh", REBUILD));
}
