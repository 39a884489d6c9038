//! The programs and libraries of a file, for any system, and how each fits a platform.

use std::collections::BTreeMap;

use super::claim::{NameClaim, System};
use crate::image::RootFs;
use crate::inspect::{FileKind, MachO, NativeKind, Pe};
use crate::judge::facts::programs::{self, Fit, JudgedProgram, Programs};
use crate::judge::facts::purpose::{ForeignFile, PurposeFormat};
use crate::judge::facts::tokens::{self, PathPlatform};
use crate::platform::{Arch, Node};

/// A program or library in machine code.
pub struct NativeFile<'a> {
    pub path: String,
    /// The platform that the path names.
    platform: Option<PathPlatform>,
    pub code: MachineCode<'a>,
}

/// Machine code by its format.
pub enum MachineCode<'a> {
    Elf(&'a JudgedProgram<'a>),
    Pe(&'a Pe),
    MachO(&'a MachO),
    /// An ELF file of which only the architecture is known: a member of a zip inside a script.
    Bare(Arch),
}

/// How a native file fits a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlatformFit {
    /// It is for the platform.
    Own,
    /// The platform runs it in addition to its own programs: 32-bit programs, and those of another architecture by
    /// emulation that the system includes.
    Compatible,
    Foreign,
}

/// EI_OSABI of NetBSD, Solaris, FreeBSD and OpenBSD.
const BSD_ABIS: &[u8] = &[2, 6, 9, 12];

impl<'a> NativeFile<'a> {
    fn new(path: String, code: MachineCode<'a>) -> NativeFile<'a> {
        NativeFile { platform: tokens::read(&path), path, code }
    }

    /// Every native of a file, ordered by path.
    pub fn all(rootfs: &'a RootFs<FileKind>, programs: &'a Programs<'a>) -> Vec<NativeFile<'a>> {
        let mut all: Vec<NativeFile<'a>> = programs
            .runnable()
            .map(|program| NativeFile::new(program.path.clone(), MachineCode::Elf(program)))
            .collect();
        for view in rootfs.files_with_facts() {
            let path = || String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
            match view.fact {
                // An assembly of intermediate language runs on every platform of its runtime.
                Some(FileKind::Pe(pe)) if !pe.is_dotnet => all.push(NativeFile::new(path(), MachineCode::Pe(pe))),
                // An object file is input for a linker.
                Some(FileKind::MachO(mach)) if mach.filetype != 1 => {
                    all.push(NativeFile::new(path(), MachineCode::MachO(mach)));
                }
                Some(FileKind::Script(script)) => {
                    let members = script.zip.iter().flat_map(|zip| &zip.natives);
                    all.extend(members.filter_map(|(name, native)| match native {
                        NativeKind::Elf { arch: Some(arch), e_type: 2 | 3, .. } => {
                            Some(NativeFile::new(format!("{}!/{name}", path()), MachineCode::Bare(*arch)))
                        }
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    pub fn arch(&self) -> Option<Arch> {
        match &self.code {
            MachineCode::Elf(program) => program.elf.arch(),
            MachineCode::Pe(pe) => pe.arch,
            MachineCode::MachO(mach) => mach_arch(mach.cpus.first()?),
            MachineCode::Bare(arch) => Some(*arch),
        }
    }

    /// The system that runs it, as far as its format shows.
    pub fn system(&self) -> Option<System> {
        match &self.code {
            MachineCode::Elf(program) if program.elf.osabi == 9 => Some(System::FreeBsd),
            MachineCode::Elf(program) if BSD_ABIS.contains(&program.elf.osabi) => Some(System::Other),
            MachineCode::Elf(program) => {
                let is_linux = program.elf.loader().is_some_and(|loader| loader.windows(3).any(|part| part == b"/ld"));
                is_linux.then_some(System::Linux)
            }
            MachineCode::Bare(_) => None,
            MachineCode::Pe(_) => Some(System::Windows),
            MachineCode::MachO(_) => Some(System::Darwin),
        }
    }

    /// "x86-64", "macOS arm64", "Windows AArch64".
    pub fn shown(&self) -> String {
        match &self.code {
            MachineCode::Elf(program) => match self.system() {
                Some(System::FreeBsd) => format!("FreeBSD {}", program.arch_name()),
                _ => program.arch_name(),
            },
            MachineCode::Pe(pe) => {
                format!(
                    "Windows {}",
                    pe.arch.map_or_else(|| format!("machine {}", pe.machine), |arch| arch.name().to_string())
                )
            }
            MachineCode::MachO(mach) => format!("macOS {}", mach.cpus.join(", ")),
            MachineCode::Bare(arch) => arch.name().to_string(),
        }
    }

    pub fn suspect(&self) -> Option<ForeignFile<'_>> {
        let format = match &self.code {
            MachineCode::Elf(program) => PurposeFormat::Elf(program),
            MachineCode::Pe(pe) => PurposeFormat::Pe(pe),
            MachineCode::MachO(mach) => PurposeFormat::MachO(mach),
            MachineCode::Bare(_) => return None,
        };
        Some(ForeignFile { path: &self.path, platform: self.platform.as_ref(), format })
    }

    /// How it fits `claim`. `node`: the platform's machine, if known.
    pub fn fit(&self, claim: &NameClaim, node: Option<&Node>) -> PlatformFit {
        let is_system = |own: System| claim.system.is_none_or(|system| system == own);
        let has = |arch: Option<Arch>| claim.archs.is_empty() || arch.is_some_and(|arch| claim.archs.contains(&arch));
        match &self.code {
            MachineCode::Elf(program) => {
                let is_elsewhere = match claim.system {
                    None | Some(System::Other) => false,
                    Some(System::Linux) => BSD_ABIS.contains(&program.elf.osabi),
                    Some(System::FreeBsd) => self.system() == Some(System::Linux),
                    Some(System::Darwin | System::Windows) => true,
                };
                match (is_elsewhere, has(program.elf.arch())) {
                    (true, _) => PlatformFit::Foreign,
                    (false, true) => PlatformFit::Own,
                    (false, false) if node.is_some_and(|node| programs::fit(program.elf, node) < Fit::Foreign) => {
                        PlatformFit::Compatible
                    }
                    (false, false) => PlatformFit::Foreign,
                }
            }
            MachineCode::Bare(arch) => match claim.system {
                Some(System::Darwin | System::Windows) => PlatformFit::Foreign,
                _ if has(Some(*arch)) => PlatformFit::Own,
                _ => PlatformFit::Foreign,
            },
            MachineCode::MachO(mach) => {
                let archs: Vec<Arch> = mach.cpus.iter().filter_map(|cpu| mach_arch(cpu)).collect();
                match is_system(System::Darwin) {
                    true if claim.archs.is_empty() || archs.iter().any(|arch| claim.archs.contains(arch)) => {
                        PlatformFit::Own
                    }
                    // Rosetta.
                    true if claim.archs.contains(&Arch::Arm64) && archs.contains(&Arch::Amd64) => {
                        PlatformFit::Compatible
                    }
                    _ => PlatformFit::Foreign,
                }
            }
            MachineCode::Pe(pe) => {
                let runs = |on: &Arch| {
                    matches!(
                        (pe.arch, on),
                        (Some(Arch::I386), Arch::Amd64 | Arch::Arm64) | (Some(Arch::Amd64), Arch::Arm64)
                    )
                };
                match is_system(System::Windows) {
                    true if has(pe.arch) => PlatformFit::Own,
                    true if claim.archs.iter().any(runs) => PlatformFit::Compatible,
                    _ => PlatformFit::Foreign,
                }
            }
        }
    }
}

/// Number of natives of each architecture.
pub fn count(natives: &[NativeFile<'_>]) -> BTreeMap<Arch, usize> {
    let mut count = BTreeMap::new();
    for arch in natives.iter().filter_map(NativeFile::arch) {
        *count.entry(arch).or_default() += 1;
    }
    count
}

fn mach_arch(cpu: &str) -> Option<Arch> {
    match cpu {
        "x86_64" => Some(Arch::Amd64),
        "i386" => Some(Arch::I386),
        "arm64" => Some(Arch::Arm64),
        "arm" => Some(Arch::Arm),
        "ppc" => Some(Arch::Ppc),
        "ppc64" => Some(Arch::Ppc64),
        _ => None,
    }
}
