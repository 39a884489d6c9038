//! What a file is. Facts only: whether it fits a node is for `judge` to say.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::CodeNeeds;
use crate::platform::{Arch, Class, Endian};

/// The kind of a file by its content. Inspection is total: bytes that are no known format are `Data`, broken ones carry
/// what is wrong in their own kind, never an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FileKind {
    /// Zero bytes long.
    Empty,
    Elf(Box<Elf>),
    Script(Box<Script>),
    MachO(Box<MachO>),
    Pe(Box<Pe>),
    Wasm,
    JavaClass,
    /// `ar` archive.
    Ar(Box<Ar>),
    /// zip, jar, wheel, nupkg: the programs inside, by member path.
    Zip(Box<Zip>),
    /// Compressed or a tar: not looked into.
    Packed(Packing),
    LlvmBitcode,
    /// A Git LFS pointer where the file should be.
    LfsPointer,
    /// An HTML page.
    Html,
    /// Printable text without a shebang.
    Text(TextStart),
    /// `*.dist-info/WHEEL` of an installed Python package: its `Tag:` values.
    Wheel(Box<Vec<String>>),
    /// `package.json` of an npm package that is bound to a platform or names others that are.
    NpmPackage(Box<NpmPackage>),
    /// A file by which loading or users are decided, whole up to [`CONFIG_BYTES`]: see [`super::is_config_path`].
    Config(Box<Box<[u8]>>),
    /// A configuration text by the programs and libraries that it names.
    Mentions(Box<Vec<Mention>>),
    /// Anything else.
    Data,
}

/// A program or library that a text names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Counted from 1.
    pub line: u32,
    /// An absolute path, or the file name of a shared library.
    pub name: String,
    /// A server loads it when it starts, and does not start without it.
    pub is_loaded: bool,
}

/// How a text without a usable shebang starts; tells the near misses of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextStart {
    Plain,
    /// A UTF-8 or UTF-16 byte order mark, or UTF-16 without one, before `#!`.
    BomShebang,
    /// Blanks or blank lines before `#!`.
    BlankShebang,
    /// "Not Found", "404", an XML or JSON error: what a failed download leaves. Carries the first line.
    ErrorPage(Box<String>),
    /// Source text of a compiled or interpreted language, which no shell takes for a script; told of executable files only.
    Source(Language),
}

/// A language that a text is written in, by its first statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    C,
    Go,
    Java,
    JavaScript,
    Php,
    Python,
    Rust,
}

/// How a [`FileKind::Packed`] file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packing {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Tar,
    /// A zip whose name does not suggest programs: a document, sources.
    Zip,
}

/// A Mach-O file: a macOS program or library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachO {
    /// Lipo's names of its CPU types (`x86_64`, `arm64`), one for each slice.
    #[serde(deserialize_with = "mach_cpus")]
    pub cpus: Vec<&'static str>,
    /// `filetype` of a thin file: 2 a program, 6 a library, 8 a bundle; 0 of a fat one.
    pub filetype: u32,
}

/// An `ar` archive: a static library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ar {
    /// The architectures of the ELF members that were read, each once.
    pub arches: Vec<Arch>,
    /// A thin archive names files and holds none.
    pub is_thin: bool,
    /// A Debian package: `debian-binary` comes first.
    pub is_deb: bool,
}

/// What an npm package's `package.json` says of platforms. Source: npm's package.json(5), "os", "cpu", "libc".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpmPackage {
    pub name: String,
    /// Node's names (`linux`, `darwin`); `!` before one excludes it. Empty: any.
    pub os: Vec<String>,
    /// Node's names (`x64`, `arm64`); `!` before one excludes it. Empty: any.
    pub cpu: Vec<String>,
    /// `glibc` or `musl`. Empty: any.
    pub libc: Vec<String>,
    /// Names of optionalDependencies that carry a platform in their name (`@esbuild/linux-x64`).
    pub optional: Vec<String>,
    /// The first file of `bin`, relative to the package.
    pub bin: Option<String>,
    /// `scripts` of a project's own `package.json`: name and text.
    pub scripts: Vec<(String, String)>,
}

/// A `#!` file. The line is kept as the kernel reads it: at most 256 bytes of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The interpreter and its one argument, or why the kernel refuses the line. Source: fs/binfmt_script.c.
    pub shebang: Result<Shebang, ShebangError>,
    /// The first bytes of the text, for what it runs by path: up to [`SCRIPT_BYTES`] of an executable shell script,
    /// up to [`HEAD_BYTES`] of one that is not executable, the first 256 bytes of another language's.
    pub text: Box<[u8]>,
    /// Whether `text` is the whole file.
    pub is_whole: bool,
    /// The archive that follows the first line: a Python zipapp, .pex or shiv file. Source: Python's zipapp.
    pub zip: Option<Box<Zip>>,
}

/// Interpreter path and optional argument, byte for byte as `binfmt_script` splits the line. The interpreter is empty
/// where a NUL follows `#!`, as in a file of nothing else: the kernel then opens "", its working directory: EACCES.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shebang {
    pub interpreter: Vec<u8>,
    pub argument: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShebangError {
    /// Nothing but blanks on the line after `#!`: ENOEXEC.
    Empty,
    /// The interpreter's path does not end within the first 256 bytes: ENOEXEC.
    TooLong,
}

/// Bytes of a file's start that are always looked at: program headers, loader and notes of nearly every program.
pub const HEAD_BYTES: usize = 4 << 10;

/// Bytes of a [`FileKind::Config`] file that are kept.
pub const CONFIG_BYTES: usize = 64 << 10;

/// Bytes of a shell script that are kept: entry scripts have up to 20 KiB, the libraries that they read up to 60.
pub const SCRIPT_BYTES: usize = 64 << 10;

/// An ELF file. `head` is what the kernel itself looks at; all else is read from where the program headers point.
/// Fields are read in the layout that the *kernel of that machine* uses (see `layout`), which is not always EI_CLASS's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Elf {
    /// The file's first 256 bytes, zero padded: `bprm->buf`.
    #[serde(serialize_with = "write_head", deserialize_with = "read_head")]
    pub head: Box<[u8; 256]>,
    /// Bytes of the whole file.
    pub size: u64,
    /// Layout in which the fields below were read: by `e_machine` and `e_phentsize` as kernels do, else by EI_CLASS/EI_DATA.
    pub class: Class,
    pub endian: Endian,
    pub e_type: u16,
    pub machine: u16,
    pub flags: u32,
    pub entry: u64,
    pub phoff: u64,
    pub phentsize: u16,
    pub phnum: u16,
    /// EI_OSABI.
    pub osabi: u8,
    /// Program headers in file order; empty where the table is not whole (`phoff + phnum * phentsize > size`),
    /// its entries have another size, or it is over 64 KiB, which no kernel reads.
    pub segments: Vec<Segment>,
    /// Whether the program header table lies wholly in the file.
    pub has_whole_table: bool,
    /// The first PT_INTERP's bytes as in the file (`p_filesz`, at most 4096), NUL included. `None`: no PT_INTERP, or its
    /// bytes could not be had (`interp_missing` tells).
    pub interp: Option<Vec<u8>>,
    /// There is a PT_INTERP but its bytes lie beyond the end of the file.
    pub interp_missing: bool,
    /// The dynamic section, where there is one and it was in reach.
    pub dynamic: Option<Box<Dynamic>>,
    pub isa: IsaNotes,
    /// The bytes of an Arm file's last PT_GNU_PROPERTY, as much as lies in the file and at most 1024 bytes: arm64 kernels
    /// judge by them. `None` where there is none, and of other machines.
    pub property: Option<Vec<u8>>,
    /// `.gnu_debuglink`-style detached debug file: sections without bytes (SHT_NOBITS text), or `.debug` only.
    pub is_debug_only: bool,
    /// Whether the file was built by Go, and for what.
    pub go: Option<Box<GoBuild>>,
    /// What its code needs of the CPU; `None` where the code was not searched.
    pub code: Option<Box<CodeNeeds>>,
}

impl Elf {
    /// Whether its code could have been searched and was not.
    pub fn lacks_code(&self) -> bool {
        let is_searched = self.head.starts_with(b"\x7fELF\x02\x01") && matches!(self.machine, 62 | 183);
        is_searched && self.code.is_none()
    }
}

/// A program header. Source: gABI `Elf64_Phdr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub p_type: u32,
    pub flags: u32,
    pub offset: u64,
    pub vaddr: u64,
    pub filesz: u64,
    pub memsz: u64,
    pub align: u64,
}

pub const PT_LOAD: u32 = 1;
pub const PT_DYNAMIC: u32 = 2;
pub const PT_INTERP: u32 = 3;
pub const PT_NOTE: u32 = 4;
pub const PT_GNU_PROPERTY: u32 = 0x6474_e553;

/// What the dynamic linker will do with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    pub needed: Vec<String>,
    pub soname: Option<String>,
    pub rpath: Option<String>,
    pub runpath: Option<String>,
    /// DF_1_PIE: an executable, though ET_DYN.
    pub is_pie: bool,
    /// DF_1_NODEFLIB.
    pub no_default_lib: bool,
    /// `.gnu.version_r`: library, and versions wanted of it, each with whether it is weak (VER_FLG_WEAK).
    pub wants: Vec<(String, Vec<(String, bool)>)>,
    /// `.gnu.version_d`: versions this library offers. `None` where the table could not be read; empty where there is none.
    pub offers: Option<Vec<String>>,
    /// Strings or tables lay beyond what was kept: the lists above may lack entries.
    pub is_partial: bool,
    /// The symbols that musl's loader would look up and offer; see [`Symbols`].
    pub symbols: Option<Box<Symbols>>,
    /// Of a C library's loader: the directories that it was built to search, and its cache's path.
    pub directories: Option<Box<LoaderDirectories>>,
}

/// Dynamic symbols, kept of programs and of libraries that are not built for glibc: glibc checks versions, musl symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// Names that are wanted and not weak, each with a line feed after it.
    pub undefined: Box<str>,
    /// [`symbol_hash`] of the names that are offered, sorted.
    pub defined: Box<[u32]>,
}

/// The hash of a symbol's name in DT_GNU_HASH.
pub fn symbol_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

/// Source: glibc's elf/dl-load.c `system_dirs`, elf/dl-cache.c `LD_SO_CACHE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderDirectories {
    pub search: Vec<String>,
    pub cache: Option<String>,
}

/// What notes and attributes say of the CPU a file needs. `None` everywhere: nothing said, which proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsaNotes {
    /// GNU_PROPERTY_X86_ISA_1_NEEDED bit set (1 baseline, 2 v2, 4 v3, 8 v4).
    pub x86_needed: Option<u32>,
    /// GNU_PROPERTY_X86_ISA_1_USED.
    pub x86_used: Option<u32>,
    /// `.ARM.attributes`.
    pub arm: Option<ArmAttributes>,
    /// `Tag_RISCV_arch`, as in `rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0`.
    pub riscv: Option<String>,
}

/// File-scope tags of `.ARM.attributes`, vendor "aeabi". Source: abi-aa, addenda32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmAttributes {
    pub cpu_arch: Option<u8>,
    /// b'A', b'R', b'M', b'S' or 0.
    pub profile: u8,
    pub fp_arch: u8,
    pub simd: u8,
    pub vfp_args: u8,
}

/// Go's build information. Source: debug/buildinfo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoBuild {
    pub version: String,
    /// `build\tKEY=VALUE` lines: GOARCH, GOARM, GOAMD64, CGO_ENABLED...
    pub settings: Vec<(String, String)>,
}

/// A PE file: Windows program or library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pe {
    /// COFF machine field.
    pub machine: u16,
    pub arch: Option<Arch>,
    pub is_dll: bool,
    /// Has a CLR header: a .NET assembly, which runs on any architecture where `machine` is i386 without 32BITREQUIRED.
    pub is_dotnet: bool,
    /// Of the optional header: 2 and 3 Windows programs, 10 to 13 EFI's; 0 where there is none.
    pub subsystem: u16,
    /// Whether it holds code: a library of resources (`.rll`, `.mui`) holds none.
    pub has_code: bool,
}

/// A zip's content as far as it matters: the native code in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Zip {
    /// Programs and libraries inside: member path (`outer.jar!/inner.so` for nested archives) and what they are.
    pub natives: Vec<(String, Native)>,
    /// `Tag:` lines of a wheel's WHEEL file.
    pub wheel_tags: Vec<String>,
    /// Has META-INF/MANIFEST.MF or .class members.
    pub is_jar: bool,
    /// Members that could not be read (encrypted, unknown method, over limits), so the list may lack entries.
    pub unread: u32,
}

/// Native code inside an archive: its format and architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Native {
    Elf { machine: u16, arch: Option<Arch>, e_type: u16 },
    MachO,
    Pe { machine: u16 },
}

/// Source: mach/machine.h, with lipo's names.
const CPUS: [(u32, &str); 7] = [
    (7, "i386"),
    (0x0100_0007, "x86_64"),
    (12, "arm"),
    (0x0100_000c, "arm64"),
    (0x0200_000c, "arm64_32"),
    (18, "ppc"),
    (0x0100_0012, "ppc64"),
];
const UNKNOWN_CPU: &str = "unknown";

/// The name of a Mach-O's `cputype`.
pub(super) fn mach_cpu_of(kind: u32) -> &'static str {
    CPUS.iter().find(|(known, _)| *known == kind).map_or(UNKNOWN_CPU, |(_, name)| name)
}

/// The name of a Mach-O's CPU that reads like this, for those who wrote it down.
pub fn mach_cpu(name: &str) -> Option<&'static str> {
    CPUS.iter().map(|(_, known)| *known).chain([UNKNOWN_CPU]).find(|known| *known == name)
}

/// Names of Mach-O CPUs are constants; others than those of the table are refused.
fn mach_cpus<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let known = |name: &String| mach_cpu(name).ok_or_else(|| D::Error::custom("unknown Mach-O CPU"));
    names.iter().map(known).collect()
}

/// serde has arrays of up to 32 elements only.
fn write_head<S: Serializer>(head: &[u8; 256], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(head)
}

fn read_head<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[u8; 256]>, D::Error> {
    let bytes = <&[u8]>::deserialize(from)?;
    bytes.try_into().map(Box::new).map_err(|_| D::Error::custom("the head of a program has 256 bytes"))
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::C => "C or C++",
            Language::Php => "PHP",
            _ => return write!(f, "{self:?}"),
        })
    }
}

impl Elf {
    /// The architecture of this program. `None` for device code and machines without Linux.
    pub fn arch(&self) -> Option<Arch> {
        Arch::of_elf(self.machine, self.class, self.endian)
    }

    /// EI_CLASS and EI_DATA as written, which the kernel mostly ignores.
    pub fn ident(&self) -> (u8, u8) {
        (self.head[4], self.head[5])
    }

    /// PT_INTERP up to its NUL.
    pub fn loader(&self) -> Option<&[u8]> {
        let bytes = self.interp.as_deref()?;
        Some(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes))
    }

    pub fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.p_type == PT_LOAD)
    }

    /// "ELF x86-64, static": what a reader sees in a finding.
    pub fn describe(&self) -> String {
        let name = self.arch().map_or_else(|| format!("machine {}", self.machine), |arch| arch.name().to_string());
        let linked = match (self.e_type, &self.interp, &self.dynamic) {
            (1, ..) => "object file",
            (4, ..) => "core dump",
            (_, Some(_), _) => "dynamic",
            (_, None, Some(_)) if self.e_type == 3 && self.dynamic.as_ref().is_some_and(|d| !d.is_pie) => "library",
            _ => "static",
        };
        format!("ELF {name}, {linked}")
    }
}
