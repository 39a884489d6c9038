//! Tests whether the kernel runs another kind of program, with a program of about a hundred bytes that only exits with
//! a known code. This module must never run anything else.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::platform::{Arch, Fact};

/// The kind of program to test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    I386,
    X32,
    Arm,
    Amd64,
    Arm64,
    Ppc64le,
    S390x,
    Riscv64,
}

/// Source: include/uapi/asm-generic/errno-base.h.
const ENOEXEC: i32 = 8;

/// The exit code of a probe that ran.
pub const RAN: u8 = 42;

impl Probe {
    pub fn name(self) -> &'static str {
        match self {
            Probe::I386 => "i386",
            Probe::X32 => "x32",
            Probe::Arm => "32-bit Arm",
            Probe::Amd64 => "x86-64",
            Probe::Arm64 => "AArch64",
            Probe::Ppc64le => "POWER little-endian",
            Probe::S390x => "IBM Z",
            Probe::Riscv64 => "RISC-V 64",
        }
    }

    /// The probe for an architecture, if there is one.
    pub fn for_arch(arch: Arch) -> Option<Probe> {
        match arch {
            Arch::I386 => Some(Probe::I386),
            Arch::Arm => Some(Probe::Arm),
            Arch::Amd64 => Some(Probe::Amd64),
            Arch::Arm64 => Some(Probe::Arm64),
            Arch::Ppc64le => Some(Probe::Ppc64le),
            Arch::S390x => Some(Probe::S390x),
            Arch::Riscv64 => Some(Probe::Riscv64),
            _ => None,
        }
    }

    /// Returns `e_machine`, `e_flags` and the code of `exit(42)`.
    fn code(self) -> (u16, u32, Vec<u8>) {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
        match self {
            // mov eax, 1; mov ebx, 42; int 0x80
            Probe::I386 => (3, 0, vec![0xb8, 1, 0, 0, 0, 0xbb, RAN, 0, 0, 0, 0xcd, 0x80]),
            // mov edi, 42; mov eax, 0x4000003c; syscall
            Probe::X32 => (62, 0, vec![0xbf, RAN, 0, 0, 0, 0xb8, 0x3c, 0, 0, 0x40, 0x0f, 0x05]),
            // mov r0, #42; mov r7, #1; svc 0
            Probe::Arm => (40, 0x0500_0000, vec![RAN, 0, 0xa0, 0xe3, 1, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef]),
            // mov edi, 42; mov eax, 60; syscall
            Probe::Amd64 => (62, 0, vec![0xbf, RAN, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
            // mov x0, #42; mov x8, #93; svc #0
            Probe::Arm64 => (183, 0, words(&[0xd280_0540, 0xd280_0ba8, 0xd400_0001])),
            // li r0, 1; li r3, 42; sc
            Probe::Ppc64le => (21, 2, words(&[0x3800_0001, 0x3860_002a, 0x4400_0002])),
            // lghi %r2, 42; svc 1
            Probe::S390x => (22, 0, vec![0xa7, 0x29, 0, RAN, 0x0a, 1]),
            // li a0, 42; li a7, 93; ecall
            Probe::Riscv64 => (243, 0, words(&[0x02a0_0513, 0x05d0_0893, 0x0000_0073])),
        }
    }

    fn is_64_bit(self) -> bool {
        !matches!(self, Probe::I386 | Probe::X32 | Probe::Arm)
    }

    /// A whole program: a header, one PT_LOAD that covers the file, and `exit(42)`. Source: gABI, `Elf32_Ehdr`,
    /// `Elf64_Ehdr`.
    pub fn program(self) -> Vec<u8> {
        let (machine, flags, code) = self.code();
        let (ehdr, phdr): (u64, u64) = if self.is_64_bit() { (64, 56) } else { (52, 32) };
        // Congruent for every page size up to 64 KiB.
        let (base, align) = (0x40_0000u64, 0x1_0000u64);
        let size = ehdr + phdr + code.len() as u64;
        let is_big = self == Probe::S390x;
        let put = |elf: &mut Vec<u8>, bytes: usize, value: u64| match is_big {
            true => elf.extend(&value.to_be_bytes()[8 - bytes..]),
            false => elf.extend(&value.to_le_bytes()[..bytes]),
        };
        let word = if self.is_64_bit() { 8 } else { 4 };
        let mut elf = vec![0x7f, b'E', b'L', b'F', word as u8 / 4, if is_big { 2 } else { 1 }, 1];
        elf.resize(16, 0);
        let header = [(2, 2), (2, u64::from(machine)), (4, 1), (word, base + ehdr + phdr), (word, ehdr), (word, 0)];
        let header =
            header.into_iter().chain([(4, u64::from(flags))]).chain([ehdr, phdr, 1, 0, 0, 0].map(|half| (2, half)));
        // p_flags is the second field in the 64-bit layout and the second to last in the 32-bit layout.
        let segment: Vec<(usize, u64)> = match self.is_64_bit() {
            true => vec![(4, 1), (4, 5), (8, 0), (8, base), (8, base), (8, size), (8, size), (8, align)],
            false => vec![(4, 1), (4, 0), (4, base), (4, base), (4, size), (4, size), (4, 5), (4, align)],
        };
        for (bytes, value) in header.chain(segment) {
            put(&mut elf, bytes, value);
        }
        elf.extend(code);
        elf
    }
}

/// Runs `probe` in the first directory that permits executing a file. The error gives the reason if none does.
pub fn run(probe: Probe, temporary: &Path) -> io::Result<Fact<bool>> {
    let directories = [temporary, Path::new("/dev/shm"), Path::new("/var/tmp"), Path::new("/run")];
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for directory in directories {
        match run_in(probe, directory) {
            Ok(fact) => return Ok(fact),
            Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", directory.display())),
        }
    }
    Err(last)
}

fn run_in(probe: Probe, directory: &Path) -> io::Result<Fact<bool>> {
    let mut file = tempfile::Builder::new().prefix("imgarch-probe").tempfile_in(directory)?;
    file.write_all(&probe.program())?;
    file.as_file().set_permissions(Permissions::from_mode(0o700))?;
    // The file is closed before it is run, because the kernel refuses to execute a file that is open for writing.
    let path = file.into_temp_path();
    for _ in 0..3 {
        // `status` uses posix_spawn, which does not fall back to a shell like execvp.
        let answer =
            Command::new(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env_clear().status();
        match answer {
            Ok(status) if status.code() == Some(i32::from(RAN)) => return Ok(Fact::Known(true)),
            // The program was killed or an emulator ended it: the result is unknown.
            Ok(_) => return Ok(Fact::Unknown),
            Err(error) if error.raw_os_error() == Some(ENOEXEC) => return Ok(Fact::Known(false)),
            // The file exists, so the missing file is the interpreter of a handler that matches it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => return Ok(Fact::Known(false)),
            // Another thread's child process still has the descriptor open.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Fact::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{FileKind, inspect};
    use crate::platform::Class;

    #[test]
    fn a_probe_is_a_static_program_of_its_architecture() {
        let arches = [Arch::I386, Arch::Arm, Arch::Amd64, Arch::Arm64, Arch::Ppc64le, Arch::S390x, Arch::Riscv64];
        let probes = arches.into_iter().map(|arch| (Probe::for_arch(arch).unwrap(), arch));
        for (probe, arch) in probes.chain([(Probe::X32, Arch::Amd64)]) {
            let program = probe.program();
            let FileKind::Elf(elf) = inspect(b"probe", program.len() as u64, true, &mut program.as_slice()) else {
                panic!("{probe:?} is not an ELF file");
            };
            let class = if probe.is_64_bit() { Class::Elf64 } else { Class::Elf32 };
            assert_eq!((elf.arch(), elf.class, elf.phnum), (Some(arch), class, 1));
            assert!(elf.has_whole_table && elf.interp.is_none());
            assert!(program.len() < 160);
        }
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn a_native_probe_runs() {
        assert_eq!(run(Probe::Amd64, &std::env::temp_dir()).unwrap(), Fact::Known(true));
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn an_arm_probe_on_x86_64_is_refused_or_emulated_but_never_unknown_without_a_handler() {
        let has_handler = std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-arm").exists();
        if !has_handler {
            assert_eq!(run(Probe::Arm, &std::env::temp_dir()).unwrap(), Fact::Known(false));
        }
    }
}
