//! Console scripts of Python. Exit code and message are those of CPython 3.11.

use super::*;
use crate::exec::tests::{call, short, tree};
use crate::exec::{Exec, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

const CONSOLE: &str = "#!/usr/local/bin/python3.12\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom gunicorn.app.wsgiapp import run\nif __name__ == '__main__':\n    sys.exit(run())\n";

fn run_env(env: &[&str], script: &str, extra: &[&str]) -> Trace {
    let own = ElfBuilder::amd64().build();
    let mut files: Vec<(&str, u16, &[u8])> = vec![
        ("usr/local/bin/python3.12", 0o755, &own),
        ("usr/local/lib/python3.12/os.py", 0o644, b"x"),
        ("usr/local/bin/gunicorn", 0o755, script.as_bytes()),
    ];
    files.extend(extra.iter().map(|path| (*path, 0o644, &b"x"[..])));
    let mut env: Vec<String> = env.iter().map(|line| line.to_string()).collect();
    env.push("PATH=/usr/local/bin".to_string());
    trace(&tree(&files), &Exec { env, ..call(&["gunicorn", "app:app"]) }, &Node::plain(Arch::Amd64))
}

fn run(script: &str, extra: &[&str]) -> String {
    short(&run_env(&[], script, extra).outcome)
}

const MISSING: &str = "exit 1 missing-module";

#[test]
fn a_console_script_needs_the_package_that_it_imports() {
    assert_eq!(run(CONSOLE, &[]), MISSING);
    assert_eq!(run_env(&[], CONSOLE, &[]).says, ["ModuleNotFoundError: No module named 'gunicorn'"]);
    for there in [
        "usr/local/lib/python3.12/site-packages/gunicorn/__init__.py",
        "usr/lib/python3/dist-packages/gunicorn.py",
        "srv/gunicorn.cpython-312-x86_64-linux-gnu.so",
        "usr/local/lib/python3.12/site-packages/__editable___gunicorn_1_0_finder.py",
        "usr/local/lib/python3.12/site-packages/gunicorn-1.egg",
    ] {
        assert_eq!(run(CONSOLE, &[there]), "runs", "{there}");
    }
    for other in
        ["usr/local/lib/python3.12/site-packages/gunicornish/__init__.py", "opt/gunicorn/conf/gunicorn_conf.py"]
    {
        assert_eq!(run(CONSOLE, &[other]), MISSING, "{other}");
    }
    // A namespace.
    assert_eq!(run(CONSOLE, &["usr/local/lib/python3.12/site-packages/gunicorn/app/wsgiapp.py"]), "runs");
}

#[test]
fn packages_of_another_version_of_python_are_not_found() {
    let elsewhere = "usr/local/lib/python3.11/site-packages/gunicorn/__init__.py";
    let trace = run_env(&[], CONSOLE, &[elsewhere]);
    assert_eq!(short(&trace.outcome), MISSING);
    let text = &trace.outcome.cause().unwrap().text;
    assert!(text.contains("only installed for Python 3.11; it runs with python3.12"), "{text}");
    let named = ["PYTHONPATH=/srv:/usr/local/lib/python3.11/site-packages"];
    assert_eq!(short(&run_env(&named, CONSOLE, &[elsewhere]).outcome), "runs");
    assert_eq!(run(CONSOLE, &[elsewhere, "srv/gunicorn/__init__.py"]), "runs");
}

#[test]
fn only_the_scripts_that_installers_write_are_read() {
    let imports = |body: &str| imported(&format!("#!/usr/bin/python3\n{body}\n"), true).map(str::to_string);
    assert_eq!(
        imports("# -*- coding: utf-8 -*-\nimport sys\nfrom uvicorn.main import main"),
        Some("uvicorn.main".into())
    );
    assert_eq!(imports("import re\nimport sys\nfrom celery.__main__ import main"), Some("celery.__main__".into()));
    let long = "'''exec' /very/long/bin/python \"$0\" \"$@\"\n' '''\nimport sys\nfrom flask.cli import main";
    assert_eq!(imports(long), Some("flask.cli".into()));
    for other in [
        "import os\nfrom app import main",
        "sys.path.insert(0, '/srv')\nfrom app import main",
        "from importlib.metadata import distribution",
        "from app import *",
        "from . import main",
        "from app import (a, b)",
        "from __future__ import annotations",
    ] {
        assert_eq!(imports(other), None, "{other}");
    }
    // Its line may continue beyond the part that was kept.
    assert_eq!(imported("#!/usr/bin/python3\nfrom flask.cl", false), None);
    // A Python whose library is missing.
    let own = ElfBuilder::amd64().build();
    let files: [(&str, u16, &[u8]); 2] =
        [("usr/local/bin/python3.12", 0o755, &own), ("usr/local/bin/gunicorn", 0o755, CONSOLE.as_bytes())];
    let env = vec!["PATH=/usr/local/bin".to_string()];
    let trace = trace(&tree(&files), &Exec { env, ..call(&["gunicorn"]) }, &Node::plain(Arch::Amd64));
    assert_eq!(short(&trace.outcome), "runs");
}

#[test]
fn a_module_that_is_started_by_its_name_is_checked_too() {
    let own = ElfBuilder::amd64().build();
    let of = |words: &[&str], extra: &[&str]| {
        let mut files: Vec<(&str, u16, &[u8])> = vec![
            ("usr/local/bin/python3.12", 0o755, &own),
            ("usr/local/lib/python3.12/os.py", 0o644, b"x"),
            ("usr/local/lib/python3.12/http/server.py", 0o644, b"x"),
        ];
        files.extend(extra.iter().map(|path| (*path, 0o644, &b"x"[..])));
        let env = vec!["PATH=/usr/local/bin".to_string()];
        trace(&tree(&files), &Exec { env, ..call(words) }, &Node::plain(Arch::Amd64))
    };
    let short_of = |words: &[&str], extra: &[&str]| short(&of(words, extra).outcome);
    assert_eq!(short_of(&["python3.12", "-m", "uvicorn", "app:app"], &[]), MISSING);
    assert_eq!(of(&["python3.12", "-m", "a.b"], &[]).says, ["python3.12: No module named a.b"]);
    assert_eq!(short_of(&["python3.12", "-m", "http.server"], &[]), "runs");
    assert_eq!(short_of(&["python3.12", "-m", "uvicorn"], &["srv/uvicorn.py"]), "runs");
    assert_eq!(
        short_of(&["python3.12", "-m", "uvicorn"], &["o/lib/python3.11/site-packages/uvicorn/__main__.py"]),
        MISSING
    );
}

#[test]
fn an_environment_for_another_version_than_its_interpreter_is_doubted() {
    let own = ElfBuilder::amd64().build();
    let doubts = |library: &str| {
        let files: [(&str, u16, &[u8]); 4] = [
            ("opt/venv/bin/python3.12", 0o755, &own),
            ("opt/venv/pyvenv.cfg", 0o644, b"home = /usr/local/bin\n"),
            (library, 0o644, b"x"),
            ("srv/app.py", 0o644, b"x"),
        ];
        let trace =
            trace(&tree(&files), &call(&["/opt/venv/bin/python3.12", "/srv/app.py"]), &Node::plain(Arch::Amd64));
        assert_eq!(short(&trace.outcome), "runs");
        trace.doubts.into_iter().map(|doubt| doubt.text).collect::<Vec<_>>()
    };
    let text = "/opt/venv has packages for Python 3.11, but its interpreter is python3.12, which does not find them";
    assert_eq!(doubts("opt/venv/lib/python3.11/site-packages/flask/x.py"), [text]);
    assert_eq!(doubts("opt/venv/lib/python3.12/site-packages/flask/x.py"), [""; 0]);
}
