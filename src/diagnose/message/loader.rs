//! Messages of emulators, CPU and page size checks, and dynamic loaders.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    // Emulators.
    Qemu EmulatedLoaderMissing, "qemu-{arch}: Could not open '{path}'",
        "qemu-aarch64-static: Could not open '/lib/ld-linux-aarch64.so.1': No such file or directory";
    // The name under which Debian registers QEMU.
    Qemu EmulatedLoaderMissing, "-binfmt-P: Could not open '{path}'",
        "x86_64-binfmt-P: Could not open '/lib64/ld-linux-x86-64.so.2': No such file or directory";
    Rosetta EmulatedLoaderMissing, "rosetta error: failed to open elf at {path}",
        "rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2";
    Rosetta EmulatorRefuses, "rosetta error: Rosetta is only intended to run on",
        "rosetta error: Rosetta is only intended to run on Apple Silicon with a macOS host";
    Rosetta EmulatorCrash, "rosetta error: {text}",
        "rosetta error: unable to mmap __TEXT: 12";
    Rosetta EmulatorCrash, "assertion failed [{text}]: ",
        "assertion failed [!mmap_result.is_error]: Could not mmap data for the VMTracker slab allocator: 12";
    OrbStack EmulatedLoaderMissing, "Dynamic loader not found: {path}",
        "OrbStack ERROR: Dynamic loader not found: /lib64/ld-linux-x86-64.so.2";
    OrbStack EmulatedLoaderMissing, "This usually means that you're running an x86 program on an arm64 OS",
        "This usually means that you're running an x86 program on an arm64 OS without multi-arch libraries.";
    Qemu EmulatorRefuses, "Invalid ELF image for this architecture",
        "/app: Invalid ELF image for this architecture";
    Qemu EmulatorNotRegistered, "binfmt_misc/register: no such file or directory",
        "cannot register \"/usr/bin/qemu-arm\" to /proc/sys/fs/binfmt_misc/register: write /proc/sys/fs/binfmt_misc/register: no such file or directory";
    Qemu EmulatorNotRegistered, "binfmt_misc/register: invalid argument",
        "cannot register \"/usr/bin/qemu-arm\" to /proc/sys/fs/binfmt_misc/register: write /proc/sys/fs/binfmt_misc/register: invalid argument";
    Qemu EmulatorNotRegistered, "binfmt_misc/register: permission denied",
        "open /proc/sys/fs/binfmt_misc/register: permission denied";
    Qemu EmulatorNotRegistered, "binfmt_misc/register: read-only file system",
        "open /proc/sys/fs/binfmt_misc/register: read-only file system";
    Qemu EmulatorNotRegistered, "cannot create /proc/sys/fs/binfmt_misc/register",
        "/register: 158: cannot create /proc/sys/fs/binfmt_misc/register: Directory nonexistent";
    Qemu IllegalInstruction, "uncaught target signal 4",
        "qemu: uncaught target signal 4 (Illegal instruction) - core dumped";
    Qemu EmulatorCrash, "uncaught target signal {signal}",
        "qemu: uncaught target signal 11 (Segmentation fault) - core dumped";
    Qemu EmulatorCrash, "QEMU internal SIG{signal}",
        "qemu-x86_64-static: QEMU internal SIGSEGV {code=MAPERR, addr=0x20}";
    Qemu EmulatorCrash, "qemu-{=arch}: Unable to reserve",
        "qemu-x86_64-static: Unable to reserve 0x7ffff7fff000 bytes of virtual address space";
    Qemu EmulatorCrash, "qemu: qemu_thread_create: Invalid argument",
        "qemu: qemu_thread_create: Invalid argument";
    // Programs that fail only under the emulator: they start themselves again, or need other addresses.
    Qemu EmulatorCrash, "qemu: unknown option",
        "qemu: unknown option 'type=utility'";
    Qemu EmulatorCrash, "Invalid mapping of address {=address} in reserved address space below",
        "/opt/mssql/bin/sqlservr: Invalid mapping of address 0x40092e8000 in reserved address space below 0x400000000000. Possible causes:";
    Qemu EmulatorCrash, "runtime: lfstack.push invalid packing",
        "runtime: lfstack.push invalid packing: node=0xffff6542b2c0 cnt=0x1 packed=0xffff6542b2c00001 -> node=0xffffffff6542b2c0";
    Qemu EmulatorIncomplete, "qemu: Unsupported syscall: {#number}",
        "qemu: Unsupported syscall: 434";
    Qemu EmulatorCrash, "qemu: unhandled CPU exception {=code}",
        "qemu: unhandled CPU exception 0xf4 - aborting";
    Qemu EmulatorCrash, "Unable to allocate {=size} bytes of virtual address space",
        "qemu-x86_64: /app/server: Unable to allocate 0x8000000000 bytes of virtual address space";
    Fex EmulatorRefuses, "Invalid or Unsupported elf file.",
        "Invalid or Unsupported elf file.";
    Fex EmulatedLoaderMissing, "This is likely due to a misconfigured x86-64 RootFS",
        "This is likely due to a misconfigured x86-64 RootFS";
    Fex EmulatedLoaderMissing, "RootFS path doesn't exist. This is required on AArch64 hosts",
        "RootFS path doesn't exist. This is required on AArch64 hosts";
    Box64 LibraryMissing, "Error loading needed lib {path}",
        "Error loading needed lib libssl.so.1.1";
    Box64 LibraryMissing, "Error: Loading needed libs in elf {path}",
        "Error: Loading needed libs in elf /app/server";
    Box64 EmulatorCrash, "Error: Relocating symbols in elf {path}",
        "Error: Relocating symbols in elf /app/server";
    Box64 EmulatorRefuses, "Error: Reading elf header of {path}, Try to launch",
        "Error: Reading elf header of /app/server, Try to launch natively instead";
    BuildKit EmulatedStepFailed, ".buildkit_qemu_emulator {command}exit code: {#exit}",
        "ERROR: process \"/dev/.buildkit_qemu_emulator /bin/sh -c apt-get update\" did not complete successfully: exit code: 139";
    // The CPU.
    Glibc CpuLevel, "CPU ISA level is lower than required",
        "./app: CPU ISA level is lower than required";
    Glibc CpuLevel, "Fatal glibc error: CPU does not support {level}",
        "Fatal glibc error: CPU does not support x86-64-v2";
    Glibc CpuLevel, "Fatal glibc error: CPU lacks {level}",
        "Fatal glibc error: CPU lacks VXE support (z14 or later required)";
    Go CpuLevel, "This program can only be run on AMD64 processors with {level} microarchitecture support",
        "This program can only be run on AMD64 processors with v3 microarchitecture support.";
    Go CpuLevel, "This program can only run on ARM64 processors with {level} support",
        "This program can only run on ARM64 processors with LSE support.";
    Go CpuLevel, "runtime: this CPU has no {level}",
        "runtime: this CPU has no VFPv3 floating point hardware, so it cannot run";
    NumPy CpuLevel, "NumPy was built with baseline optimizations",
        "RuntimeError: NumPy was built with baseline optimizations:";
    MongoDb CpuLevel, "requires a CPU with {level} support, and your current system does not appear to have that",
        "WARNING: MongoDB 5.0+ requires a CPU with AVX support, and your current system does not appear to have that!";
    MongoDb CpuLevel, "requires {=level} or higher, and your current system does not appear to implement",
        "WARNING: MongoDB 5.0+ requires ARMv8.2-A or higher, and your current system does not appear to implement any of the common features for that!";
    TensorFlow CpuLevel, "library was compiled to use {level} instructions, but these aren't available on your machine",
        "F tensorflow/core/platform/cpu_feature_guard.cc:37] The TensorFlow library was compiled to use AVX instructions, but these aren't available on your machine.";
    DotNet CpuLevel, "current CPU is missing one or more of the following instruction sets",
        "The current CPU is missing one or more of the following instruction sets: SSE, SSE2, SSE3";
    Bun CpuLevel, "CPU lacks {level} support",
        "warn: CPU lacks AVX support, strange crashes may occur. Reinstall Bun or use *-baseline build:";
    GraalVm CpuLevel, "current machine does not support all of the following CPU features",
        "The current machine does not support all of the following CPU features that are required by the image: [CX8, CMOV, AVX2].";
    CpuCheck CpuLevel, "The CPU does not support {level} instruction set",
        "Instruction check fail. The CPU does not support SSSE3 instruction set.";
    CpuCheck CpuLevel, "Missing required CPU features",
        "RuntimeWarning: Missing required CPU features.";
    CpuCheck CpuLevel, "Incompatible processor. This Qt build requires the following features",
        "Incompatible processor. This Qt build requires the following features:";
    CpuCheck CpuLevel, "hardware on this system lacks support for the {level} instruction set",
        "The hardware on this system lacks support for the sse3 instruction set.";
    CpuCheck CpuLevel, "This container was built for CPUs supporting at least the {level} instruction set",
        "ERROR: This container was built for CPUs supporting at least the AVX instruction set, but";
    CpuCheck CpuLevel, "requires {=level} but the CPU does not support it",
        "this binary requires AVX2 but the CPU does not support it";
    CpuCheck CpuLevel, "requires CPU support for {=level}",
        "ERROR: This x64 container requires CPU support for AVX2 to run Bun.";
    CpuCheck CpuLevel, "CPU does not support the {level} instruction",
        "Error: your CPU does not support the AVX instruction set.";
    CpuCheck CpuLevel, "requires a CPU that supports {=level} instructions",
        "error: this build requires a CPU that supports AVX2 instructions";
    CpuCheck CpuLevel, "was built using {level} instructions, which your CPU and/or operating system do not support",
        "RuntimeError: This version of jaxlib was built using AVX instructions, which your CPU and/or operating system do not support.";
    CpuCheck CpuLevel, "does not meet the minimum requirements for use of the Intel(R)",
        "Intel oneMKL FATAL ERROR: This system does not meet the minimum requirements for use of the Intel(R) oneAPI Math Kernel Library.";
    CpuCheck CpuLevel, "both the operating system and the processor support Intel(R) {level} instructions",
        "Please verify that both the operating system and the processor support Intel(R) MOVBE, F16C, FMA, BMI, LZCNT and AVX2 instructions.";
    // Programs that check the CPU themselves.
    Program CpuLevel, "CPU does not support {%level}",
        "LLModel ERROR: CPU does not support AVX";
    Program CpuLevel, "CPU doesn't support {%level}",
        "Error: your CPU doesn't support AVX2";
    Program CpuLevel, "processor does not support {%level}",
        "error: this processor does not support SSE4.2";
    Program CpuLevel, "processor doesn't support {%level}",
        "error: this processor doesn't support SSE4.2";
    Program CpuLevel, "CPU with {%level} support",
        "This version needs a CPU with AVX2 support.";
    Program CpuLevel, "CPU lacks {%level}",
        "fatal: the CPU lacks AVX2";
    Program CpuLevel, "{%level} is not supported by",
        "AVX is not supported by the cpu.";
    Program CpuLevel, "{%level} is not supported on this",
        "AVX2 is not supported on this CPU";
    Program CpuLevel, "{%level} is not available on this",
        "x86-64-v3 is not available on this machine";
    DotNet CpuLevel, "required instruction sets are not supported by the current CPU",
        "The required instruction sets are not supported by the current CPU.";
    Sharp CpuLevel, "Prebuilt binaries for {platform} require {=level} microarchitecture",
        "Unsupported CPU: Prebuilt binaries for Linux x64 require v2 microarchitecture";
    // The kernel.
    Glibc KernelTooOld, "FATAL: kernel too old",
        "FATAL: kernel too old";
    // Pages.
    Jemalloc PageSize, "<jemalloc>: Unsupported system page size",
        "<jemalloc>: Unsupported system page size";
    Box64 PageSize, "PageSize configuration is wrong",
        "Error: PageSize configuration is wrong: configured with 4096, but got 16384";
    Program PageSize, "Unsupported system page size",
        "thread 'main' panicked: Unsupported system page size: 65536";
    Glibc PageSize, "ELF load command alignment not page-aligned",
        "error while loading shared libraries: /usr/lib/libvips.so.42: ELF load command alignment not page-aligned";
    Glibc PageSize, "ELF load command address/offset not page-aligned",
        "error while loading shared libraries: libcef.so: ELF load command address/offset not page-aligned";
    Glibc PageSize, "ELF load command address/offset not properly aligned",
        "error while loading shared libraries: libcef.so: ELF load command address/offset not properly aligned";
    // Address space.
    Program AddressSpaceMissing, "MmapAligned() failed - unable to allocate",
        "tcmalloc/system-alloc.cc:755] MmapAligned() failed - unable to allocate with tag (hint=0x4d80c0000000, size=1073741824)";
    Program AddressSpaceMissing, "ThreadSanitizer: unexpected memory mapping",
        "FATAL: ThreadSanitizer: unexpected memory mapping 0x62f5e8ad2000-0x62f5e8b0a000";
    Program AddressSpaceMissing, "Shadow memory range interleaves with an existing memory mapping",
        "==1==Shadow memory range interleaves with an existing memory mapping. ASan cannot proceed correctly.";
    // Libraries.
    Jvm LibraryForeign, "Possible cause: can't load {found} .so on a {node} platform",
        "java.lang.UnsatisfiedLinkError: /tmp/librocksdbjni.so: /tmp/librocksdbjni.so: cannot open shared object file: No such file or directory (Possible cause: can't load AMD 64 .so on a AARCH64 platform)";
    Jvm LibraryForeign, "Possible cause: can't load this .so (machine code={=found}) on a {node} platform",
        "java.lang.UnsatisfiedLinkError: /tmp/libx.so: (Possible cause: can't load this .so (machine code=0xb7) on a AMD 64 platform)";
    Jvm LibraryForeign, "Possible cause: architecture word width mismatch",
        "java.lang.UnsatisfiedLinkError: /tmp/libx.so: wrong ELF class: ELFCLASS32 (Possible cause: architecture word width mismatch)";
    Jvm LibraryForeign, "Possible cause: endianness mismatch",
        "java.lang.UnsatisfiedLinkError: /tmp/libx.so: (Possible cause: endianness mismatch)";
    Glibc LibraryForeign, "{path}: wrong ELF class: {class}",
        "error while loading shared libraries: libz.so.1: wrong ELF class: ELFCLASS32";
    Glibc LibraryForeign, "{~path}: invalid ELF header",
        "Error: /app/node_modules/bcrypt/lib/binding/bcrypt_lib.node: invalid ELF header";
    Glibc LibraryForeign, "{~path}: ELF file data encoding not",
        "error while loading shared libraries: libz.so.1: ELF file data encoding not little-endian";
    Glibc LibraryForeign, "{~path}: ELF file OS ABI invalid",
        "error while loading shared libraries: libz.so.1: ELF file OS ABI invalid";
    Jvm LibraryForeign, "missing compatible architecture (have '{found}', need '{node}')",
        "java.lang.UnsatisfiedLinkError: dlopen(/tmp/jna7.tmp, 0x0001): tried: '/tmp/jna7.tmp' (fat file, but missing compatible architecture (have 'i386,x86_64', need 'arm64'))";
    Glibc LibraryForeign, "{path}: only ET_DYN and ET_EXEC can be loaded",
        "error while loading shared libraries: /app/libx.o: only ET_DYN and ET_EXEC can be loaded";
    Glibc LibraryForeign, "{path}: cannot dynamically load executable",
        "OSError: /app/tool: cannot dynamically load executable";
    Glibc LibraryForeign, "{path}: cannot dynamically load position-independent executable",
        "OSError: /app/tool: cannot dynamically load position-independent executable";
    Linker LibraryForeign, "{path}: error adding symbols: file in wrong format",
        "/usr/bin/ld: /usr/local/lib/libfoo.a(foo.o): error adding symbols: file in wrong format";
    Linker LibraryForeign, "{path}: Relocations in generic ELF (EM: {#machine})",
        "/usr/bin/ld: build/foo.o: Relocations in generic ELF (EM: 183)";
    Linker LibraryForeign, "architecture of input file `{path}' is incompatible with {output} output",
        "/usr/bin/ld: i386 architecture of input file `foo.o' is incompatible with i386:x86-64 output";
    Linker LibraryForeign, "{path} is incompatible with elf{=output}",
        "ld.lld: error: build/foo.o is incompatible with elf64-x86-64";
    Linker LibraryForeign, "{path} is incompatible with aarch64{=output}",
        "ld.lld: error: build/foo.o is incompatible with aarch64linux";
    Glibc LibraryCorrupt, "{~path}: object file has no loadable segments",
        "error while loading shared libraries: libx.so.1: object file has no loadable segments";
    Glibc LibraryCorrupt, "{~path}: object file has no dynamic section",
        "error while loading shared libraries: libx.so.1: object file has no dynamic section";
    Glibc LibraryCorrupt, "{~path}: ELF file's phentsize not the expected size",
        "error while loading shared libraries: libx.so.1: ELF file's phentsize not the expected size";
    Glibc LibraryTruncated, "{~path}: ELF load command past end of file",
        "ImportError: /app/_x.so: ELF load command past end of file";
    Glibc LibraryTruncated, "{~path}: cannot read file data",
        "error while loading shared libraries: libx.so.1: cannot read file data: Input/output error";
    Glibc LibraryNotMapped, "{path}: failed to map segment from shared object",
        "java.lang.UnsatisfiedLinkError: /tmp/libnetty.so: failed to map segment from shared object: Operation not permitted";
    Glibc SymbolVersion, "{path}: ELF file ABI version invalid",
        "/app: error while loading shared libraries: libx.so.1: ELF file ABI version invalid";
    Glibc LibraryTruncated, "{~path}: file too short",
        "error while loading shared libraries: /usr/lib/libssl.so.3: file too short";
    Glibc StaticTls, "{path}: cannot allocate memory in static TLS block",
        "ImportError: /usr/lib/aarch64-linux-gnu/libgomp.so.1: cannot allocate memory in static TLS block";
    Glibc PreloadIgnored, "object '{path}' from LD_PRELOAD cannot be preloaded",
        "ERROR: ld.so: object '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.";
    Glibc SymbolVersion, "version `{version}' not found (required by {path})",
        "/app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /app)";
    Glibc SymbolVersion, "version 'GLIBC{version}' not found",
        "node: /lib/x86_64-linux-gnu/libc.so.6: version 'GLIBC_2.28' not found";
    // A console that lost the quotes.
    Glibc SymbolVersion, "version GLIBC{version} not found",
        "/usr/bin/unpigz: /lib/aarch64-linux-gnu/libc.so.6: version GLIBC_2.33 not found (required by /usr/bin/unpigz)";
    Glibc LibraryMissing, "error while loading shared libraries: {path}: cannot open shared object file",
        "/app: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory";
    Glibc LibraryMissing, "{path}: cannot open shared object file",
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory";
    Musl LibraryForeign, "Error loading shared library {path}: Exec format error",
        "Error loading shared library /usr/lib/libfoo.so: Exec format error (needed by /app)";
    Musl LibraryMissing, "Error loading shared library {path}: No such file or directory",
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app)";
    Musl LibraryNotMapped, "Error loading shared library {path}: Operation not permitted",
        "Error loading shared library /tmp/libx.so: Operation not permitted (needed by /app)";
    Musl LibraryNotMapped, "Error loading shared library {path}: Permission denied",
        "Error loading shared library /usr/lib/libx.so.1: Permission denied (needed by /app)";
    Musl SymbolMissing, "Error relocating {path}: unsupported relocation type {#type}",
        "Error relocating /lib/ld-linux-x86-64.so.2: unsupported relocation type 37";
    Musl SymbolMissing, "Error relocating {path}: initial-exec TLS resolves to dynamic definition",
        "Error relocating /app/libx.so: initial-exec TLS resolves to dynamic definition in /app/libx.so";
    Musl SymbolMissing, "Error relocating {path}: cannot allocate TLSDESC",
        "Error relocating /app/libx.so: cannot allocate TLSDESC for counter";
    // Of a program that is linked statically with musl.
    Musl SymbolMissing, "Dynamic loading not supported",
        "Error: Dynamic loading not supported";
    Musl SymbolMissing, "Error relocating {path}: {symbol}: symbol not found",
        "Error relocating /app: __fprintf_chk: symbol not found";
    Musl ProgramNotFound, "ld-musl-{=arch}.so.1: cannot load {path}: No such file or directory",
        "/lib/ld-musl-x86_64.so.1: cannot load /app: No such file or directory";
    Musl LoaderRefuses, "ld-musl-{=arch}.so.1: cannot load {path}: Exec format error",
        "/lib/ld-musl-x86_64.so.1: cannot load /app: Exec format error";
    Musl LoaderRefuses, "{path}: Not a valid dynamic program",
        "/lib/ld-musl-x86_64.so.1: /app: Not a valid dynamic program";
    Glibc SymbolMissing, "symbol lookup error: {path}: undefined symbol",
        "/app: symbol lookup error: /app: undefined symbol: EVP_MD_CTX_new, version OPENSSL_3.0.0";
    Glibc SymbolMissing, "DT_RELR without GLIBC_ABI_DT_RELR dependency",
        "error while loading shared libraries: libx.so.1: DT_RELR without GLIBC_ABI_DT_RELR dependency";
    Glibc SymbolMissing, "unexpected reloc type 0x{=type}",
        "error while loading shared libraries: libx.so.1: unexpected reloc type 0x27";
    Glibc SymbolMissing, "unexpected PLT reloc type 0x{=type}",
        "/app: error while loading shared libraries: /app: unexpected PLT reloc type 0x27";
    Glibc SymbolMissing, "Inconsistency detected by ld.so: ",
        "Inconsistency detected by ld.so: dl-call-libc-early-init.c: 37: _dl_call_libc_early_init: Assertion `sym != NULL' failed!";
    Glibc SymbolMissing, "{~path}: undefined symbol: {=symbol}",
        "ImportError: /app/_x.cpython-312-x86_64-linux-gnu.so: undefined symbol: PyUnicode_Ready";
    Glibc LoaderMissing, "{path}ld-linux{=loader}: No such file or directory",
        "docker: error: /lib64/ld-linux-x86-64.so.2: No such file or directory";
    Glibc LoaderMissing, "{path}ld64.so{=version}: No such file or directory",
        "/lib64/ld64.so.2: No such file or directory";
    Musl LoaderMissing, "{path}ld-musl-{=arch}.so.1: No such file or directory",
        "/lib/ld-musl-x86_64.so.1: No such file or directory";
}
