//! A directory that PyInstaller built: its program loads the Python library next to it.
//! Source: PyInstaller's documentation, "What PyInstaller Does and How It Does It".

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::log::{Link, Log};
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::NodeKind;
use crate::inspect::FileKind;

/// The archive of Python's own modules, which every such directory has.
const ARCHIVE: &str = "base_library.zip";

impl ExecMachine<'_> {
    /// How the program that was started last ends if it is PyInstaller's and its Python library cannot be loaded.
    pub(super) fn lacks_python_library(&self, log: &mut Log) -> Option<Outcome> {
        let program = log.steps.iter().rfind(|step| step.link != Link::Loader)?.path.clone()?;
        let id = self.rootfs.resolve(&program).ok()?;
        let Some(FileKind::Elf(elf)) = self.kind(id) else { return None };
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
        log.says.push(format!("[PYI-1:ERROR] Failed to load Python shared library '{place}/libpython3.so'"));
        Some(Outcome::Dies { death: Death::Exit(255), at, cause: Cause { kind, text } })
    }
}

#[cfg(test)]
mod tests {
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
}
