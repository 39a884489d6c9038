//! Programs that may be started where following stops before the program.

use crate::exec::tests::{call, short, tree};
use crate::exec::{Exec, Followed, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

/// /app, the shells and the tools run; /foreign and /opt/*/bin/server are for another architecture.
fn run_with(extra: &[(&str, u16, &str)], words: &[&str]) -> Trace {
    let (app, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let tools =
        ["bin/sh", "app", "usr/bin/cat", "usr/bin/python3", "usr/bin/perl", "usr/bin/su", "usr/bin/init", "usr/bin/cp"];
    let mut files: Vec<(&str, u16, &[u8])> = tools.iter().map(|path| (*path, 0o755, app.as_slice())).collect();
    files.extend([("foreign", 0o755, foreign.as_slice()), ("opt/v1/bin/server", 0o755, &foreign)]);
    files.extend([("opt/multi/app-arm64/tool", 0o755, foreign.as_slice()), ("opt/multi/app-amd64/tool", 0o755, &app)]);
    files.extend(extra.iter().map(|(path, mode, text)| (*path, *mode, text.as_bytes())));
    trace(&tree(&files), &Exec { env: vec!["PATH=/usr/bin:/bin".into()], ..call(words) }, &Node::plain(Arch::Amd64))
}

fn script(text: &str, args: &[&str], expected: &str) {
    let words: Vec<&str> = std::iter::once("/e").chain(args.iter().copied()).collect();
    let trace = run_with(&[("e", 0o755, &format!("#!/bin/sh\n{text}\n"))], &words);
    let risks: Vec<String> = trace.risks.iter().map(|risk| format!(" risk {}", short(&risk.outcome))).collect();
    assert_eq!(format!("{}{}", short(&trace.outcome), risks.concat()), expected, "{text}\n{trace:#?}");
}

const FOREIGN: &str = "exit 126 foreign-architecture";

#[test]
fn the_words_of_a_call_are_judged_if_the_program_before_them_is_unknown() {
    for text in [
        "exec \"$(cat /run/prefix)\" \"$@\"",
        "\"$(cat /run/prefix)\" \"$@\"",
        "x=$(cat /run/name)\nexec \"$x\"",
        "read x < /run/y\nexec \"$x\" --config /etc/x \"$@\"",
        "eval \"$(cat /run/script)\"\nexec \"$(cat /run/prefix)\" -- \"$@\"",
    ] {
        script(text, &["/foreign", "serve"], FOREIGN);
        script(text, &["/app", "serve"], "runs");
        script(text, &["serve"], "runs");
    }
    // The words are not the program that is started.
    script("exec /app", &["/foreign"], "runs");
    script(
        "if read x; then exec \"$x\" \"$@\"; fi\nexec /app",
        &["/foreign"],
        "runs risk exit 126 foreign-architecture",
    );
}

#[test]
fn a_partly_known_name_matches_every_file_that_fits_it() {
    script("exec \"/opt/$(cat /v)/bin/server\"", &[], FOREIGN);
    script("exec \"$(cat /home)/bin/server\"", &[], FOREIGN);
    script("cd \"$(cat /home)\"\nexec ./bin/server", &[], FOREIGN);
    // One of several builds is chosen at run time.
    script("exec \"/opt/multi/app-$(cat /arch)/tool\"", &[], "runs");
    script("exec \"/opt/multi/none-$(cat /arch)/tool\"", &[], "runs");
}

#[test]
fn programs_that_start_their_arguments_are_followed_to_them() {
    let runs = |words: &[&str], extra: &[(&str, u16, &str)]| {
        let trace = run_with(extra, words);
        let risks: Vec<String> = trace.risks.iter().map(|risk| format!(" risk {}", short(&risk.outcome))).collect();
        format!("{}{}", short(&trace.outcome), risks.concat())
    };
    let python: &[(&str, u16, &str)] = &[("e.py", 0o755, "#!/usr/bin/python3\nimport os\n")];
    let perl: &[(&str, u16, &str)] = &[("e.pl", 0o755, "#!/usr/bin/perl\n")];
    for (words, extra) in [
        (&["/e.py", "/foreign"][..], python),
        (&["/usr/bin/python3", "/e.py", "-x", "/foreign"], python),
        (&["/e.pl", "/foreign"], perl),
        (&["su", "-c", "exec /foreign", "root"], &[]),
        (&["init", "--", "/foreign"], &[]),
        (&["init", "-main", "/foreign"], &[]),
        (&["/e.py", "/app web", "/foreign worker"], python),
    ] {
        assert_eq!(runs(words, extra), FOREIGN, "{words:?}");
        let healthy: Vec<String> = words.iter().map(|word| word.replace("/foreign", "/app")).collect();
        let healthy: Vec<&str> = healthy.iter().map(String::as_str).collect();
        assert_eq!(runs(&healthy, extra), "runs", "{healthy:?}");
    }
    // The container is for an interpreter's script. su searches for the program that it starts.
    for (words, is_full) in [(&["/e.pl"][..], true), (&["perl", "/e.pl", "/app"], true), (&["su"], false)] {
        let trace = run_with(perl, words);
        assert_eq!(trace.followed == Followed::Full, is_full, "{words:?}: {:?}", trace.followed);
    }
    assert_eq!(runs(&["init", "/data", "/foreign"], &[]), format!("runs risk {FOREIGN}"));
    assert_eq!(runs(&["/e.py", "/app: it is /foreign", "why not /foreign"], python), "runs");
    assert_eq!(runs(&["cp", "/foreign", "/x"], &[]), "runs");
}

#[test]
fn bundler_starts_a_program_on_path_or_in_a_gem() {
    let ruby: &[(&str, u16, &str)] =
        &[("usr/bin/bundle", 0o755, "#!/usr/bin/perl\n"), ("usr/bin/puma", 0o755, "#!/usr/bin/perl\n")];
    let run = |words: &[&str]| run_with(ruby, words);
    let full = |words: &[&str]| run(words).followed == Followed::Full;
    assert!(full(&["bundle", "exec", "puma", "-C", "x"]) && !full(&["bundle", "exec", "rackup"]));
    assert_eq!(short(&run(&["bundle", "exec", "/foreign"]).outcome), "exit 126 foreign-architecture");
    assert!(full(&["bundle", "install"]));
}
