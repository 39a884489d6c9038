//! One execve, from a path to a program in memory. Tries the formats in the kernel's order, again for each interpreter.
//! Source: fs/exec.c `exec_binprm`, `search_binary_handler`; fs/binfmt_script.c; fs/binfmt_misc.c.

use std::rc::Rc;

use crate::exec::kernel::access::{self, OpenRefusal, Who};
use crate::exec::kernel::assumed::{Assumed, AssumedFacts};
use crate::exec::kernel::changes::FileChanges;
use crate::exec::kernel::cwd::Cwd;
use crate::exec::kernel::elf::{self, AcceptedProgram};
use crate::exec::kernel::exec_error::ExecError;
use crate::exec::kernel::why::{describe, missing_loader, not_a_program, refused, with_node};
use crate::exec::kernel::{map, misc};
use crate::exec::log::{Link, Log, NOT_OPENED, OpenedFile};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Errno, Outcome};
use crate::image::{NodeId, RootFs};
use crate::inspect::{Elf, FileKind, ShebangError, ShebangFile};
use crate::platform::compat::{self, KernelCompat};
use crate::platform::{Arch, Capabilities, Handler, Node};

/// A sixth rewrite of the program is refused. Source: fs/exec.c `exec_binprm`: `depth > 5`.
const MAX_REWRITES: usize = 5;

/// The node, root file system, user and working directory that an execve runs with.
pub(crate) struct ExecMachine<'a> {
    pub rootfs: &'a RootFs<FileKind>,
    pub node: &'a Node,
    pub kernel: &'static KernelCompat,
    pub who: Who,
    pub cwd: Cwd,
    /// What earlier commands changed in the owners and modes of files.
    pub changes: Rc<FileChanges>,
    pub assumed: Assumed,
}

/// A program in memory, about to run its first instruction.
#[derive(Debug)]
pub(crate) struct LoadedProgram<'a> {
    /// The program's file and the path by which it was opened.
    pub id: NodeId,
    pub path: Vec<u8>,
    pub elf: &'a Elf,
    pub loader: Option<(Vec<u8>, NodeId, &'a Elf)>,
    pub abi: &'static compat::Abi,
    /// As the program sees them, with interpreters and scripts prepended.
    pub argv: Vec<Vec<u8>>,
}

/// What the handlers' flags request: the program's file opened for the interpreter, and its credentials.
#[derive(Debug, Default)]
struct OpenedBinary {
    is_open: bool,
    credentials: Option<NodeId>,
}

/// The result of an execve.
#[derive(Debug)]
pub(crate) enum Execed<'a> {
    Started(Box<LoadedProgram<'a>>),
    /// A handler outside the image runs this file, which is a program of another architecture or not ELF.
    Handled {
        by: String,
        guest: Option<(Arch, NodeId)>,
        argv: Vec<Vec<u8>>,
        path: Vec<u8>,
    },
    Ended(Outcome),
}

impl<'a> ExecMachine<'a> {
    pub(crate) fn kind(&self, id: NodeId) -> Option<&'a FileKind> {
        self.rootfs.view(id).fact
    }

    /// Opens a file for execution. docker and containerd open a container's first program with CAP_DAC_OVERRIDE, even
    /// for a user other than root. Other engines do not.
    pub(crate) fn open(&self, log: &mut Log, path: &[u8]) -> Result<NodeId, OpenRefusal> {
        let own = access::open_exec(self.rootfs, (&self.who, &self.changes), &self.cwd, path);
        let Err(refusal) = own else { return own };
        if !log.overrides {
            return Err(refusal);
        }
        let opened = access::open_exec(self.rootfs, (&Who::Root, &self.changes), &self.cwd, path)?;
        if refusal.errno.is_some() {
            let text = format!(
                "{}; docker and containerd start it, because a container's first program keeps CAP_DAC_OVERRIDE, but \
                 podman and pods that drop capabilities do not",
                refusal.cause.text
            );
            log.doubt(CauseKind::NeedsOverride, text);
        }
        Ok(opened)
    }

    /// Runs execve on a path with the arguments of the call.
    pub(crate) fn exec(&self, log: &mut Log, path: &[u8], argv: &[Vec<u8>], link: Link) -> Execed<'a> {
        let mut argv = argv.to_vec();
        let mut path = path.to_vec();
        let mut link = link;
        let mut binary = OpenedBinary::default();
        for rewrites in 0.. {
            let id = match self.open(log, &path) {
                Ok(id) => id,
                Err(refusal) => {
                    self.step(log, &path, None, NOT_OPENED, link.clone());
                    return Execed::Ended(refused(refusal, &path, &link));
                }
            };
            self.step(log, &path, Some(id), &describe(self.kind(id)), link);
            if rewrites > MAX_REWRITES {
                let text = "more than five nested interpreters".to_string();
                return Execed::Ended(Outcome::fails(
                    Errno::ELOOP,
                    &path,
                    Cause { kind: CauseKind::TooManyInterpreters, text },
                ));
            }
            let next = match misc::meet(&self.node.handlers, self.kind(id), &path) {
                misc::Met::Handler(handler) => match self.handle(log, handler, id, &path, &mut argv, &mut binary) {
                    Ok(next) => next,
                    Err(execed) => return *execed,
                },
                misc::Met::Perhaps(handler) => {
                    let text = format!(
                        "whether the handler {} matches this file depends on bytes that were not kept",
                        handler.name
                    );
                    return Execed::Ended(Outcome::Unknown {
                        at: lossy(&path),
                        cause: Cause { kind: CauseKind::HandlerUnknown, text },
                    });
                }
                misc::Met::NoHandler => match self.kind(id) {
                    Some(FileKind::Script(script)) => match interpret(script, &path, &mut argv) {
                        Ok(interpreter) => (interpreter, Link::Shebang),
                        Err(outcome) => return Execed::Ended(outcome),
                    },
                    Some(FileKind::Elf(elf)) => {
                        return self.load(log, (id, &path), elf, argv, Some(binary.credentials.unwrap_or(id)));
                    }
                    kind => return Execed::Ended(Outcome::fails(Errno::ENOEXEC, &path, not_a_program(kind))),
                },
            };
            (path, link) = next;
        }
        unreachable!("the loop ends at the sixth rewrite")
    }

    /// Applies a handler that matches the file. Either the kernel continues with the handler's interpreter in the
    /// image, or the interpreter is outside the image and the model stops.
    fn handle(
        &self,
        log: &mut Log,
        handler: &Handler,
        id: NodeId,
        path: &[u8],
        argv: &mut Vec<Vec<u8>>,
        binary: &mut OpenedBinary,
    ) -> Result<(Vec<u8>, Link), Box<Execed<'a>>> {
        let interpreter = handler.interpreter.clone().into_bytes();
        if !handler.preserve_argv0 && !argv.is_empty() {
            argv.remove(0);
        }
        argv.insert(0, path.to_vec());
        argv.insert(0, interpreter.clone());
        let opens_binary = handler.open_binary || handler.credentials;
        if opens_binary && binary.is_open {
            let text = "two nested handlers both need the program's file".to_string();
            let cause = Cause { kind: CauseKind::TooManyHandlers, text };
            return Err(Box::new(Execed::Ended(Outcome::fails(Errno::ENOEXEC, path, cause))));
        }
        binary.is_open |= opens_binary;
        if handler.credentials {
            binary.credentials = Some(id);
        }
        if !handler.fixed {
            return Ok((interpreter, Link::Handler(handler.name.clone())));
        }
        if let Some(credentials) = binary.credentials {
            self.take_credentials(log, credentials, path).map_err(|outcome| Box::new(Execed::Ended(outcome)))?;
        }
        let guest = match self.kind(id) {
            Some(FileKind::Elf(elf)) => elf.arch().map(|arch| (arch, id)),
            _ => None,
        };
        if handler.is_static.known() == Some(false) && self.rootfs.resolve(self.kernel.arch.row().glibc_loader).is_err()
        {
            let loader = self.kernel.arch.row().glibc_loader;
            let text = format!(
                "the handler {} is dynamically linked, but its loader {loader} is not in the image",
                handler.name
            );
            let outcome =
                Outcome::fails(Errno::ENOENT, loader.as_bytes(), Cause { kind: CauseKind::MissingHandlerLoader, text });
            return Err(Box::new(Execed::Ended(outcome)));
        }
        self.step(
            log,
            &interpreter,
            None,
            "the handler's interpreter, outside the image",
            Link::Handler(handler.name.clone()),
        );
        let by = handler.name.clone();
        Err(Box::new(Execed::Handled { by, guest, argv: argv.clone(), path: path.to_vec() }))
    }

    /// `credentials`: the file whose capabilities the process gets. `None` if a running program maps the file itself.
    pub(crate) fn load(
        &self,
        log: &mut Log,
        (id, path): (NodeId, &[u8]),
        elf: &'a Elf,
        argv: Vec<Vec<u8>>,
        credentials: Option<NodeId>,
    ) -> Execed<'a> {
        let (outcome, mut argv) = match self.load_elf(log, (id, path), elf, argv.clone(), credentials) {
            Ok(started) => return Execed::Started(Box::new(started)),
            Err(outcome) => (outcome, argv),
        };
        let is_foreign = matches!(&outcome, Outcome::Fails { errno: Errno::ENOEXEC, .. });
        match elf.arch().filter(|arch| is_foreign && self.node.emulates.contains(arch)) {
            Some(arch) => {
                argv.splice(
                    0..argv.len().min(1),
                    [format!("qemu-{}", arch.row().uname[0]).into_bytes(), path.to_vec()],
                );
                let by = format!("an emulator declared for {arch}");
                Execed::Handled { by, guest: Some((arch, id)), argv, path: path.to_vec() }
            }
            None => Execed::Ended(outcome),
        }
    }

    /// A program that a C library's loader maps itself, given in the loader's arguments.
    pub(crate) fn by_loader(
        &self,
        log: &mut Log,
        (id, path): (NodeId, &[u8]),
        elf: &'a Elf,
        loader: (Vec<u8>, NodeId, &'a Elf),
        argv: Vec<Vec<u8>>,
    ) -> Result<LoadedProgram<'a>, Outcome> {
        let accepted = elf::accept(elf, self.kernel, &mut self.facts(log))
            .map_err(|refusal| Outcome::fails(refusal.errno, path, with_node(refusal.cause, self.kernel, self.node)))?;
        Ok(LoadedProgram { id, path: path.to_vec(), elf, loader: Some(loader), abi: accepted.abi, argv })
    }

    fn load_elf(
        &self,
        log: &mut Log,
        (id, path): (NodeId, &[u8]),
        elf: &'a Elf,
        argv: Vec<Vec<u8>>,
        credentials: Option<NodeId>,
    ) -> Result<LoadedProgram<'a>, Outcome> {
        let fails = |refusal: ExecError| Outcome::fails(refusal.errno, path, refusal.cause);
        let accepted = elf::accept(elf, self.kernel, &mut self.facts(log))
            .map_err(|refusal| Outcome::fails(refusal.errno, path, with_node(refusal.cause, self.kernel, self.node)))?;
        let loader = match elf::loader_path(elf).map_err(fails)? {
            Some(loader) => Some(self.open_loader(log, loader, &accepted)?),
            None => None,
        };
        elf::check_last(elf, loader.as_ref().map(|(_, _, elf)| *elf), accepted.abi, self.kernel).map_err(fails)?;
        if let Some(credentials) = credentials {
            self.take_credentials(log, credentials, path)?;
        }
        let started = LoadedProgram { id, path: path.to_vec(), elf, loader, abi: accepted.abi, argv };
        self.map(log, &started, &accepted)?;
        Ok(started)
    }

    fn open_loader(
        &self,
        log: &mut Log,
        path: &[u8],
        program: &AcceptedProgram,
    ) -> Result<(Vec<u8>, NodeId, &'a Elf), Outcome> {
        let id = self.open(log, path).map_err(|refusal| {
            self.step(log, path, None, NOT_OPENED, Link::Loader);
            let outcome = refused(refusal, path, &Link::Loader);
            missing_loader(outcome, path, program)
        })?;
        self.step(log, path, Some(id), &describe(self.kind(id)), Link::Loader);
        let size = self.rootfs.view(id).size;
        let elf = elf::check_loader(self.kind(id), size, program, self.kernel, &mut self.facts(log))
            .map_err(|refusal| Outcome::fails(refusal.errno, path, refusal.cause))?;
        Ok((path.to_vec(), id, elf))
    }

    /// Maps the program and its loader, and enters the one that runs first. If the page size is not known, the most
    /// common one decides, and a program that another one kills gets a doubt.
    fn map(&self, log: &mut Log, started: &LoadedProgram<'a>, program: &AcceptedProgram) -> Result<(), Outcome> {
        let at = |page| self.map_on(started, program, page);
        let result = at(self.assumed.page);
        if self.node.page_size.known().is_none() {
            let other = self.kernel.page_sizes.iter().find_map(|page| Some((*page, at(*page).err()?)));
            if let (Ok(()), Some((page, outcome))) = (&result, other) {
                let why = outcome.cause().map_or("", |cause| cause.text.as_str()).to_string();
                let text =
                    format!("this node's page size is not known; a node with {} pages kills it: {why}", map::kib(page));
                log.doubt(CauseKind::PageSize, text);
            }
        }
        result
    }

    fn map_on(&self, started: &LoadedProgram<'a>, program: &AcceptedProgram, page: u64) -> Result<(), Outcome> {
        let terms = self.terms(started, page);
        let place = if started.loader.is_some() { map::Placement::Program } else { map::Placement::Alone };
        let at_program = |killed: map::Killed| killed.outcome(&started.path);
        let space = map::map(started.elf, &terms, place).map_err(at_program)?;
        let entered = match &started.loader {
            None => space
                .enter(program.header.entry)
                .and_then(|()| map::check_needs_nothing(started.elf, started.argv.len().saturating_sub(1)))
                .map_err(at_program),
            Some((path, _, loader)) => {
                let at_loader = |killed: map::Killed| killed.outcome(path);
                let loaded = map::map_loader(loader, &terms).map_err(at_loader)?;
                loaded.enter(loader.entry).and_then(|()| map::check_alone(loader)).map_err(at_loader)
            }
        };
        if terms.abi.arch == Arch::Ppc64le && program.header.flags & 3 != 2 {
            let text =
                "its header does not declare ELFv2, so the kernel reads its first instructions as a function address"
                    .to_string();
            return Err(Outcome::killed(11, &started.path, Cause { kind: CauseKind::BadEntry, text }));
        }
        match terms.abi.arch {
            // On big-endian POWER the entry may be a descriptor in the data segment, not code.
            Arch::Ppc64 => Ok(()),
            _ => entered.and_then(|()| space.check_sure().map_err(at_program)),
        }
    }

    fn facts<'f>(&'f self, log: &'f mut Log) -> AssumedFacts<'f> {
        AssumedFacts { assumed: &self.assumed, asked: &mut log.asked }
    }

    /// Returns the parameters for mapping a process that is about to start.
    pub(crate) fn terms(&self, started: &LoadedProgram<'a>, page: u64) -> map::Terms {
        map::Terms {
            abi: started.abi,
            page,
            read_implies_exec: map::read_implies_exec(started.elf, started.abi),
            may_map_low: self.who == Who::Root && self.node.bounding.contains(Capabilities::SYS_RAWIO),
        }
    }

    fn step(&self, log: &mut Log, typed: &[u8], id: Option<NodeId>, what: &str, link: Link) {
        let path = id.map(|id| lossy(&self.rootfs.path(id)));
        log.steps.push(OpenedFile { typed: lossy(typed), path, what: what.to_string(), link });
    }
}

/// `load_script`: returns the interpreter's path and rewrites the arguments for it.
fn interpret(script: &ShebangFile, path: &[u8], argv: &mut Vec<Vec<u8>>) -> Result<Vec<u8>, Outcome> {
    let refuse = |kind, text: &str| Outcome::fails(Errno::ENOEXEC, path, Cause { kind, text: text.to_string() });
    let shebang = match &script.shebang {
        Ok(shebang) => shebang,
        Err(ShebangError::Empty) => {
            return Err(refuse(CauseKind::EmptyShebang, "its #! line does not name an interpreter"));
        }
        Err(ShebangError::TooLong) => {
            return Err(refuse(
                CauseKind::LongShebang,
                "its interpreter's path does not end within the first 256 bytes",
            ));
        }
    };
    if !argv.is_empty() {
        argv.remove(0);
    }
    argv.insert(0, path.to_vec());
    if let Some(argument) = &shebang.argument {
        argv.insert(0, argument.clone());
    }
    argv.insert(0, shebang.interpreter.clone());
    Ok(shebang.interpreter.clone())
}
