//! The kinds of files. Facts only: `judge` decides whether a file fits a node.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::CodeNeeds;
use crate::platform::{Arch, Class, Endian};

/// The kind of a file, determined by its content. Inspection never fails: unknown formats are `Data`, and the kind of a
/// broken file records what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FileKind {
    /// Zero bytes long.
    Empty,
    Elf(Box<Elf>),
    Script(Box<ShebangFile>),
    MachO(Box<MachO>),
    Pe(Box<Pe>),
    Wasm,
    JavaClass,
    /// `ar` archive.
    Ar(Box<Ar>),
    /// zip, jar, wheel or nupkg, with the native code inside by member path.
    Zip(Box<Zip>),
    /// A compressed file or a tar. Its content is not inspected.
    Packed(PackedFormat),
    LlvmBitcode,
    /// A Git LFS pointer in place of the file.
    LfsPointer,
    /// An HTML page.
    Html,
    /// Printable text without a shebang.
    Text(TextStart),
    /// `*.dist-info/WHEEL` of an installed Python package: its `Tag:` values.
    Wheel(Box<Vec<String>>),
    /// `package.json` of an npm package that is limited to some platforms or has dependencies that are.
    NpmPackage(Box<NpmPackage>),
    /// A file that affects loading or users, with its first [`CONFIG_BYTES`] bytes. See [`super::is_config_path`].
    Config(Box<Box<[u8]>>),
    /// A configuration file, reduced to the programs and libraries that it names.
    Mentions(Box<Vec<Mention>>),
    /// A file of a Python package: the modules that it imports only if they can be loaded, by path without a suffix. A
    /// file of a package of Node.js that loads JavaScript if its addon cannot be loaded: the package's directory.
    OptionalImports(Box<Vec<String>>),
    /// A compiled module of Erlang or Elixir: the highest number of its instructions.
    Beam(u32),
    /// Anything else.
    Data,
}

/// A program or library named in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Line number, from 1.
    pub line: u32,
    /// An absolute path, or the file name of a shared library.
    pub name: String,
    pub load: Load,
}

/// What happens to the program that reads a text, if it cannot load or run what the text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// It loads the module when it starts: a server exits, PHP prints a warning.
    AtStart,
    /// It fails when it reaches the file, or that is not known.
    WhenUsed,
    /// It continues without the file.
    Optional,
}

/// The start of a text without a usable shebang. Distinguishes near misses of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextStart {
    Plain,
    /// A UTF-8 or UTF-16 byte order mark, or UTF-16 without one, followed by `#!`.
    BomShebang,
    /// Blanks or blank lines followed by `#!`.
    BlankShebang,
    /// "Not Found", "404", an XML or JSON error: the result of a failed download. Contains the first line.
    ErrorPage(Box<String>),
    /// Source text of a compiled or interpreted language, which is not a valid shell script. Detected only in
    /// executable files.
    Source(Language),
}

/// The language of a source text, detected from its first statement.
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

/// The format of a [`FileKind::Packed`] file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PackedFormat {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Tar,
    /// A zip whose name does not suggest that it contains programs, such as a document or source code.
    Zip,
}

/// A Mach-O file: a macOS program or library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachO {
    /// Names of the CPU types as in lipo (`x86_64`, `arm64`), one for each slice.
    #[serde(deserialize_with = "mach_cpus")]
    pub cpus: Vec<&'static str>,
    /// `filetype` of a thin file: 2 for a program, 6 for a library, 8 for a bundle. 0 for a fat file.
    pub filetype: u32,
}

/// An `ar` archive: a static library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ar {
    /// The architectures of the ELF members that were read, without duplicates.
    pub arches: Vec<Arch>,
    /// A thin archive, which refers to files and does not contain them.
    pub is_thin: bool,
    /// A Debian package: `debian-binary` is the first member.
    pub is_deb: bool,
}

/// Platform information in an npm package's `package.json`. Source: npm's package.json(5), "os", "cpu", "libc".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpmPackage {
    pub name: String,
    /// Node's names (`linux`, `darwin`). A leading `!` excludes a name. Empty means any.
    pub os: Vec<String>,
    /// Node's names (`x64`, `arm64`). A leading `!` excludes a name. Empty means any.
    pub cpu: Vec<String>,
    /// `glibc` or `musl`. Empty means any.
    pub libc: Vec<String>,
    /// Names in optionalDependencies that contain a platform (`@esbuild/linux-x64`).
    pub optional: Vec<String>,
    /// The other names in optionalDependencies.
    pub soft: Vec<String>,
    /// The first file in `bin`, relative to the package.
    pub bin: Option<String>,
    /// Names and texts of the `scripts` in a project's own `package.json`.
    pub scripts: Vec<(String, String)>,
}

/// A `#!` file. The line is limited to the first 256 bytes of the file, as in the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShebangFile {
    /// The interpreter and its argument, or the reason why the kernel rejects the line. Source: fs/binfmt_script.c.
    pub shebang: Result<Shebang, ShebangError>,
    /// The start of the text, for finding the commands that it runs: up to [`SCRIPT_BYTES`] of an executable shell
    /// script, up to [`HEAD_BYTES`] of a shell script that is not executable, and 256 bytes of any other script.
    pub text: Box<[u8]>,
    /// Whether `text` is the whole file.
    pub is_whole: bool,
    /// The archive after the first line, in a Python zipapp, .pex or shiv file. Source: Python's zipapp.
    pub zip: Option<Box<Zip>>,
}

/// Interpreter and optional argument, split byte for byte like in `binfmt_script`. The interpreter is empty if a NUL
/// follows `#!`. The kernel then opens "", which is its working directory, and fails with EACCES.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shebang {
    pub interpreter: Vec<u8>,
    pub argument: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShebangError {
    /// The line has only blanks after `#!`: ENOEXEC.
    Empty,
    /// The interpreter's path does not end within the first 256 bytes: ENOEXEC.
    TooLong,
}

/// Bytes that are always read at the start of a file. They contain the program headers, loader and notes of nearly
/// every program.
pub const HEAD_BYTES: usize = 4 << 10;

/// Bytes of a [`FileKind::Config`] file to keep.
pub const CONFIG_BYTES: usize = 64 << 10;

/// Bytes of a shell script to keep. Entry scripts have up to 20 KiB, the libraries that they source up to 60 KiB.
pub const SCRIPT_BYTES: usize = 64 << 10;

/// An ELF file. The kernel reads `head` first; everything else is read from the offsets in the program headers. Fields
/// are read in the layout that the *kernel of that machine* uses (see `layout`), which may differ from EI_CLASS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Elf {
    /// The first 256 bytes of the file, zero-padded: `bprm->buf`.
    #[serde(serialize_with = "write_head", deserialize_with = "read_head")]
    pub head: Box<[u8; 256]>,
    /// Size of the whole file in bytes.
    pub size: u64,
    /// Layout of the fields below: from `e_machine` and `e_phentsize` as in kernels, otherwise from EI_CLASS and
    /// EI_DATA.
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
    /// Program headers in file order. Empty if the table is truncated (`phoff + phnum * phentsize > size`), has entries
    /// of an unexpected size, or is over 64 KiB, which kernels do not read.
    pub segments: Vec<Segment>,
    /// Whether the file contains the whole program header table.
    pub has_whole_table: bool,
    /// The bytes of the first PT_INTERP (`p_filesz`, at most 4096) with the NUL. `None` if there is no PT_INTERP or its
    /// bytes are missing (see `interp_missing`).
    pub interp: Option<Vec<u8>>,
    /// There is a PT_INTERP, but its bytes are beyond the end of the file.
    pub interp_missing: bool,
    /// The dynamic section, if there is one and it could be read.
    pub dynamic: Option<Box<Dynamic>>,
    pub isa: IsaNotes,
    /// The bytes of an Arm file's last PT_GNU_PROPERTY that are in the file, at most 1024. arm64 kernels check them.
    /// `None` if there is none, and for other machines.
    pub property: Option<Vec<u8>>,
    /// A detached debug file: its code sections have no bytes (SHT_NOBITS).
    pub is_debug_only: bool,
    /// Go's build information, if the file was built by Go.
    pub go: Option<Box<GoBuild>>,
    /// The CPU features that the code needs. `None` if the code was not searched.
    pub code: Option<Box<CodeNeeds>>,
    /// The interface that a module was built for, if it states one.
    pub interface: Option<ModuleInterface>,
    /// The libraries in the archive of a PyInstaller one-file program. `None` if it is not one.
    pub frozen: Option<Vec<Elf>>,
}

/// The interface of a runtime that a module was built for. The runtime refuses modules for any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModuleInterface {
    /// Node.js's NODE_MODULE_VERSION. Modules that only use Node-API have none.
    Node(u32),
    /// PHP's build ID: the date of its module API, and whether PHP is thread-safe.
    Php { api: u32, is_zts: bool },
    /// PostgreSQL's major version.
    Postgres(u32),
    /// nginx's version, of a module or of nginx itself: 1022001 for 1.22.1.
    Nginx(u32),
    /// The minor version of Perl 5.
    Perl(u32),
}

impl Elf {
    /// Whether the code could have been searched but was not.
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

/// The dynamic section, as the dynamic loader uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    pub needed: Vec<String>,
    pub soname: Option<String>,
    pub rpath: Option<String>,
    pub runpath: Option<String>,
    /// DF_1_PIE: an executable although its type is ET_DYN.
    pub is_pie: bool,
    /// DF_1_NODEFLIB.
    pub no_default_lib: bool,
    /// `.gnu.version_r`: libraries with the versions required of them, each with whether it is weak (VER_FLG_WEAK).
    pub wants: Vec<(String, Vec<(String, bool)>)>,
    /// `.gnu.version_d`: the versions that this library provides. `None` if the table could not be read, empty if there
    /// is none.
    pub offers: Option<Vec<String>>,
    /// Some strings or tables were not kept, so the lists above may lack entries.
    pub is_partial: bool,
    /// The symbols that musl's loader looks up and provides; see [`Symbols`].
    pub symbols: Option<Box<Symbols>>,
    /// [`Symbols::undefined`] of a module that is built for glibc: musl's loader may load it.
    pub undefined: Option<Box<str>>,
    /// For the loader of a C library: its built-in search directories and the path of its cache.
    pub directories: Option<Box<LoaderDirectories>>,
}

/// Dynamic symbols. Kept for programs, and for libraries that are not built for glibc: glibc checks versions, musl
/// checks symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// Names of required symbols that are not weak, each followed by a line feed.
    pub undefined: Box<str>,
    /// [`symbol_hash`] of the names of provided symbols, sorted.
    pub defined: Box<[u32]>,
}

/// The hash of a symbol's name as in DT_GNU_HASH.
pub fn symbol_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

/// Source: glibc's elf/dl-load.c `system_dirs`, elf/dl-cache.c `LD_SO_CACHE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderDirectories {
    pub search: Vec<String>,
    pub cache: Option<String>,
}

/// Notes and attributes about the CPU that a file needs. `None` everywhere means that there are none, which proves
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsaNotes {
    /// GNU_PROPERTY_X86_ISA_1_NEEDED bit set (1 baseline, 2 v2, 4 v3, 8 v4).
    pub x86_needed: Option<u32>,
    /// GNU_PROPERTY_X86_ISA_1_USED.
    pub x86_used: Option<u32>,
    /// `.ARM.attributes`.
    pub arm: Option<ArmAttributes>,
    /// `Tag_RISCV_arch`, such as `rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0`.
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

/// A PE file: a Windows program or library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pe {
    /// COFF machine field.
    pub machine: u16,
    pub arch: Option<Arch>,
    pub is_dll: bool,
    /// The file has a CLR header: it is a .NET assembly, which runs on any architecture if `machine` is i386 without
    /// 32BITREQUIRED.
    pub is_dotnet: bool,
    /// Subsystem in the optional header: 2 and 3 are Windows programs, 10 to 13 EFI programs. 0 if there is none.
    pub subsystem: u16,
    /// Whether the file has code. Resource libraries (`.rll`, `.mui`) have none.
    pub has_code: bool,
}

/// The relevant content of a zip: its native code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Zip {
    /// Programs and libraries by member path (`outer.jar!/inner.so` in nested archives).
    pub natives: Vec<(String, NativeKind)>,
    /// `Tag:` lines of a wheel's WHEEL file.
    pub wheel_tags: Vec<String>,
    /// The archive contains META-INF/MANIFEST.MF or .class members.
    pub is_jar: bool,
    /// Number of members that could not be read (encrypted, unknown method, over limits). The list may lack entries.
    pub unread: u32,
}

/// Format and architecture of native code in an archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NativeKind {
    /// `library`: the whole facts of a shared library, if it could be read.
    Elf {
        machine: u16,
        arch: Option<Arch>,
        e_type: u16,
        library: Option<Box<Elf>>,
    },
    MachO,
    Pe {
        machine: u16,
    },
}

/// Source: mach/machine.h, with the names of lipo.
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

/// The name of a Mach-O `cputype`.
pub(super) fn mach_cpu_of(kind: u32) -> &'static str {
    CPUS.iter().find(|(known, _)| *known == kind).map_or(UNKNOWN_CPU, |(_, name)| name)
}

/// Returns the constant for the name of a Mach-O CPU.
pub fn mach_cpu(name: &str) -> Option<&'static str> {
    CPUS.iter().map(|(_, known)| *known).chain([UNKNOWN_CPU]).find(|known| *known == name)
}

/// Deserialises names of Mach-O CPUs to constants. Unknown names are an error.
fn mach_cpus<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let known = |name: &String| mach_cpu(name).ok_or_else(|| D::Error::custom("unknown Mach-O CPU"));
    names.iter().map(known).collect()
}

/// serde only supports arrays of up to 32 elements.
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
    /// The architecture of this program. `None` for device code and for machines without Linux support.
    pub fn arch(&self) -> Option<Arch> {
        Arch::of_elf(self.machine, self.class, self.endian)
    }

    /// EI_CLASS and EI_DATA as stored, which the kernel mostly ignores.
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

    /// A short description for findings, such as "ELF x86-64, static".
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
