//! More packages under test: of newer suites, of other machines, and modules that decide by the CPU at run time.

use super::package::{NODE, Package, Suite, binary, debian, npm, on, pip, wheel};
use super::run::Machine;
use Machine::{Aarch64, Armel, Armhf, Riscv64, X86_64};
use Suite::{Bookworm, Sid, Trixie};

const BUN: &[&str] = &["/srv/app/node_modules/bun-binary/bin/bun", "-e", "console.log(1)"];
const OPENSSL: &[&str] = &["/usr/bin/openssl", "dgst", "-sha256", "/usr/bin/openssl"];
const PYTHON_13: &[&str] = &[
    "/usr/bin/python3.13",
    "-c",
    "import hashlib, zlib; print(hashlib.sha256(zlib.compress(b'x' * 999)).hexdigest())",
];
const GZIP: &[&str] = &["/usr/bin/gzip", "--keep", "--stdout", "/usr/bin/gzip"];
const BZIP2: &[&str] = &["/usr/bin/bzip2", "--keep", "--stdout", "/usr/bin/bzip2"];

pub const ADDITIONAL: &[Package] = &[
    // Debian.
    debian("openssl (sid)", Sid, &["openssl"], OPENSSL),
    debian("ffmpeg", Bookworm, &["ffmpeg"], &["/usr/bin/ffmpeg", "-version"]),
    debian("ffmpeg (trixie)", Trixie, &["ffmpeg"], &["/usr/bin/ffmpeg", "-version"]),
    debian("x264", Bookworm, &["x264"], &["/usr/bin/x264", "--version"]),
    debian("svt-av1", Trixie, &["svt-av1"], &["/usr/bin/SvtAv1EncApp", "--version"]),
    debian("aom", Trixie, &["aom-tools"], &["/usr/bin/aomenc", "--help"]),
    debian("vpx", Bookworm, &["vpx-tools"], &["/usr/bin/vpxenc", "--help"]),
    debian("gawk (GMP)", Trixie, &["gawk"], &["/usr/bin/gawk", "-M", "BEGIN { print 2^300 % 1000007 }"]),
    debian("pari (GMP)", Bookworm, &["pari-gp"], &["/usr/bin/gp", "--version"]),
    debian("minisign (libsodium)", Bookworm, &["minisign"], &["/usr/bin/minisign", "-v"]),
    debian("postgresql (trixie)", Trixie, &["postgresql-17"], &["/usr/lib/postgresql/17/bin/postgres", "--version"]),
    debian("mariadb (trixie)", Trixie, &["mariadb-server-core"], &["/usr/sbin/mariadbd", "--version"]),
    debian("valkey", Trixie, &["valkey-server"], &["/usr/bin/valkey-server", "--version"]),
    debian(
        "node (sid)",
        Sid,
        NODE,
        &["/usr/bin/node", "-e", "console.log(crypto.createHash('sha256').update('x').digest('hex'))"],
    ),
    debian("ruby (trixie)", Trixie, &["ruby3.3"], &["/usr/bin/ruby3.3", "-e", "puts [3, 1].sort.first"]),
    debian(
        "php (trixie)",
        Trixie,
        &["php8.4-cli"],
        &["/usr/bin/php8.4", "-n", "-r", "echo crc32(str_repeat('x', 99));"],
    ),
    debian(
        "java 21",
        Trixie,
        &["openjdk-21-jre-headless"],
        &["/usr/lib/jvm/java-21-openjdk-amd64/bin/java", "-version"],
    ),
    debian("haproxy", Trixie, &["haproxy"], &["/usr/sbin/haproxy", "-vv"]),
    debian("memcached", Trixie, &["memcached"], &["/usr/bin/memcached", "--version"]),
    debian("caddy", Trixie, &["caddy"], &["/usr/bin/caddy", "version"]),
    debian("rclone", Sid, &["rclone"], &["/usr/bin/rclone", "version"]),
    debian("fd", Trixie, &["fd-find"], &["/usr/lib/cargo/bin/fd", "--version"]),
    debian("imagemagick", Trixie, &["imagemagick-7.q16"], &["/usr/bin/magick-im7.q16", "-version"]),
    debian("qemu-img", Trixie, &["qemu-utils"], &["/usr/bin/qemu-img", "--version"]),
    debian("git (sid)", Sid, &["git"], &["/usr/bin/git", "hash-object", "/usr/bin/git"]),
    debian("sbcl", Bookworm, &["sbcl"], &["/usr/bin/sbcl", "--version"]),
    // Python modules and programs in wheels.
    pip(
        "xgboost",
        X86_64,
        &["--no-deps", "xgboost==2.1.4", "numpy==1.26.4", "scipy==1.14.1"],
        "import xgboost\nprint(xgboost.build_info()['USE_OPENMP'])\n",
    ),
    pip("stringzilla", X86_64, &["stringzilla"], "import stringzilla\nprint(stringzilla.Str('x' * 99).count('x'))\n"),
    pip("gmpy2 (GMP)", X86_64, &["gmpy2"], "import gmpy2\nprint(gmpy2.powmod(3, 10**40, 10**50 + 7))\n"),
    pip(
        "pynacl (libsodium)",
        X86_64,
        &["pynacl"],
        "import nacl.utils, nacl.secret\nprint(len(nacl.secret.SecretBox(b'k' * 32).encrypt(b'x' * 99)))\n",
    ),
    pip(
        "isal",
        X86_64,
        &["isal"],
        "from isal import isal_zlib\nprint(len(isal_zlib.compress(b'text' * 999)), isal_zlib.crc32(b'x'))\n",
    ),
    pip("mini-racer", X86_64, &["mini-racer"], "from py_mini_racer import MiniRacer\nprint(MiniRacer)\n"),
    pip("numba", X86_64, &["numba==0.60.0", "numpy==1.26.4"], "import numba\nprint(numba.__version__)\n"),
    pip(
        "tiktoken",
        X86_64,
        &["tiktoken"],
        "import tiktoken\nprint(tiktoken.Encoding('x', pat_str='.', mergeable_ranks={b'a': 0}, special_tokens={}).encode('aa'))\n",
    ),
    pip("safetensors", X86_64, &["safetensors"], "import safetensors\nprint(safetensors.serialize({}, {}))\n"),
    pip("onnx", X86_64, &["onnx==1.16.2", "numpy==1.26.4"], "import onnx\nprint(onnx.__version__)\n"),
    pip(
        "ml-dtypes",
        X86_64,
        &["ml-dtypes", "numpy==1.26.4"],
        "import ml_dtypes, numpy\nprint(numpy.ones(9, ml_dtypes.bfloat16).sum())\n",
    ),
    pip("lz4", X86_64, &["lz4"], "import lz4.frame\nprint(len(lz4.frame.compress(b'text' * 999)))\n"),
    pip("ijson", X86_64, &["ijson"], "import ijson.backends.yajl2_c as j\nprint(list(j.items(b'[1, 2]', 'item')))\n"),
    pip("pymupdf", X86_64, &["pymupdf"], "import pymupdf\nprint(pymupdf.open().page_count)\n"),
    pip("curl-cffi", X86_64, &["curl-cffi"], "import curl_cffi\nprint(curl_cffi.Curl().version())\n"),
    pip("xxhash", X86_64, &["xxhash"], "import xxhash\nprint(xxhash.xxh3_64_hexdigest(b'text' * 99))\n"),
    pip(
        "onnxruntime 1.16",
        X86_64,
        &["--no-deps", "onnxruntime==1.16.3", "numpy==1.26.4"],
        "import onnxruntime.capi.onnxruntime_pybind11_state as o\nprint(o.get_available_providers())\n",
    ),
    pip("faiss 1.7", X86_64, &["faiss-cpu==1.7.4", "numpy==1.26.4"], "import faiss\nprint(faiss.IndexFlatL2(4).d)\n"),
    pip("duckdb 0.10", X86_64, &["duckdb==0.10.3"], "import duckdb\nprint(duckdb.sql('select 1').fetchall())\n"),
    pip("kuzu", X86_64, &["kuzu"], "import kuzu\nprint(kuzu.version)\n"),
    pip(
        "ray (msgpack)",
        X86_64,
        &["msgpack", "ujson", "regex", "pyzmq"],
        "import msgpack, ujson, regex, zmq\nprint(msgpack.packb([1]), ujson.dumps([1.5]), regex.sub('a+', 'b', 'aaa'), zmq.zmq_version())\n",
    ),
    pip(
        "tables",
        X86_64,
        &["tables==3.9.2", "numpy==1.26.4", "blosc2==2.5.1"],
        "import tables\nprint(tables.hdf5_version)\n",
    ),
    pip(
        "tflite-runtime",
        X86_64,
        &["tflite-runtime", "numpy==1.26.4"],
        "import tflite_runtime.interpreter as t\nprint(t.Interpreter)\n",
    ),
    wheel("zig", &["ziglang==0.13.0"], &["/usr/local/lib/python3.11/dist-packages/ziglang/zig", "version"]),
    wheel("cmake", &["cmake==3.31.6"], &["/usr/local/lib/python3.11/dist-packages/cmake/data/bin/cmake", "--version"]),
    wheel("ty", &["ty"], &["/usr/local/lib/python3.11/dist-packages/bin/ty", "--version"]),
    // Programs and modules of npm.
    binary("bun 1.0", X86_64, &["bun-binary@npm:@oven/bun-linux-x64@1.0.36"], BUN),
    binary("bun 1.0 (baseline)", X86_64, &["bun-binary@npm:@oven/bun-linux-x64-baseline@1.0.36"], BUN),
    npm(
        "onnxruntime-node",
        X86_64,
        &["onnxruntime-node@1.17.3"],
        "console.log(typeof require('onnxruntime-node').InferenceSession)\n",
    ),
    npm("lmdb", X86_64, &["lmdb"], "const d = require('lmdb').open('/tmp/l', {}); console.log(typeof d.get)\n"),
    npm(
        "node-llama-cpp",
        X86_64,
        &["@node-llama-cpp/linux-x64@3.6.0"],
        "process.dlopen({exports: {}}, '/srv/app/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/llama-addon.node')\n",
    ),
    npm(
        "rspack",
        X86_64,
        &["@rspack/binding-linux-x64-gnu"],
        "console.log(typeof require('@rspack/binding-linux-x64-gnu'))\n",
    ),
    npm(
        "xxhash (Node.js)",
        X86_64,
        &["@node-rs/xxhash"],
        "console.log(require('@node-rs/xxhash').xxh64('text').toString())\n",
    ),
    npm("parcel-watcher", X86_64, &["@parcel/watcher"], "console.log(typeof require('@parcel/watcher').subscribe)\n"),
    binary(
        "dprint",
        X86_64,
        &["@dprint/linux-x64-glibc"],
        &["/srv/app/node_modules/@dprint/linux-x64-glibc/dprint", "--version"],
    ),
    binary(
        "deno (npm)",
        X86_64,
        &["@deno/linux-x64-glibc"],
        &["/srv/app/node_modules/@deno/linux-x64-glibc/deno", "--version"],
    ),
    binary(
        "tsgo",
        X86_64,
        &["@typescript/native-preview-linux-x64"],
        &["/srv/app/node_modules/@typescript/native-preview-linux-x64/lib/tsgo", "--version"],
    ),
    // AArch64.
    on(Aarch64, debian("openssl (sid)", Sid, &["openssl"], OPENSSL)),
    on(Aarch64, debian("ffmpeg (trixie)", Trixie, &["ffmpeg"], &["/usr/bin/ffmpeg", "-version"])),
    on(Aarch64, debian("python (trixie)", Trixie, &["python3"], PYTHON_13)),
    on(
        Aarch64,
        debian(
            "postgresql (trixie)",
            Trixie,
            &["postgresql-17"],
            &["/usr/lib/postgresql/17/bin/postgres", "--version"],
        ),
    ),
    on(Aarch64, debian("x264", Bookworm, &["x264"], &["/usr/bin/x264", "--version"])),
    pip("stringzilla", Aarch64, &["stringzilla"], "import stringzilla\nprint(stringzilla.Str('x' * 99).count('x'))\n"),
    pip(
        "pynacl (libsodium)",
        Aarch64,
        &["pynacl"],
        "import nacl.utils, nacl.secret\nprint(len(nacl.secret.SecretBox(b'k' * 32).encrypt(b'x' * 99)))\n",
    ),
    pip(
        "polars 0.20",
        Aarch64,
        &["polars==0.20.31"],
        "import polars\nprint(polars.DataFrame({'n': [2, 1]}).sort('n'))\n",
    ),
    binary(
        "workerd",
        Aarch64,
        &["@cloudflare/workerd-linux-arm64"],
        &["/srv/app/node_modules/@cloudflare/workerd-linux-arm64/bin/workerd", "--version"],
    ),
    binary(
        "biome",
        Aarch64,
        &["@biomejs/cli-linux-arm64"],
        &["/srv/app/node_modules/@biomejs/cli-linux-arm64/biome", "--version"],
    ),
    npm("lmdb", Aarch64, &["lmdb"], "const d = require('lmdb').open('/tmp/l', {}); console.log(typeof d.get)\n"),
    // 32-bit Arm: armel is built for ARMv5TE, armhf for ARMv7 with VFPv3.
    on(Armel, debian("openssl", Bookworm, &["openssl"], OPENSSL)),
    on(Armel, debian("gzip", Bookworm, &["gzip"], GZIP)),
    on(Armel, debian("python", Bookworm, &["python3"], &["/usr/bin/python3.11", "-c", "print(2**0.5)"])),
    on(Armhf, debian("openssl", Bookworm, &["openssl"], OPENSSL)),
    on(Armhf, debian("gzip", Trixie, &["gzip"], GZIP)),
    on(Armhf, debian("bzip2", Trixie, &["bzip2"], BZIP2)),
    on(Armhf, debian("python (trixie)", Trixie, &["python3"], PYTHON_13)),
    on(Armhf, debian("node (trixie)", Trixie, NODE, &["/usr/bin/node", "-e", "console.log(1)"])),
    // RISC-V: Debian builds for RV64GC.
    on(Riscv64, debian("openssl", Trixie, &["openssl"], OPENSSL)),
    on(Riscv64, debian("python (trixie)", Trixie, &["python3"], PYTHON_13)),
    on(Riscv64, debian("gzip", Sid, &["gzip"], GZIP)),
];
