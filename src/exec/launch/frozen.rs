//! Programs that PyInstaller built: they load the Python library from the directory next to them, or from their own
//! archive, which they extract to a temporary directory.
//! Source: PyInstaller's documentation, "What PyInstaller Does and How It Does It".

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::log::{Link, Log};
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::NodeKind;
use crate::inspect::{Elf, FileKind};

/// The start of PyInstaller's message.
const FAILURE: &str = "[PYI-1:ERROR] Failed to load Python shared library";
/// The directory to which a one-file program extracts its archive.
const EXTRACTED: &str = "/tmp/_MEIxxxxxx";
/// The archive of Python's own modules, which every such directory has.
const ARCHIVE: &str = "base_library.zip";

impl ExecMachine<'_> {
    /// How the program that was started last ends if it is PyInstaller's and its Python library cannot be loaded.
    pub(super) fn lacks_python_library(&self, log: &mut Log) -> Option<Outcome> {
        let program = log.steps.iter().rfind(|step| step.link != Link::Loader)?.path.clone()?;
        let id = self.rootfs.resolve(&program).ok()?;
        let Some(FileKind::Elf(elf)) = self.kind(id) else { return None };
        if let Some(libraries) = &elf.frozen {
            return self.lacks_for_python(log, &program, elf, libraries);
        }
        let (directory, _) = program.rsplit_once('/')?;
        // Since PyInstaller 6 the files are in their own directory.
        let places = [format!("{directory}/_internal"), directory.to_string()];
        let place = places.into_iter().find(|place| self.rootfs.resolve(format!("{place}/{ARCHIVE}")).is_ok())?;
        let children = self.rootfs.children(self.rootfs.resolve(&place).ok()?);
        let named: Vec<_> = children
            .filter(|view| view.name.starts_with(b"libpython") && view.name.windows(3).any(|part| part == b".so"))
            .map(|view| (format!("{place}/{}", String::from_utf8_lossy(view.name)), view.id))
            .collect();
        let mut refused = None;
        for (path, id) in &named {
            let Ok(id) = self.rootfs.resolve(path).map_err(|_| *id) else { continue };
            if self.rootfs.view(id).kind != NodeKind::File || self.rootfs.is_unread(id) {
                return None;
            }
            match self.kind(id) {
                Some(FileKind::Elf(library)) if library.arch() == elf.arch() => return None,
                Some(FileKind::Elf(library)) => {
                    refused = Some((path, CauseKind::ForeignLibrary, format!("is {}", library.describe())));
                }
                _ => refused = Some((path, CauseKind::BrokenLibrary, "is not an ELF file".to_string())),
            }
        }
        let (at, kind, text) = match refused {
            Some((path, kind, is)) => (path.clone(), kind, format!("it loads {path}, which {is}")),
            None => {
                let text = format!("it loads the Python library from {place}, which has none");
                (program, CauseKind::MissingLibrary, text)
            }
        };
        log.says.push(format!("{FAILURE} '{place}/libpython3.so'"));
        Some(Outcome::Dies { death: Death::Exit(255), at, cause: Cause { kind, text } })
    }

    /// How a one-file program ends whose Python library needs what the image does not have. `libraries`: those of its
    /// archive.
    fn lacks_for_python(&self, log: &mut Log, program: &str, own: &Elf, libraries: &[Elf]) -> Option<Outcome> {
        let is_named = |library: &Elf, name: &str| soname(library) == name;
        let Some(python) = libraries.iter().find(|library| soname(library).starts_with("libpython")) else {
            return log.open_end(program, "the Python library in its archive could not be read");
        };
        let mut objects = vec![python];
        let mut next = 0;
        let mut lack = None;
        while let Some(object) = objects.get(next).copied() {
            next += 1;
            let Some(dynamic) = &object.dynamic else { continue };
            if dynamic.is_partial {
                return log.open_end(program, "the libraries in its archive could not be read");
            }
            for name in &dynamic.needed {
                if let Some(inner) = libraries.iter().find(|library| is_named(library, name)) {
                    if !objects.iter().any(|known| is_named(known, name)) {
                        objects.push(inner);
                    }
                } else if self.images(own, name).is_empty() && !self.is_unread_name(name) {
                    let text = format!("{} in its archive needs {name}, which is not in the image", soname(object));
                    let says = format!("{name}: cannot open shared object file: No such file or directory");
                    lack = lack.or(Some((CauseKind::MissingLibrary, text, says)));
                }
            }
            let version =
                dynamic.wants.iter().filter(|(library, _)| !libraries.iter().any(|inner| is_named(inner, library)));
            let version = version.map(|(library, versions)| self.lacks_version(own, library, versions));
            lack = lack.or_else(|| {
                let (version, path) = version.flatten().next()?;
                let by = soname(object);
                let text = format!(
                    "it extracts {by} from its archive, which was linked against {version}; the image has {path}"
                );
                let says = format!("{path}: version `{version}' not found (required by {EXTRACTED}/{by})");
                Some((CauseKind::SymbolVersion, text, says))
            });
        }
        let (kind, text, says) = lack?;
        log.says.push(format!("{FAILURE} '{EXTRACTED}/{}': {says}", soname(python)));
        Some(Outcome::Dies { death: Death::Exit(255), at: program.to_string(), cause: Cause { kind, text } })
    }

    /// The first of the versions that no library of that name in the image has, and the library's path.
    fn lacks_version(&self, own: &Elf, library: &str, versions: &[(String, bool)]) -> Option<(String, String)> {
        let found = self.images(own, library);
        let offers: Vec<&Vec<String>> = found.iter().filter_map(|(_, elf)| offers(elf)).collect();
        // A library without versions satisfies every version.
        let (path, _) = found.first().filter(|_| offers.len() == found.len())?;
        let lacks = |version: &&(String, bool)| !version.1 && !offers.iter().any(|offers| offers.contains(&version.0));
        versions.iter().find(lacks).map(|(version, _)| (version.clone(), path.clone()))
    }

    /// The libraries of the image with that file name, for the architecture of `own`.
    fn images(&self, own: &Elf, name: &str) -> Vec<(String, &Elf)> {
        let views = self.rootfs.named(name.as_bytes());
        let found = views.filter_map(|view| {
            let path = self.rootfs.path(view.id);
            let FileKind::Elf(elf) = self.kind(self.rootfs.resolve(&path).ok()?)? else { return None };
            (elf.arch() == own.arch()).then(|| (String::from_utf8_lossy(&path).into_owned(), &**elf))
        });
        found.collect()
    }

    /// Whether the image has a file or link of that name whose content is not known.
    fn is_unread_name(&self, name: &str) -> bool {
        self.rootfs.named(name.as_bytes()).any(|view| {
            let target = self.rootfs.resolve(self.rootfs.path(view.id));
            target.is_ok_and(|id| self.rootfs.is_unread(id))
        })
    }
}

fn soname(elf: &Elf) -> &str {
    elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref()).unwrap_or_default()
}

fn offers(elf: &Elf) -> Option<&Vec<String>> {
    let dynamic = elf.dynamic.as_ref().filter(|dynamic| !dynamic.is_partial)?;
    dynamic.offers.as_ref().filter(|offers| !offers.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::exec::tests::{call, short, tree};
    use crate::exec::trace;
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::platform::{Arch, Node};

    /// Seen with PyInstaller 6 and Python 3.11: exit code 255.
    #[test]
    fn a_frozen_program_loads_the_python_library_next_to_it() {
        let (own, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
        let run = |extra: &[(&str, &[u8])]| {
            let mut files: Vec<(&str, u16, &[u8])> = vec![("app/tool", 0o755, &own)];
            files.extend(extra.iter().map(|(path, bytes)| (*path, 0o644, *bytes)));
            short(&trace(&tree(&files), &call(&["/app/tool"]), &Node::plain(Arch::Amd64)).outcome)
        };
        let library = "app/_internal/libpython3.11.so.1.0";
        let archive: (&str, &[u8]) = ("app/_internal/base_library.zip", b"PK\x05\x06");
        assert_eq!(run(&[archive, (library, &own)]), "runs");
        assert_eq!(run(&[archive]), "exit 255 missing-library");
        assert_eq!(run(&[archive, (library, &foreign)]), "exit 255 foreign-library");
        assert_eq!(run(&[archive, (library, b"a text")]), "exit 255 broken-library");
        // Before PyInstaller 6.
        let flat: (&str, &[u8]) = ("app/base_library.zip", b"PK\x05\x06");
        assert_eq!(run(&[flat, ("app/libpython3.9.so.1.0", &own)]), "runs");
        assert_eq!(run(&[flat]), "exit 255 missing-library");
        assert_eq!(run(&[(library, &foreign)]), "runs");
    }

    /// Seen with PyInstaller 6.17 on glibc 2.31: exit code 255, "version `GLIBC_2.35' not found".
    #[test]
    fn a_one_file_program_extracts_a_python_library_that_the_image_can_load() {
        let libc = |version: &str| ElfBuilder::amd64().soname("libm.so.6").offers(version).build();
        let run = |library: &ElfBuilder, libc: &[u8]| {
            let library = library.clone().soname("libpython3.11.so.1.0").build();
            let program = ElfBuilder::amd64().interp("/lib64/ld-linux-x86-64.so.2").needed("ld-linux-x86-64.so.2");
            let mut program = program.build();
            for entry in [&b"\xe3\0\0\0\0"[..], &library] {
                let mut encoder = flate2::write::ZlibEncoder::new(&mut program, flate2::Compression::best());
                encoder.write_all(entry).unwrap();
            }
            program.extend(vec![0; 1 << 20]);
            let loader = ElfBuilder::amd64().soname("ld-linux-x86-64.so.2").build();
            let files = [
                ("tool", 0o755, program.as_slice()),
                ("lib64/ld-linux-x86-64.so.2", 0o755, &loader),
                ("lib64/libm.so.6", 0o644, libc),
            ];
            short(&trace(&tree(&files), &call(&["/tool"]), &Node::plain(Arch::Amd64)).outcome)
        };
        let python = ElfBuilder::amd64().needed("libm.so.6").wants("libm.so.6", "GLIBC_2.35", false);
        assert_eq!(run(&python, &libc("GLIBC_2.35")), "runs");
        assert_eq!(run(&python, &libc("GLIBC_2.31")), "exit 255 symbol-version");
        assert_eq!(run(&python.needed("libtcl8.6.so"), &libc("GLIBC_2.35")), "exit 255 missing-library");
    }
}
