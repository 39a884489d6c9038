//! Messages of language runtimes, package managers and native packages.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    // Native packages of npm.
    Esbuild PackageForeign, "You installed esbuild for another platform",
        "You installed esbuild for another platform than the one you're currently using.";
    Esbuild PackageForeign, "package is present but this platform needs the \"{=package}\" package instead",
        "Specifically the \"@esbuild/darwin-arm64\" package is present but this platform needs the \"@esbuild/linux-arm64\" package instead.";
    Esbuild PackageForeign, "The package \"@esbuild/{runtime}\" could not be found",
        "Error: The package \"@esbuild/linux-arm64\" could not be found, and is needed by esbuild.";
    Sharp PackageForeign, "Could not load the \"sharp\" module using the {runtime} runtime",
        "Error: Could not load the \"sharp\" module using the linux-arm64 runtime";
    Sharp PackageForeign, "binaries cannot be used on the '{runtime}' platform",
        "Error: 'darwin-arm64v8' binaries cannot be used on the 'linux-x64' platform. Please remove the 'node_modules/sharp' directory";
    Sharp PackageForeign, "Something went wrong installing the \"sharp\" module",
        "Something went wrong installing the \"sharp\" module";
    Rollup PackageForeign, "Cannot find module @rollup/rollup-{runtime}",
        "Error: Cannot find module @rollup/rollup-linux-arm64-gnu. npm has a bug related to optional dependencies";
    NodeJs ModuleMissing, "Cannot find module '{module}-linux-{runtime}'",
        "Error: Cannot find module '@rollup/rollup-linux-arm64-gnu'";
    NodeJs ModuleMissing, "Cannot find module '{module}-linuxmusl-{runtime}'",
        "Error: Cannot find module '@img/sharp-linuxmusl-arm64/sharp.node'";
    NodeJs ModuleMissing, "Cannot find module '{module}.linux-{runtime}'",
        "Error: Cannot find module '../lightningcss.linux-arm64-gnu.node'";
    NodeJs ModuleMissing, "Cannot find module '@{scope}/linux-{runtime}'",
        "Error: Cannot find module '@libsql/linux-arm64-gnu'";
    NodeJs ModuleMissing, "Cannot find module {=module}-linux-{=runtime}",
        "npm error Error: Cannot find module @tailwindcss/oxide-linux-arm64-gnu";
    NodeJs ModuleMissing, "Could not resolve module \"{module}.node\" from",
        "@parcel/transformer-css: Could not resolve module \"/app/node_modules/lightningcss/lightningcss.linux-x64-gnu.node\" from \"/app/index.js\"";
    // The same, folded at the width of a terminal.
    NodeJs ModuleMissing, ".linux-{=runtime}.node\" from",
        "#10 8.855 \"/app/node_modules/lightningcss/lightningcss.linux-x64-gnu.node\" from";
    NodeJs ModuleMissing, "Cannot find package '{module}-linux-{runtime}' imported from",
        "Error [ERR_MODULE_NOT_FOUND]: Cannot find package '@rollup/rollup-linux-x64-gnu' imported from /app/build.mjs";
    NodeJs ModuleMissing, "Cannot find module '{module}.node'",
        "Error: Cannot find module '../build/Release/canvas.node'";
    NodeJs ModuleMissing, "The Node.js native addon module ({=module}) can not be found",
        "Error: The Node.js native addon module (tfjs_binding.node) can not be found at path: /app/node_modules/@tensorflow/tfjs-node/lib/napi-v8/tfjs_binding.node";
    NodeJs ModuleMissing, "Could not locate the bindings file. Tried:",
        "Error: Could not locate the bindings file. Tried:";
    Npm PackageForeign, "No native build was found for platform={platform} arch={=arch}",
        "Error: No native build was found for platform=linux arch=arm64 runtime=node abi=108 uv=1 armv=8 libc=musl node=18.16.0";
    Npm PackageForeign, "The CPU architecture \"{arch}\" is incompatible with this module",
        "error app-native@1.0.0: The CPU architecture \"arm64\" is incompatible with this module. Expected one of: x64";
    Npm PackageForeign, "The platform \"{=platform}\" is incompatible with this module",
        "error fsevents@1.2.13: The platform \"linux\" is incompatible with this module.";
    Npm PackageForeign, "Failed to load gRPC binary module because it was not installed for the current system",
        "Error: Failed to load gRPC binary module because it was not installed for the current system";
    Npm PackageForeign, "Cannot find native binding",
        "Error: Cannot find native binding. npm has a bug related to optional dependencies";
    Npm PackageForeign, "Failed to load native binding",
        "Error: Failed to load native binding";
    Npm PackageForeign, "Turborepo did not find the correct binary for your platform",
        "Turborepo did not find the correct binary for your platform.";
    NextJs PackageForeign, "Failed to load SWC binary for {=runtime}",
        "Failed to load SWC binary for linux/x64, see more info here: https://nextjs.org/docs/messages/failed-loading-swc";
    NextJs PackageForeign, "Attempted to load @next/swc-{=package}, but {text}",
        "Attempted to load @next/swc-linux-x64-musl, but it was not installed";
    Prisma PackageForeign, "Query engine library for current platform \"{runtime}\" could not be found",
        "Query engine library for current platform \"linux-musl-arm64-openssl-3.0.x\" could not be found.";
    Prisma PackageForeign, "could not locate the Query Engine for runtime \"{runtime}\"",
        "Prisma Client could not locate the Query Engine for runtime \"linux-arm64-openssl-3.0.x\".";
    Prisma PackageForeign, "Query engine binary for current platform \"{runtime}\" could not be found",
        "Query engine binary for current platform \"debian-openssl-1.1.x\" could not be found.";
    Prisma PackageForeign, "Unable to require(`{path}libquery_engine-{=runtime}.so.node`)",
        "PrismaClientInitializationError: Unable to require(`/app/node_modules/.prisma/client/libquery_engine-linux-musl.so.node`).";
    Prisma PackageForeign, "Prisma engines do not seem to be compatible with your system",
        "The Prisma engines do not seem to be compatible with your system.";
    Sass PackageForeign, "Node Sass does not yet support your current environment",
        "Error: Node Sass does not yet support your current environment: Linux Unsupported architecture (arm64) with Node.js 16.x";
    Sass PackageForeign, "Missing binding {path}/vendor/linux{runtime}/binding.node",
        "Error: Missing binding /app/node_modules/node-sass/vendor/linux_musl-x64-93/binding.node";
    Npm PackageForeign, "Unsupported platform for {=package}: wanted {wanted}",
        "npm ERR! notsup Unsupported platform for fsevents@2.3.3: wanted {\"os\":\"darwin\"} (current: {\"os\":\"linux\",\"cpu\":\"x64\"})";
    Npm PackageForeign, "binary is not available for {=runtime}",
        "The chromium binary is not available for arm64.";
    Playwright LibraryMissing, "Host system is missing dependencies to run browsers",
        "browserType.launch: Host system is missing dependencies to run browsers.";
    // Python.
    Python ModuleMissing, "No module named '{=module}._{=extension}'",
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'pydantic_core._pydantic_core'";
    // The directory is there, but its module is for another platform.
    Python ModuleMissing, "cannot import name '{=name}' from '{=module}._{=extension}' (unknown location)",
        "cannot import name 'exceptions' from 'cryptography.hazmat.bindings._rust' (unknown location)";
    // Modules of Rust or C that have the name of their package.
    Python ModuleMissing, "No module named 'rpds.rpds'",
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'rpds.rpds'";
    Python ModuleMissing, "No module named 'jiter.jiter'",
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'jiter.jiter'";
    Python ModuleMissing, "No module named 'orjson.orjson'",
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'orjson.orjson'";
    Python ModuleMissing, "No module named 'pyarrow.lib'",
        "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'pyarrow.lib'";
    Python ModuleMissing, "cannot import name 'etree' from 'lxml'",
        "ImportError: cannot import name 'etree' from 'lxml' (/var/task/lxml/__init__.py)";
    Python ModuleMissing, "cannot import name 'cygrpc' from 'grpc._cython'",
        "ImportError: cannot import name 'cygrpc' from 'grpc._cython' (/var/task/grpc/_cython/__init__.py)";
    Python ModuleMissing, "cannot import name '_imaging' from 'PIL'",
        "ImportError: cannot import name '_imaging' from 'PIL' (/var/task/PIL/__init__.py)";
    Python ModuleMissing, "Importing the numpy C-extensions failed",
        "Importing the numpy C-extensions failed. This error can happen for many reasons";
    Python ModuleMissing, "you should not try to import numpy from",
        "Error importing numpy: you should not try to import numpy from its source directory";
    Python ModuleMissing, "no pq wrapper available",
        "ImportError: no pq wrapper available.";
    Python ModuleMissing, "No module named '_cffi_backend'",
        "ModuleNotFoundError: No module named '_cffi_backend'";
    Python ScriptMissing, "can't open file '{path}': [Errno 2]",
        "python3: can't open file '/app/main.py': [Errno 2] No such file or directory";
    Python LibraryForeign, "DLL load failed{text}is not a valid Win32 application",
        "ImportError: DLL load failed: %1 is not a valid Win32 application.";
    Windows Exec(ENOEXEC), "%1 is not a valid Win32 application",
        "hcs::System::CreateProcess app: %1 is not a valid Win32 application. (0xc1)";
    Windows LibraryForeign, "{path} is not a valid Win32 application",
        "Error: C:\\app\\node_modules\\bcrypt\\bcrypt_lib.node is not a valid Win32 application.";
    MacOs LibraryForeign, "not valid mach-o file",
        "Error: dlopen(/app/node_modules/bcrypt/bcrypt_lib.node, 0x0001): tried: '/app/bcrypt_lib.node' (slice is not valid mach-o file)";
    MacOs LibraryForeign, "incompatible architecture (have '{found}', need '{node}')",
        "ImportError: dlopen(/app/_psycopg.so, 0x0002): tried: '/app/_psycopg.so' (mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64'))";
    Pip PackageForeign, "is not a supported wheel on this platform",
        "ERROR: numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl is not a supported wheel on this platform.";
    // The JVM and .NET.
    JavaLibrary LibraryMissing, "no native library is found for os.name={os}",
        "org.xerial.snappy.SnappyError: [FAILED_TO_LOAD_NATIVE_LIBRARY] no native library is found for os.name=Linux and os.arch=aarch64";
    JavaLibrary LibraryMissing, "No native library found for os.name={os}",
        "java.lang.Exception: No native library found for os.name=Linux, os.arch=aarch64, paths=[/org/sqlite/native/Linux/aarch64]";
    // The first error is in an earlier part of the log, or was caught.
    JavaLibrary ModuleMissing, "Could not initialize class org.xerial.snappy.Snappy",
        "java.lang.NoClassDefFoundError: Could not initialize class org.xerial.snappy.Snappy";
    JavaLibrary ModuleMissing, "Could not initialize class org.rocksdb.{=class}",
        "java.lang.NoClassDefFoundError: Could not initialize class org.rocksdb.RocksDB";
    JavaLibrary ModuleMissing, "Could not initialize class com.sun.jna.Native",
        "java.lang.NoClassDefFoundError: Could not initialize class com.sun.jna.Native";
    JavaLibrary LibraryMissing, "was not found inside JAR",
        "java.lang.RuntimeException: librocksdbjni-linux-aarch64.so was not found inside JAR.";
    JavaLibrary LibraryMissing, "Native library ({path}) not found in resource path",
        "java.lang.UnsatisfiedLinkError: Native library (com/sun/jna/linux-aarch64/libjnidispatch.so) not found in resource path";
    JavaLibrary LibraryMissing, "no {=path} in java.library.path",
        "java.lang.UnsatisfiedLinkError: no netty_transport_native_epoll_aarch_64 in java.library.path";
    JavaLibrary LibraryMissing, "Can't load library: {path}",
        "java.lang.UnsatisfiedLinkError: Can't load library: /usr/lib/libjffi-1.2.so";
    JavaLibrary LibraryMissing, "Unable to load library '{path}'",
        "java.lang.UnsatisfiedLinkError: Unable to load library 'udev'";
    JavaLibrary LibraryMissing, "Could not find {=path} in class, module, and library paths",
        "java.lang.UnsatisfiedLinkError: Could not find jniopenblas_nolapack in class, module, and library paths.";
    JavaLibrary LibraryMissing, "Unsupported OS/arch, cannot find {=path}",
        "Unsupported OS/arch, cannot find /linux/aarch64/libzstd-jni.so or load zstd-jni from system libraries.";
    Jvm LibraryMissing, "Error: could not find libjava.so",
        "Error: could not find libjava.so";
    Jvm Exec(ENOEXEC), "Cannot run program \"{path}\"{text}error=8",
        "java.io.IOException: Cannot run program \"/app/tool\" (in directory \"/app\"): error=8, Exec format error";
    DotNet LibraryForeign, "An attempt was made to load a program with an incorrect format",
        "System.BadImageFormatException: Could not load file or assembly '/app/e_sqlite3.dll'. An attempt was made to load a program with an incorrect format.";
    DotNet ModuleMissing, "BadImageFormatException",
        "Unhandled exception. System.BadImageFormatException: Bad IL format.";
    DotNet LibraryMissing, "Unable to load shared library '{path}'",
        "System.DllNotFoundException: Unable to load shared library 'libSkiaSharp' or one of its dependencies.";
    DotNet LibraryMissing, "Unable to load DLL '{path}'",
        "System.DllNotFoundException: Unable to load DLL 'e_sqlite3' or one of its dependencies";
    DotNet LibraryMissing, "The required library {=path} could not be found",
        "A fatal error occurred. The required library libhostfxr.so could not be found.";
    DotNet errno, "An error occurred trying to start process '{path}' with working directory '{directory}'. {errno}",
        "System.ComponentModel.Win32Exception (8): An error occurred trying to start process '/app/tool' with working directory '/app'. Exec format error";
    Jvm BadJar, "Invalid or corrupt jarfile {path}",
        "Error: Invalid or corrupt jarfile /app/app.jar";
    Jvm ScriptMissing, "Unable to access jarfile {path}",
        "Error: Unable to access jarfile /app/app.jar";
    Jvm PackageForeign, "Could not find {=package}-linux-aarch_64.exe (",
        "Could not find protoc-3.5.1-linux-aarch_64.exe (com.google.protobuf:protoc:3.5.1).";
    // Ruby, PHP, Perl, Erlang, Terraform.
    Ruby PackageForeign, "Your bundle only supports platforms {platforms} but your local platform",
        "Your bundle only supports platforms [\"x86_64-darwin-21\"] but your local platform is aarch64-linux.";
    // The lock file names a gem for a platform that was not installed.
    Ruby ModuleMissing, "Could not find {=gem}-linux in locally installed gems",
        "Could not find nokogiri-1.16.2-aarch64-linux in locally installed gems (Bundler::GemNotFound)";
    Ruby ModuleMissing, "Could not find {=gem}-linux-{=libc} in locally installed gems",
        "Could not find nokogiri-1.18.1-x86_64-linux-musl in locally installed gems (Bundler::GemNotFound)";
    Ruby ModuleMissing, "Could not find {=gem}-linux in any of the sources",
        "Could not find nokogiri-1.13.1-x86_64-linux in any of the sources";
    Ruby ModuleMissing, "Could not find {=gem}-darwin in any of the sources",
        "Could not find nokogiri-1.13.1-arm64-darwin in any of the sources";
    Ruby Exec(ENOEXEC), "Errno::ENOEXEC: Exec format error - {path}",
        "Errno::ENOEXEC: Exec format error - /usr/local/bin/wkhtmltopdf";
    Ruby Exec(ENOEXEC), "Exec format error - {path} (Errno::ENOEXEC)",
        "runner.rb:12:in `spawn': Exec format error - /app/tool (Errno::ENOEXEC)";
    // The parts of gems in C that are published for each platform.
    Ruby ModuleMissing, "cannot load such file -- nokogiri/nokogiri",
        "LoadError: cannot load such file -- nokogiri/nokogiri";
    Ruby ModuleMissing, "cannot load such file -- bcrypt_ext",
        "<internal:rubygems>:37:in `require': cannot load such file -- bcrypt_ext (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- pg_ext",
        "<internal:rubygems>:37:in `require': cannot load such file -- pg_ext (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- nio4r_ext",
        "<internal:rubygems>:37:in `require': cannot load such file -- nio4r_ext (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- ffi_c",
        "<internal:rubygems>:37:in `require': cannot load such file -- ffi_c (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- google/protobuf_c",
        "<internal:rubygems>:37:in `require': cannot load such file -- google/protobuf_c (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- grpc/grpc_c",
        "<internal:rubygems>:37:in `require': cannot load such file -- grpc/grpc_c (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- sqlite3/sqlite3_native",
        "<internal:rubygems>:37:in `require': cannot load such file -- sqlite3/sqlite3_native (LoadError)";
    Ruby ModuleMissing, "cannot load such file -- puma/puma_http11",
        "<internal:rubygems>:37:in `require': cannot load such file -- puma/puma_http11 (LoadError)";
    Perl errno, "Can't exec \"{path}\": {errno}",
        "Can't exec \"/app/tool\": Exec format error at run.pl line 3.";
    Erlang Exec(ENOEXEC), "erlexec: Error 8 executing '{path}'",
        "erlexec: Error 8 executing '/app/erts-14.2/bin/beam.smp'";
    Erlang Exec(ENOEXEC), "Erlang error: :enoexec",
        "** (ErlangError) Erlang error: :enoexec";
    Terraform PackageForeign, "does not have a package available for your current platform",
        "Provider registry.terraform.io/hashicorp/template v2.2.0 does not have a package available for your current platform, linux_arm64.";
    // Programs that languages start.
    NodeJs Exec(ENOEXEC), "spawn {path} ENOEXEC",
        "Error: spawn /app/bin/tool ENOEXEC";
    NodeJs ShellDenied, "spawn {/path} EACCES",
        "Error: spawn /app/node_modules/ffmpeg-static/ffmpeg EACCES";
    MacOs Exec(ENOEXEC), "Unknown system error -86",
        "Error: spawn Unknown system error -86";
    NodeJs Exec(ENOEXEC), "Unknown system error -8",
        "Error: spawn Unknown system error -8";
    Python Exec(ENOEXEC), "[Errno 8] Exec format error: '{path}'",
        "OSError: [Errno 8] Exec format error: '/usr/local/bin/tool'";
    Rust Exec(ENOEXEC), "Exec format error (os error 8)",
        "Error: Exec format error (os error 8)";
    // Reasons that no other row knows.
    Jvm ModuleMissing, "java.lang.UnsatisfiedLinkError: {reason}",
        "java.lang.UnsatisfiedLinkError: 'void com.example.Native.init()'";
    // Scripts, installers and programs that know a few architectures only.
    Program ArchitectureUnsupported, "Unsupported architecture{&node}",
        "ERROR: Unsupported architecture 'aarch64'";
    Program ArchitectureUnsupported, "Unsupported CPU architecture{&node}",
        "Unsupported CPU architecture: aarch64";
    Program ArchitectureUnsupported, "Unsupported arch{&node}",
        "install.sh: unsupported arch: armv7l";
    Program ArchitectureUnsupported, "Unsupported platform{&node}",
        "Error: Unsupported platform: linux-arm64";
    Program ArchitectureUnsupported, "Unsupported machine{&node}",
        "RuntimeError: Unsupported machine: aarch64";
    Program ArchitectureUnsupported, "Unknown architecture{&node}",
        "Unknown architecture: riscv64";
    Program ArchitectureUnsupported, "{&node} architecture is not supported",
        "The aarch64 architecture is not supported";
    Program ArchitectureUnsupported, "architecture {&node} is not supported",
        "Error: architecture arm64 is not supported by this installer";
    Program ArchitectureUnsupported, "architecture {&node} not supported",
        "architecture armhf not supported";
    Program ArchitectureUnsupported, "{&node} is not supported by this",
        "aarch64 is not supported by this installation script";
    Program ArchitectureUnsupported, "platform {&node} is not supported",
        "Error: platform linux/arm64 is not supported";
    Program ArchitectureUnsupported, "No prebuilt binaries available for {&node}",
        "No prebuilt binaries available for linux-arm64";
    Program ArchitectureUnsupported, "no binary available for {&node}",
        "Error: no binary available for linux/arm64";
    // Package managers of distributions.
    Dpkg PackageRefused, "package architecture ({image}) does not match system ({node})",
        "dpkg: error processing archive app_1.0_amd64.deb (--install): package architecture (amd64) does not match system (arm64)";
    Dpkg PackageRefused, "does not have a compatible architecture",
        "Error: Problem: conflicting requests - package app-1.0-1.x86_64 does not have a compatible architecture";
    Dpkg PackageRefused, "package architecture is not valid",
        "error: failed to prepare transaction (package architecture is not valid)";
    Dpkg PackageRefused, "is intended for a different architecture",
        "package app-1.0-1.x86_64 is intended for a different architecture";
    Dpkg PackageRefused, "is intended for a {=node} architecture",
        "package app-1.0-1.x86_64 is intended for a aarch64 architecture";
}
