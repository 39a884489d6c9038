//! Models the steps between execve and the program's own code: its loader, its libraries, its CPU.

use std::rc::Rc;

use crate::exec::cpu::code::{self, CodeCheck};
use crate::exec::cpu::notes;
use crate::exec::kernel::assumed::assume;
use crate::exec::kernel::binfmt::{ExecMachine, Execed, LoadedProgram};
use crate::exec::kernel::map;
use crate::exec::launch::walk::Ran;
use crate::exec::loader::{self, Ended, Loaded};
use crate::exec::log::{Link, Log};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::NodeId;
use crate::inspect::{FileKind, PT_DYNAMIC};
use crate::platform::{Arch, Capabilities, Node, compat};

impl<'a> ExecMachine<'a> {
    /// Runs execve and the steps after it, up to the program's own code.
    pub(crate) fn start(
        &self,
        log: &mut Log,
        path: &[u8],
        argv: &[Vec<u8>],
        env: &[String],
        link: Link,
    ) -> Result<Ran, Outcome> {
        let words = |argv: &[Vec<u8>]| argv.iter().map(|word| lossy(word)).collect();
        let base = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().map_or(String::new(), lossy);
        match self.exec(log, path, argv, link) {
            Execed::Started(started) => {
                log.overrides = false;
                self.load_libraries(log, &started, env)?;
                let family = started.loader.as_ref().and_then(|named| loader::family(self.rootfs, named));
                let falls_back = self.falls_back(family);
                let file = lossy(self.rootfs.view(started.id).name);
                let (name, argv, id) = (base(&started.path), words(&started.argv), Some(started.id));
                Ok(Ran { name, file, id, argv, falls_back, emulated: None })
            }
            Execed::Handled { by, guest, argv, path } => {
                let name = argv.first().map_or(by.clone(), |path| base(path));
                let file = match guest {
                    Some((arch, id)) => {
                        self.emulate(log, arch, (id, &path), (&name, env))?;
                        lossy(self.rootfs.view(id).name)
                    }
                    None => String::new(),
                };
                let argv = argv.get(1..).map_or_else(Vec::new, words);
                let id = guest.map(|(_, id)| id);
                Ok(Ran { name: base(&path), file, id, argv, falls_back: false, emulated: Some(by) })
            }
            Execed::Ended(outcome) => Err(outcome),
        }
    }

    /// Loads the libraries of a started program and checks its CPU requirements. `env` is the program's environment.
    pub(crate) fn load_libraries(
        &self,
        log: &mut Log,
        started: &LoadedProgram<'a>,
        env: &[String],
    ) -> Result<(), Outcome> {
        let page = self.assumed.page;
        let loaded =
            loader::load(self.rootfs, started, (&self.cwd, &self.who, &self.changes), env, (page, self.node.isa))
                .map_err(|ended| log.end(ended.outcome, ended.says))?;
        if let Some(loaded) = &loaded {
            self.doubt_pages(log, started, loaded);
            self.doubt_partial(started)?;
            self.enter_program(started)?;
        }
        let verdict = notes::check(self.rootfs, started, loaded.as_ref(), self.node);
        let checked = code::check(started, loaded.as_ref(), self.node);
        // An instruction that ends the program says more than the level in its notes.
        let is_said = |doubt: &Cause| doubt.kind == CauseKind::CpuLevel && matches!(checked, Some(CodeCheck::Ends(_)));
        log.doubts.extend(verdict.doubts.into_iter().filter(|doubt| !is_said(doubt)));
        if let Some((outcome, says)) = verdict.ends {
            return Err(log.end(outcome, says));
        }
        match checked {
            Some(CodeCheck::Ends(outcome)) => Err(outcome),
            Some(CodeCheck::Doubt(doubt)) => {
                log.doubts.push(doubt);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Checks the program's own entry point, which the loader jumps to last.
    fn enter_program(&self, started: &LoadedProgram<'a>) -> Result<(), Outcome> {
        if started.abi.arch == Arch::Ppc64 {
            return Ok(());
        }
        let killed = |killed: map::Killed| killed.outcome(&started.path);
        let terms = self.terms(started, self.assumed.page);
        let space = map::map(started.elf, &terms, map::Placement::Program).map_err(killed)?;
        space.enter(started.elf.entry).map_err(killed)
    }

    /// If the node's page size is not known, records a doubt about libraries that do not fit one of the possible sizes.
    fn doubt_pages(&self, log: &mut Log, started: &LoadedProgram<'a>, loaded: &Loaded<'a>) {
        if self.node.page_size.known().is_some() {
            return;
        }
        let ended = self.kernel.page_sizes.iter().find_map(|page| {
            let started = (started, loaded.family);
            loaded.objects.iter().skip(2).find_map(|object| loader::check_pages(object, started, *page).err())
        });
        if let Some(Ended { outcome, .. }) = ended {
            let why = outcome.cause().map_or("", |cause| cause.text.as_str()).to_string();
            let text = format!("this node's page size is not known; {why}");
            log.doubt(CauseKind::PageSize, text);
        }
    }

    /// A dynamic section that was not read completely makes the libraries unknown.
    fn doubt_partial(&self, started: &LoadedProgram<'a>) -> Result<(), Outcome> {
        let has_segment = started.elf.segments.iter().any(|segment| segment.p_type == PT_DYNAMIC);
        match &started.elf.dynamic {
            None if has_segment => {
                let text = "its dynamic section could not be read, so its libraries are not known".to_string();
                Err(Outcome::Unknown {
                    at: lossy(&started.path),
                    cause: Cause { kind: CauseKind::LibraryUnknown, text },
                })
            }
            Some(dynamic) if dynamic.is_partial => {
                let text = "its dynamic section was not read completely, so it may need more libraries".to_string();
                Err(Outcome::Unknown {
                    at: lossy(&started.path),
                    cause: Cause { kind: CauseKind::LibraryUnknown, text },
                })
            }
            _ => Ok(()),
        }
    }

    /// Starts a program of another architecture under an emulator. `by` is the emulator's name in its messages. It maps
    /// the program as that architecture's kernel would, and opens its loader itself.
    pub(crate) fn emulate(
        &self,
        log: &mut Log,
        arch: Arch,
        (id, path): (NodeId, &[u8]),
        (by, env): (&str, &[String]),
    ) -> Result<(), Outcome> {
        let Some(FileKind::Elf(elf)) = self.kind(id) else { return Ok(()) };
        // Emulators can map low addresses without the kernel's limit.
        let bounding = Capabilities::all();
        let node = Node { page_size: self.node.page_size, bounding, ..Node::plain(arch) };
        let kernel = compat::kernel(arch);
        let guest = ExecMachine {
            rootfs: self.rootfs,
            node: &node,
            kernel,
            who: self.who.clone(),
            cwd: self.cwd.clone(),
            changes: Rc::clone(&self.changes),
            assumed: assume(&node, kernel, None),
        };
        let mut own = Log::default();
        let outcome = match guest.load(&mut own, (id, path), elf, vec![path.to_vec()], None) {
            Execed::Started(started) => guest.load_libraries(&mut own, &started, env).err(),
            Execed::Handled { .. } => None,
            Execed::Ended(outcome) => Some(outcome),
        };
        log.steps.extend(own.steps);
        log.says.extend(own.says);
        match outcome {
            // Where the kernel would refuse, the emulator exits.
            Some(Outcome::Fails { at, cause, errno }) => {
                log.says.push(format!("{by}: Could not open '{at}': {}", errno.strerror()));
                Err(Outcome::Dies { death: Death::Exit(255), at, cause })
            }
            Some(outcome) => Err(outcome),
            None => Ok(()),
        }
    }
}
