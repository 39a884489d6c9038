//! Messages of emulators, CPU and page size checks, and dynamic loaders.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    // Emulators.
    Qemu EmulatedLoaderMissing, "qemu-{arch}: Could not open '{path}'",
        "qemu-aarch64-static: Could not open '/lib/ld-linux-aarch64.so.1': No such file or directory";
    Rosetta EmulatedLoaderMissing, "rosetta error: failed to open elf at {path}",
        "rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2";
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
    Qemu IllegalInstruction, "qemu: uncaught target signal 4",
        "qemu: uncaught target signal 4 (Illegal instruction) - core dumped";
    Qemu EmulatorCrash, "qemu: uncaught target signal {signal}",
        "qemu: uncaught target signal 11 (Segmentation fault) - core dumped";
    Qemu EmulatorCrash, "QEMU internal SIG{signal}",
        "qemu-x86_64-static: QEMU internal SIGSEGV {code=MAPERR, addr=0x20}";
    Qemu EmulatorCrash, "qemu-{=arch}: Unable to reserve",
        "qemu-x86_64-static: Unable to reserve 0x7ffff7fff000 bytes of virtual address space";
    Qemu EmulatorCrash, "qemu: qemu_thread_create: Invalid argument",
        "qemu: qemu_thread_create: Invalid argument";
    Qemu EmulatorIncomplete, "qemu: Unsupported syscall: {#number}",
        "qemu: Unsupported syscall: 434";
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
    CpuCheck CpuLevel, "CPU does not support the {level} instruction",
        "Error: your CPU does not support the AVX instruction set.";
    CpuCheck CpuLevel, "requires a CPU that supports {=level} instructions",
        "error: this build requires a CPU that supports AVX2 instructions";
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
    Glibc LibraryForeign, "{path}: invalid ELF header",
        "Error: /app/node_modules/bcrypt/lib/binding/bcrypt_lib.node: invalid ELF header";
    Glibc LibraryForeign, "{path}: ELF file data encoding not",
        "error while loading shared libraries: libz.so.1: ELF file data encoding not little-endian";
    Glibc LibraryForeign, "{path}: ELF file OS ABI invalid",
        "error while loading shared libraries: libz.so.1: ELF file OS ABI invalid";
    Glibc LibraryTruncated, "{path}: file too short",
        "error while loading shared libraries: /usr/lib/libssl.so.3: file too short";
    Glibc PreloadIgnored, "object '{path}' from LD_PRELOAD cannot be preloaded",
        "ERROR: ld.so: object '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.";
    Glibc SymbolVersion, "version `{version}' not found (required by {path})",
        "/app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /app)";
    Glibc SymbolVersion, "version 'GLIBC{version}' not found",
        "node: /lib/x86_64-linux-gnu/libc.so.6: version 'GLIBC_2.28' not found";
    Glibc LibraryMissing, "error while loading shared libraries: {path}: cannot open shared object file",
        "/app: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory";
    Glibc LibraryMissing, "{path}: cannot open shared object file",
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory";
    Musl LibraryForeign, "Error loading shared library {path}: Exec format error",
        "Error loading shared library /usr/lib/libfoo.so: Exec format error (needed by /app)";
    Musl LibraryMissing, "Error loading shared library {path}: No such file or directory",
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app)";
    Musl SymbolMissing, "Error relocating {path}: {symbol}: symbol not found",
        "Error relocating /app: __fprintf_chk: symbol not found";
    Musl LoaderRefuses, "{path}: Not a valid dynamic program",
        "/lib/ld-musl-x86_64.so.1: /app: Not a valid dynamic program";
    Glibc SymbolMissing, "symbol lookup error: {path}: undefined symbol",
        "/app: symbol lookup error: /app: undefined symbol: EVP_MD_CTX_new, version OPENSSL_3.0.0";
    Glibc LoaderMissing, "{path}ld-linux-{=arch}.so.2: No such file or directory",
        "docker: error: /lib64/ld-linux-x86-64.so.2: No such file or directory";
    Glibc LoaderMissing, "{path}ld-linux-aarch64.so.1: No such file or directory",
        "/lib/ld-linux-aarch64.so.1: No such file or directory";
    Musl LoaderMissing, "{path}ld-musl-{=arch}.so.1: No such file or directory",
        "/lib/ld-musl-x86_64.so.1: No such file or directory";
}
