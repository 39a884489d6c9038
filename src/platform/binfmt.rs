//! binfmt_misc entries as the kernel prints them and as packages register them, and common handler sets. Parses text
//! only; must not read `/proc`.

use super::{Arch, Class, Endian, Fact, Handler, HandlerRule};

/// Bytes at the start of a file that binary formats see: binfmt_misc and `#!`. Source: include/uapi/linux/binfmts.h.
pub const BINPRM_BUF_SIZE: usize = 256;

/// Error: the text of an entry or a registration is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BinfmtError {
    #[error("binfmt_misc entry {name} has no {what} line")]
    Missing { name: String, what: &'static str },
    #[error("binfmt_misc entry {name}: cannot parse line {line:?}")]
    Line { name: String, line: String },
    #[error("invalid binfmt_misc registration {0:?}; expected :name:M|E:offset:magic:mask:interpreter:flags")]
    Registration(String),
}

/// Reads `/proc/sys/fs/binfmt_misc`: (file name, text) pairs in directory order, unsorted, which is the kernel's order:
/// the newest entry first. Disabled entries are left out; if `status` is disabled, all are.
pub fn handlers<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Handler>, BinfmtError> {
    let (mut found, mut is_enabled) = (Vec::new(), true);
    for (name, text) in files {
        match name {
            "register" => {}
            "status" => is_enabled = text.trim() != "disabled",
            _ => found.extend(entry(name, text)?),
        }
    }
    Ok(if is_enabled { found } else { Vec::new() })
}

/// Parses the file of one entry; `None` if it is disabled. Source: fs/binfmt_misc.c, `entry_status`.
pub fn entry(name: &str, text: &str) -> Result<Option<Handler>, BinfmtError> {
    let missing = |what| BinfmtError::Missing { name: name.to_string(), what };
    let mut lines = text.lines();
    match lines.next() {
        Some("enabled") => {}
        Some("disabled") => return Ok(None),
        _ => return Err(missing("enabled or disabled")),
    }
    let (mut interpreter, mut flags, mut offset, mut magic, mut mask, mut extension) = (None, "", 0, None, None, None);
    for line in lines {
        let refuse = || BinfmtError::Line { name: name.to_string(), line: line.to_string() };
        match line.split_once(' ').unwrap_or((line, "")) {
            ("interpreter", path) => interpreter = Some(path.to_string()),
            ("flags:", letters) => flags = letters,
            ("offset", number) => offset = number.parse().map_err(|_| refuse())?,
            ("magic", hex) => magic = Some(bytes_of_hex(hex).ok_or_else(refuse)?),
            ("mask", hex) => mask = Some(bytes_of_hex(hex).ok_or_else(refuse)?),
            ("extension", dotted) => extension = Some(dotted.strip_prefix('.').unwrap_or(dotted).to_string()),
            // A later kernel may print more; ignore unknown lines.
            _ => {}
        }
    }
    let rule = match (magic, extension) {
        (Some(magic), _) => magic_rule(offset, magic, mask).ok_or_else(|| missing("magic and mask of one length"))?,
        (None, Some(extension)) => HandlerRule::Extension(extension),
        (None, None) => return Err(missing("magic or extension")),
    };
    let interpreter = interpreter.ok_or_else(|| missing("interpreter"))?;
    Ok(Some(handler(name, rule, &interpreter, flags, Fact::Unknown)))
}

/// Parses a line as written to `register` or stored in `/usr/lib/binfmt.d`.
/// Source: Documentation/admin-guide/binfmt-misc.rst.
pub fn registration(line: &str) -> Result<Handler, BinfmtError> {
    let refuse = || BinfmtError::Registration(line.to_string());
    let line_text = line.trim();
    let delimiter = line_text.chars().next().ok_or_else(refuse)?;
    let fields: Vec<&str> = line_text[delimiter.len_utf8()..].split(delimiter).collect();
    let (name, kind, offset, magic, mask, interpreter, flags) = match fields.as_slice() {
        [name, kind, offset, magic, mask, interpreter] => (*name, *kind, *offset, *magic, *mask, *interpreter, ""),
        [name, kind, offset, magic, mask, interpreter, flags, ..] => {
            (*name, *kind, *offset, *magic, *mask, *interpreter, *flags)
        }
        _ => return Err(refuse()),
    };
    let rule = match kind {
        "E" => HandlerRule::Extension(magic.to_string()),
        "M" => {
            let offset = if offset.is_empty() { 0 } else { offset.parse().map_err(|_| refuse())? };
            let mask = (!mask.is_empty()).then(|| unescape(mask).ok_or_else(refuse)).transpose()?;
            magic_rule(offset, unescape(magic).ok_or_else(refuse)?, mask).ok_or_else(refuse)?
        }
        _ => return Err(refuse()),
    };
    Ok(handler(name, rule, interpreter, flags, Fact::Unknown))
}

/// Whether this handler matches a file with this head (its first bytes; missing ones of [`BINPRM_BUF_SIZE`] count as
/// zero) at this path. Source: fs/binfmt_misc.c, `search_binfmt_handler`.
pub fn takes(handler: &Handler, head: &[u8], path: &str) -> bool {
    match &handler.rule {
        HandlerRule::Magic { offset, magic, mask } => magic.iter().zip(mask).enumerate().all(|(i, (want, mask))| {
            let byte = head.get(offset + i).copied().unwrap_or(0);
            offset + i < BINPRM_BUF_SIZE && (byte ^ want) & mask == 0
        }),
        HandlerRule::Extension(extension) => path.rsplit_once('.').is_some_and(|(_, tail)| tail == extension),
    }
}

/// Whether this handler matches an ordinary program (ET_EXEC and ET_DYN) of `arch`.
pub fn takes_arch(handler: &Handler, arch: Arch) -> bool {
    [2, 3].iter().all(|e_type| takes(handler, &elf_head(arch, *e_type), "program"))
}

/// The first 20 bytes of an ordinary program.
fn elf_head(arch: Arch, e_type: u16) -> Vec<u8> {
    let row = arch.row();
    let class = if row.class == Class::Elf64 { 2 } else { 1 };
    let data = if row.endian == Endian::Little { 1 } else { 2 };
    let mut head = vec![0x7f, b'E', b'L', b'F', class, data, 1, 0];
    head.resize(16, 0);
    for field in [e_type, row.machines[0]] {
        head.extend(if row.endian == Endian::Little { field.to_le_bytes() } else { field.to_be_bytes() });
    }
    head
}

/// A magic without a mask is compared as a whole; the kernel rejects a mask of another length.
fn magic_rule(offset: usize, magic: Vec<u8>, mask: Option<Vec<u8>>) -> Option<HandlerRule> {
    let mask = mask.unwrap_or_else(|| vec![0xff; magic.len()]);
    let is_valid = !magic.is_empty() && magic.len() == mask.len() && offset + magic.len() <= BINPRM_BUF_SIZE;
    is_valid.then_some(HandlerRule::Magic { offset, magic, mask })
}

fn handler(name: &str, rule: HandlerRule, interpreter: &str, flags: &str, is_static: Fact<bool>) -> Handler {
    let credentials = flags.contains('C');
    Handler {
        name: name.to_string(),
        rule,
        interpreter: interpreter.to_string(),
        fixed: flags.contains('F'),
        preserve_argv0: flags.contains('P'),
        // C implies O. Source: fs/binfmt_misc.c, `check_special_flags`.
        open_binary: flags.contains('O') || credentials,
        credentials,
        is_static,
    }
}

fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    let hex = hex.trim();
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

/// `\x7f\x45LF`: escapes are two hex digits; other characters are literal.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Some(bytes)
}

/// A QEMU user-mode emulator: architecture, name, and the mask bytes (index, value) that differ from the common mask
/// (all ones; EI_OSABI ignored; matches both ET_EXEC and ET_DYN).
type EmulatorRow = (Arch, &'static str, &'static [(usize, u8)]);

const QEMU: &[EmulatorRow] = &[
    (Arch::Amd64, "x86_64", &[(5, 0xfe), (6, 0xfe)]),
    (Arch::I386, "i386", &[(5, 0xfe), (6, 0xfe)]),
    (Arch::Arm64, "aarch64", &[]),
    (Arch::Arm, "arm", &[]),
    (Arch::Riscv64, "riscv64", &[]),
    (Arch::Ppc64le, "ppc64le", &[(19, 0)]),
    (Arch::S390x, "s390x", &[]),
    (Arch::Mips64le, "mips64el", &[(8, 0)]),
    (Arch::Mips64, "mips64", &[(8, 0)]),
    (Arch::Loong64, "loongarch64", &[(7, 0xfc), (8, 0)]),
];

/// Emulators that Debian's and Ubuntu's qemu-user-static registers in addition to [`QEMU`].
const QEMU_DEBIAN: &[EmulatorRow] =
    &[(Arch::Ppc64, "ppc64", &[]), (Arch::Ppc, "ppc", &[]), (Arch::Sparc64, "sparc64", &[]), (Arch::M68k, "m68k", &[])];

fn qemu_rule(arch: Arch, exceptions: &[(usize, u8)]) -> HandlerRule {
    let magic = elf_head(arch, 2);
    let mut mask = vec![0xff; magic.len()];
    mask[7] = 0;
    // The low byte of e_type, so that 2 and 3 both match.
    mask[if arch.row().endian == Endian::Little { 16 } else { 17 }] = 0xfe;
    for (index, value) in exceptions {
        mask[*index] = *value;
    }
    HandlerRule::Magic { offset: 0, magic, mask }
}

/// Whether `host` runs `guest` natively, so that no set registers a handler for it.
fn is_native(host: Arch, guest: Arch) -> bool {
    host == guest || (host == Arch::Amd64 && guest == Arch::I386)
}

/// Handlers that `docker run --privileged --rm tonistiigi/binfmt --install all` registers on `host`, as Docker Desktop
/// ships it: static emulators, flags C and F. Source: tonistiigi/binfmt, cmd/binfmt.
pub fn tonistiigi(host: Arch) -> Vec<Handler> {
    let guests = QEMU.iter().filter(|(guest, ..)| !is_native(host, *guest));
    guests
        .map(|(guest, name, exceptions)| {
            let interpreter = format!("/usr/bin/qemu-{name}");
            handler(&format!("qemu-{name}"), qemu_rule(*guest, exceptions), &interpreter, "CF", Fact::Known(true))
        })
        .collect()
}

/// Handlers of Debian's and Ubuntu's package qemu-user-static on `host`: static emulators, flags O, P and F.
/// Source: the package's binfmt.d files.
pub fn debian(host: Arch) -> Vec<Handler> {
    let guests = QEMU.iter().chain(QEMU_DEBIAN).filter(|(guest, ..)| !is_native(host, *guest));
    guests
        .map(|(guest, name, exceptions)| {
            let interpreter = format!("/usr/libexec/qemu-binfmt/{name}-binfmt-P");
            handler(&format!("qemu-{name}"), qemu_rule(*guest, exceptions), &interpreter, "OPF", Fact::Known(true))
        })
        .collect()
}

/// Apple's Rosetta as Lima, Docker Desktop and OrbStack register it: x86-64 programs only, never i386.
/// Source: lima, boot.Linux/05-rosetta-volume.sh.
pub fn rosetta() -> Handler {
    let rule = qemu_rule(Arch::Amd64, &[(5, 0xfe), (6, 0xfe)]);
    handler("rosetta", rule, "/mnt/lima-rosetta/rosetta", "OCF", Fact::Known(true))
}

/// WSL's interop: a Windows program in a container runs on the Windows host. Source: WSL, WSLInterop entry.
pub fn wsl_interop() -> Handler {
    let rule = HandlerRule::Magic { offset: 0, magic: b"MZ".to_vec(), mask: vec![0xff; 2] };
    handler("WSLInterop", rule, "/init", "PF", Fact::Unknown)
}

#[cfg(test)]
#[path = "binfmt_tests.rs"]
mod tests;
