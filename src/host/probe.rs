//! Asks the kernel itself whether it runs another kind of program: with one of a hundred bytes that does nothing but end
//! with a known exit code. It must never run anything else.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::platform::Fact;

/// A kind of program that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    I386,
    X32,
    Arm,
}

/// The exit code by which a probe tells that it ran.
const RAN: u8 = 42;

impl Probe {
    pub fn name(self) -> &'static str {
        match self {
            Probe::I386 => "i386",
            Probe::X32 => "x32",
            Probe::Arm => "32-bit Arm",
        }
    }

    /// A whole ELF32 program: header, one PT_LOAD over all of it, and `exit(42)`.
    fn program(self) -> Vec<u8> {
        const EHDR: u32 = 52;
        const PHDR: u32 = 32;
        let (machine, flags, code): (u16, u32, Vec<u8>) = match self {
            // mov eax, 1; mov ebx, 42; int 0x80
            Probe::I386 => (3, 0, vec![0xb8, 1, 0, 0, 0, 0xbb, RAN, 0, 0, 0, 0xcd, 0x80]),
            // mov edi, 42; mov eax, 0x4000003c; syscall
            Probe::X32 => (62, 0, vec![0xbf, RAN, 0, 0, 0, 0xb8, 0x3c, 0, 0, 0x40, 0x0f, 0x05]),
            // mov r0, #42; mov r7, #1; svc 0
            Probe::Arm => (40, 0x0500_0000, vec![RAN, 0, 0xa0, 0xe3, 1, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef]),
        };
        // Congruent for every page size up to 64 KiB.
        let (base, align) = (0x40_0000u32, 0x1_0000u32);
        let size = EHDR + PHDR + code.len() as u32;
        let mut elf = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let half = |elf: &mut Vec<u8>, value: u16| elf.extend(value.to_le_bytes());
        let word = |elf: &mut Vec<u8>, value: u32| elf.extend(value.to_le_bytes());
        half(&mut elf, 2);
        half(&mut elf, machine);
        for value in [1, base + EHDR + PHDR, EHDR, 0, flags] {
            word(&mut elf, value);
        }
        for value in [EHDR as u16, PHDR as u16, 1, 0, 0, 0] {
            half(&mut elf, value);
        }
        for value in [1, 0, base, base, size, size, 5, align] {
            word(&mut elf, value);
        }
        elf.extend(code);
        elf
    }
}

/// Runs `probe` from the first place that lets a file be executed. An error says why none did.
pub fn run(probe: Probe) -> io::Result<Fact<bool>> {
    let places = [std::env::temp_dir(), PathBuf::from("/dev/shm"), PathBuf::from("/var/tmp"), PathBuf::from("/run")];
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for place in places {
        match run_in(probe, &place) {
            Ok(fact) => return Ok(fact),
            Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", place.display())),
        }
    }
    Err(last)
}

fn run_in(probe: Probe, place: &std::path::Path) -> io::Result<Fact<bool>> {
    let mut file = tempfile::Builder::new().prefix("imgarch-probe").tempfile_in(place)?;
    file.write_all(&probe.program())?;
    file.as_file().set_permissions(Permissions::from_mode(0o700))?;
    // Closed before it is run, for the kernel refuses a file that is open for writing.
    let path = file.into_temp_path();
    for _ in 0..3 {
        // `status` is posix_spawn, which does not fall back to a shell as execvp does.
        let answer =
            Command::new(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env_clear().status();
        match answer {
            Ok(status) if status.code() == Some(i32::from(RAN)) => return Ok(Fact::Known(true)),
            // Killed, or ended by an emulator: neither yes nor no.
            Ok(_) => return Ok(Fact::Unknown),
            Err(error) if error.raw_os_error() == Some(8) => return Ok(Fact::Known(false)),
            // Another thread's child still holds the descriptor open.
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
    use crate::platform::{Arch, Class};

    #[test]
    fn a_probe_is_a_static_program_of_its_architecture() {
        for (probe, arch) in [(Probe::I386, Arch::I386), (Probe::X32, Arch::Amd64), (Probe::Arm, Arch::Arm)] {
            let program = probe.program();
            let FileKind::Elf(elf) = inspect(b"probe", program.len() as u64, true, &mut program.as_slice()) else {
                panic!("{probe:?} is no ELF file");
            };
            assert_eq!((elf.arch(), elf.class, elf.phnum), (Some(arch), Class::Elf32, 1));
            assert!(elf.has_whole_table && elf.interp.is_none());
            assert!(program.len() < 128);
        }
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn an_arm_probe_on_x86_64_is_refused_or_emulated_but_never_unknown_without_a_handler() {
        let has_handler = std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-arm").exists();
        if !has_handler {
            assert_eq!(run(Probe::Arm).unwrap(), Fact::Known(false));
        }
    }
}
