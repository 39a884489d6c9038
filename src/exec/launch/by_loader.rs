//! A C library's loader as the command: `ld-linux-x86-64.so.2 --library-path DIR PROGRAM`. It maps the program itself,
//! whatever loader the program names. Messages and exit codes are those of glibc 2.36 and musl 1.2.3.

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::launch::walk::{Ran, StartWalk};
use crate::exec::loader::LoaderFamily;
use crate::exec::log::{Link, Log, OpenedFile};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::inspect::FileKind;

/// Whether a program of this name is a C library's loader.
pub(super) fn is_loader(name: &str) -> bool {
    ["ld-linux", "ld-musl-", "ld64.so", "ld.so"].iter().any(|start| name.starts_with(start))
}

/// The arguments of a loader. Source: elf/rtld.c `rtld_setup_main_map`, ldso/dynlink.c `__dls3`.
struct Arguments<'w> {
    library_path: Option<&'w str>,
    preload: Option<&'w str>,
    argv0: Option<&'w str>,
    /// The program and its own arguments.
    program: &'w [String],
}

/// `None`: it starts no program, or an option is not known.
fn parse(words: &[String]) -> Option<Arguments<'_>> {
    let mut parsed = Arguments { library_path: None, preload: None, argv0: None, program: &[] };
    let mut rest = words;
    while let Some((word, after)) = rest.split_first().filter(|(word, _)| word.starts_with("--")) {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let takes = match name {
            "--" => {
                rest = after;
                break;
            }
            "--library-path"
            | "--preload"
            | "--argv0"
            | "--audit"
            | "--inhibit-rpath"
            | "--glibc-hwcaps-prepend"
            | "--glibc-hwcaps-mask" => value.is_none(),
            "--inhibit-cache" => false,
            _ => return None,
        };
        let value = if takes { after.first().map(String::as_str) } else { value };
        match name {
            "--library-path" => parsed.library_path = value,
            "--preload" => parsed.preload = value,
            "--argv0" => parsed.argv0 = value,
            _ => {}
        }
        rest = after.get(usize::from(takes)..)?;
    }
    parsed.program = rest;
    Some(parsed)
}

impl ExecMachine<'_> {
    pub(super) fn follow_loader(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        let family = if ran.name.starts_with("ld-musl-") { LoaderFamily::Musl } else { LoaderFamily::Glibc };
        let open = |log: &mut Log| log.open_end(&ran.name, "the loader maps the program in its arguments itself");
        let Some(arguments) = parse(&ran.argv[1..]) else { return open(log) };
        let own = log.steps.iter().rfind(|step| step.link != Link::Loader).and_then(|step| step.path.clone());
        let loader = own.and_then(|path| self.rootfs.resolve(&path).ok());
        // glibc's loader searches for a name without a slash like for a library.
        let program = arguments.program.first().filter(|program| program.contains('/'));
        let (Some(program), Some(loader)) = (program, loader) else { return open(log) };
        let Some(FileKind::Elf(loader_elf)) = self.kind(loader) else { return open(log) };
        let code = if family == LoaderFamily::Musl { 1 } else { 127 };
        let ends = |log: &mut Log, why: &str, kind, text: String| {
            log.says.push(match family {
                LoaderFamily::Glibc => format!("{program}: error while loading shared libraries: {program}: {why}"),
                LoaderFamily::Musl if kind == CauseKind::MissingProgram => {
                    format!("{}: cannot load {program}: No such file or directory", ran.argv[0])
                }
                LoaderFamily::Musl => format!("{}: {program}: Not a valid dynamic program", ran.argv[0]),
            });
            Some(Outcome::Dies { death: Death::Exit(code), at: program.clone(), cause: Cause { kind, text } })
        };
        let absent = "cannot open shared object file: No such file or directory";
        let Ok(id) = self.cwd.walk(self.rootfs, program.as_bytes(), &|_| true) else {
            if walk.is_open || mounts::is_made(self.rootfs, program) {
                return log.open_end(program.as_str(), "it is not in the image");
            }
            let text = format!("{} is given {program}, which does not exist", ran.name);
            return ends(log, absent, CauseKind::MissingProgram, text);
        };
        if self.rootfs.is_unread(id) {
            return open(log);
        }
        let path = self.rootfs.path(id);
        let elf = match self.kind(id) {
            Some(FileKind::Elf(elf)) => elf,
            _ => {
                let text = format!("{} is given {program}, which is not an ELF file", ran.name);
                return ends(log, "invalid ELF header", CauseKind::NotElf, text);
            }
        };
        let link = Link::Command(ran.name.clone());
        log.steps.push(OpenedFile { typed: program.clone(), path: Some(lossy(&path)), what: elf.describe(), link });
        if elf.arch() != loader_elf.arch() {
            let text = format!("{} is given {program}, which is {}", ran.name, elf.describe());
            return ends(log, absent, CauseKind::ForeignArchitecture, text);
        }
        let mut env = walk.env.clone();
        for (name, value) in [("LD_LIBRARY_PATH", arguments.library_path), ("LD_PRELOAD", arguments.preload)] {
            env.extend(value.map(|value| format!("{name}={value}")));
        }
        let mut argv = arguments.program.to_vec();
        let named = (lossy(&self.rootfs.path(loader)).into_bytes(), loader, &**loader_elf);
        let bytes: Vec<Vec<u8>> = argv.iter().map(|word| word.clone().into_bytes()).collect();
        let started = match self.by_loader(log, (id, program.as_bytes()), elf, named, bytes) {
            Ok(started) => started,
            Err(outcome) => return Some(outcome),
        };
        if let Err(outcome) = self.load_libraries(log, &started, &env) {
            return Some(outcome);
        }
        if let (Some(argv0), Some(first)) = (arguments.argv0, argv.first_mut()) {
            *first = argv0.to_string();
        }
        let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_string();
        let (name, file) = (base(program), lossy(self.rootfs.view(id).name));
        let falls_back = self.falls_back(Some(family));
        let walk = StartWalk { depth: walk.depth + 1, ..walk.clone() };
        self.follow(log, Ran { name, file, id: Some(id), argv, falls_back, emulated: None }, &walk)
    }
}

#[cfg(test)]
mod tests {
    use crate::exec::tests::{short, tree};
    use crate::exec::{Exec, Trace, trace};
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::platform::{Arch, Node};

    const GLIBC: &str = "lib64/ld-linux-x86-64.so.2";
    const MUSL: &str = "lib/ld-musl-x86_64.so.1";

    fn run(words: &[&str]) -> Trace {
        let glibc = ElfBuilder::amd64().soname("ld-linux-x86-64.so.2").build();
        let musl = ElfBuilder::amd64().soname("libc.musl-x86_64.so.1").build();
        // The loader that the program names is not in the image.
        let program = |needed: &str| ElfBuilder::amd64().pie().interp("/lib64/none.so").needed(needed).build();
        let (needs, lacks) = (program("liba.so.1"), program("libgone.so.1"));
        let library = ElfBuilder::amd64().soname("liba.so.1").build();
        let foreign = ElfBuilder::arm64().build();
        let files: [(&str, u16, &[u8]); 8] = [
            (GLIBC, 0o755, &glibc),
            ("opt/ld-linux-x86-64.so.2", 0o755, &glibc),
            (MUSL, 0o755, &musl),
            // It need not be executable.
            ("opt/app", 0o644, &needs),
            ("opt/lacks", 0o755, &lacks),
            ("opt/lib/liba.so.1", 0o644, &library),
            ("opt/foreign", 0o755, &foreign),
            ("opt/text", 0o755, b"a text"),
        ];
        let argv = words.iter().map(|word| word.to_string()).collect();
        let call = Exec { argv, env: vec!["PATH=/bin".into()], working_dir: "/".into(), ..Exec::default() };
        trace(&tree(&files), &call, &Node::plain(Arch::Amd64))
    }

    fn check(words: &[&str], expected: &str, says: &str) {
        let trace = run(words);
        assert_eq!((short(&trace.outcome).as_str(), trace.says.join("\n").as_str()), (expected, says), "{trace:?}");
    }

    #[test]
    fn a_loader_runs_the_program_with_its_own_search() {
        let glibc = |words: &[&str], expected: &str, says: &str| {
            check(&[&["/lib64/ld-linux-x86-64.so.2"], words].concat(), expected, says);
        };
        glibc(&["--library-path", "/opt/lib", "/opt/app", "x"], "runs", "");
        // Where a loader outside its usual directory searches is not known.
        let own = "/opt/ld-linux-x86-64.so.2";
        check(&[own, "--library-path", "/opt/lib", "/opt/app"], "runs", "");
        check(&[own, "/opt/app"], "unknown library-unknown", "");
        glibc(&["--inhibit-cache", "--library-path", "/opt/lib", "--argv0", "a", "/opt/app"], "runs", "");
        let error = |program: &str, why: &str| format!("{program}: error while loading shared libraries: {why}");
        let absent = "cannot open shared object file: No such file or directory";
        glibc(&["/opt/app"], "exit 127 missing-library", &error("/opt/app", &format!("liba.so.1: {absent}")));
        glibc(
            &["--library-path", "/opt/lib", "/opt/lacks"],
            "exit 127 missing-library",
            &error("/opt/lacks", &format!("libgone.so.1: {absent}")),
        );
        glibc(&["/none"], "exit 127 missing-program", &error("/none", &format!("/none: {absent}")));
        let foreign = error("/opt/foreign", &format!("/opt/foreign: {absent}"));
        glibc(&["/opt/foreign"], "exit 127 foreign-architecture", &foreign);
        glibc(&["/opt/text"], "exit 127 not-elf", &error("/opt/text", "/opt/text: invalid ELF header"));
    }

    #[test]
    fn musls_loader_has_its_own_messages() {
        let loader = "/lib/ld-musl-x86_64.so.1";
        check(&[loader, "--library-path", "/opt/lib", "--", "/opt/app"], "runs", "");
        let missing = "/lib/ld-musl-x86_64.so.1: cannot load /none: No such file or directory";
        check(&[loader, "/none"], "exit 1 missing-program", missing);
        let invalid = "/lib/ld-musl-x86_64.so.1: /opt/text: Not a valid dynamic program";
        check(&[loader, "/opt/text"], "exit 1 not-elf", invalid);
    }
}
