//! Images that imgarch judges, and that real engines and runtimes start: the table in docs/engines.md. Takes minutes, so
//! it runs only with `IMGARCH_AGREEMENT=1`. `IMGARCH_UPDATE_DOCS=1` also writes the columns of this machine's versions.

use std::collections::BTreeMap;
use std::path::Path;

use super::runtimes::{contain, contain_by_podman};
use super::*;

/// The exit code of the programs.
const RAN: i32 = 42;

/// The images, each with a description for the table.
fn images() -> Vec<(&'static str, Tree)> {
    let native = elf::ElfBuilder::amd64().build();
    let foreign = elf::ElfBuilder::arm64().build();
    let app = |bytes: &[u8]| Tree::call(&["/app"]).file("app", bytes);
    let loaded = |loader: &str| elf::ElfBuilder::amd64().pie().interp(loader).build();
    let mut incongruent = native.clone();
    elf::edit_phdr(&mut incongruent, 0, |load| load.vaddr += 0x10);
    vec![
        ("a static program", app(&native)),
        ("a 32-bit x86 program", app(&elf::ElfBuilder::i386().build())),
        ("a script with its shell", app(b"#!/bin/sh\n").file("bin/sh", &native)),
        ("a script that starts a script", app(b"#!/b\n").file("b", "#!/c\n").file("c", &native)),
        ("a dynamic program with its loader", app(&loaded("/ld")).file("ld", &native)),
        ("a link to a program", Tree::call(&["/app"]).link("app", "bin/app").file("bin/app", &native)),
        ("a relative path below WORKDIR", Tree::call(&["./app"]).working_dir("/srv").file("srv/app", &native)),
        ("a name that is in PATH", Tree::call(&["app"]).file("bin/app", &native)),
        ("a program of a user's own", Tree::call(&["/app"]).user("1000:1000").file("app", &native)),
        ("an arm64 program", app(&foreign)),
        ("an arm64 program below WORKDIR", Tree::call(&["./app"]).working_dir("/srv").file("srv/app", &foreign)),
        ("an arm64 shell for a script", app(b"#!/bin/sh\n").file("bin/sh", &foreign)),
        ("an arm64 loader", app(&loaded("/ld")).file("ld", &foreign)),
        ("a script without #!", app(b"echo\n")),
        ("a script with Windows line ends", app(b"#!/bin/sh\r\n").file("bin/sh", &native)),
        ("a script whose shell is missing", app(b"#!/bin/sh\n")),
        ("a script that interprets itself", app(b"#!/app\n")),
        ("an empty file", app(b"")),
        ("a web page", app(b"<!DOCTYPE html>\n")),
        ("a Mach-O program", app(&[b"\xcf\xfa\xed\xfe\x0c\0\0\x01\0\0\0\0\x02\0\0\0".as_slice(), &[0; 64]].concat())),
        ("a Windows program", app(&[b"MZ".as_slice(), &[0; 126]].concat())),
        ("half an ELF header", app(&native[..40])),
        ("a segment that is not congruent", app(&incongruent)),
        ("a missing loader", app(&loaded("/lib/none"))),
        ("an empty loader", app(&loaded("/ld")).file("ld", "")),
        ("a missing program", Tree::call(&["/none"]).file("app", &native)),
        ("a name that is not in PATH", Tree::call(&["none"]).file("app", &native)),
        ("a missing program below WORKDIR", Tree::call(&["./none"]).working_dir("/srv").directory("srv")),
        ("no execute bit", Tree::call(&["/app"]).mode("app", &native, 0o644)),
        ("no execute bit in PATH", Tree::call(&["app"]).mode("bin/app", &native, 0o644)),
        ("a directory", Tree::call(&["/app"]).directory("app")),
        ("a path through a file", Tree::call(&["/app/x"]).file("app", &native)),
        ("a link to itself", Tree::call(&["/app"]).link("app", "app")),
        ("an empty PATH", Tree::call(&["app"]).env(&["PATH="]).file("bin/app", &native)),
        ("a relative PATH", Tree::call(&["app"]).env(&["PATH=bin"]).file("bin/app", &native)),
    ]
}

/// Images for which runtimes differ: runc refuses a program that it finds by a relative PATH, crun starts it.
const DIFFER: &[&str] = &["a relative PATH"];

/// Builds the image of a tree in the engine and writes it to an archive.
fn archive(engine: &engines::Engine, tree: &Tree, number: usize, directory: &Path) -> String {
    let root = directory.join(format!("root{number}"));
    std::fs::create_dir(&root).expect("a new directory");
    tree.write(&root);
    let tar = format!("{}.import", root.display());
    engines::run("tar", &["-C", root.to_str().expect("a path"), "-cf", &tar, "."]);
    let image = format!("imgarch-agreement-{number}");
    let entrypoint = format!("ENTRYPOINT {}", serde_json::to_string(&tree.argv).expect("strings"));
    let mut words = vec!["import".to_string(), "--change".to_string(), entrypoint];
    let mut change = |text: String| words.extend(["--change".to_string(), text]);
    // docker import sets no PATH, as builders do.
    let usual = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_string();
    change(format!("ENV {}", tree.env.first().unwrap_or(&usual)));
    if !tree.working_dir.is_empty() {
        change(format!("WORKDIR {}", tree.working_dir));
    }
    if !tree.user.is_empty() {
        change(format!("USER {}", tree.user));
    }
    words.extend([tar, image.clone()]);
    engine.docker(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let archive = directory.join(format!("{number}.tar")).display().to_string();
    engine.docker(&["save", "-o", &archive, &image]);
    archive
}

/// The verdict on an archive: `runs`, the code of the first finding, or `could not tell`.
fn verdict(archive: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    let output = command.args(["scan", "--format", "json", archive]).output().expect("imgarch starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    match output.status.code() {
        Some(0) => "runs".to_string(),
        Some(1) => {
            let findings = &report["images"][0]["platforms"][0]["findings"];
            findings[0]["code"].as_str().unwrap_or("a finding of the image").to_string()
        }
        _ => "could not tell".to_string(),
    }
}

fn version(words: &[&str]) -> String {
    let text = engines::run(words[0], &words[1..]);
    let number = text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|part| part.contains('.'));
    number.unwrap_or_else(|| panic!("{words:?}: {text}")).trim_matches('.').to_string()
}

#[test]
fn images_are_judged_as_engines_and_runtimes_start_them() {
    let test = "images_are_judged_as_engines_and_runtimes_start_them";
    if std::env::var_os("IMGARCH_AGREEMENT").is_none() {
        return;
    }
    let needs = [Need::Root, Need::MountNamespaces, Need::Podman, Need::Crun, Need::Runc];
    let Some(engine) = engines::docker(test, engines::Store::Classic).filter(|_| has(test, &needs)) else { return };
    let (runc, crun) = (version(&["runc", "--version"]), version(&["crun", "--version"]));
    let (podman, docker) = (version(&["podman", "--version"]), version(&["docker", "--version"]));
    let columns = [
        format!("docker {docker} (runc {runc})"),
        format!("podman {podman} (crun {crun})"),
        format!("podman {podman} (runc {runc})"),
        format!("crun {crun}"),
        format!("runc {runc}"),
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nnetns = \"none\"\n\
                  [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
    std::fs::write(directory.path().join("containers.conf"), config).expect("writing the configuration");
    let node = node(test).expect("a node");
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for (number, (name, tree)) in images().into_iter().enumerate() {
        let archive = archive(engine, &tree, number, directory.path());
        let verdict = verdict(&archive);
        let by_docker = engine.try_docker(&["run", "--rm", "--network=none", &format!("imgarch-agreement-{number}")]);
        let ended = [
            (by_docker.status.code().unwrap_or(-1), String::from_utf8_lossy(&by_docker.stderr).into_owned()),
            contain_by_podman("crun", &tree, directory.path()),
            contain_by_podman("runc", &tree, directory.path()),
            contain("crun", &tree, node.bounding),
            contain("runc", &tree, node.bounding),
        ];
        for ((code, said), column) in ended.iter().zip(&columns) {
            if (*code == RAN) != (verdict == "runs") && !DIFFER.contains(&name) {
                wrong.push(format!("{name}: imgarch says {verdict}, but {column} exits with {code}: {said}"));
            }
        }
        let cell = |code: i32| if code == RAN { "runs".to_string() } else { code.to_string() };
        rows.push((name, verdict, ended.map(|(code, _)| cell(code))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if std::env::var_os("IMGARCH_UPDATE_DOCS").is_some() {
        update(&columns, &rows);
    }
}

/// Writes the columns of these versions to the table, and keeps the others.
fn update(columns: &[String; 5], rows: &[(&str, String, [String; 5])]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engines.md");
    let text = std::fs::read_to_string(path).expect("docs/engines.md");
    let start = text.find("| image | imgarch |").expect("a table");
    let end = text[start..].find("\n\n").map_or(text.len(), |at| start + at + 1);
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect() };
    let mut lines = text[start..end].lines();
    let head = cells(lines.next().unwrap_or_default());
    // Column by column, with the cells by image.
    let mut kept: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in lines.skip(1).map(cells) {
        for (column, cell) in head.iter().zip(&line).skip(2) {
            kept.entry(column.clone()).or_default().insert(line[0].clone(), cell.clone());
        }
    }
    for (at, column) in columns.iter().enumerate() {
        let cells = rows.iter().map(|(name, _, cells)| (name.to_string(), cells[at].clone())).collect();
        kept.insert(column.clone(), cells);
    }
    let all: Vec<&String> = kept.keys().collect();
    let mut table =
        format!("| image | imgarch |{}\n", all.iter().map(|column| format!(" {column} |")).collect::<String>());
    table += &format!("|---|---|{}\n", "---|".repeat(all.len()));
    for (name, verdict, _) in rows {
        let cell = |column: &&String| format!(" {} |", kept[*column].get(*name).map_or("", String::as_str));
        table += &format!("| {name} | {verdict} |{}\n", all.iter().map(cell).collect::<String>());
    }
    std::fs::write(path, format!("{}{table}{}", &text[..start], &text[end..])).expect("writing docs/engines.md");
}
