//! The packages under test, and a program for each that loads its native code and uses it once.

use super::run::Machine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Bookworm,
    Trixie,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
        }
    }
}

/// The program to start.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// A program with its arguments.
    Program(&'static [&'static str]),
    /// A script for Python 3.11.
    Python(&'static str),
    /// A script for Node.js.
    Node(&'static str),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    pub name: &'static str,
    pub machine: Machine,
    pub suite: Suite,
    pub debian: &'static [&'static str],
    pub pip: &'static [&'static str],
    pub npm: &'static [&'static str],
    pub start: Start,
    /// Whether it is tested without `IMGARCH_CPU`.
    pub is_small: bool,
}

use Machine::{Aarch64, X86_64};
use Start::{Node, Program, Python};

/// Debian packages for Python, and the system libraries that native modules need.
const PYTHON: &[&str] = &["python3", "libgomp1", "libstdc++6"];
const NODE: &[&str] = &["nodejs"];

const fn debian(
    name: &'static str,
    suite: Suite,
    debian: &'static [&'static str],
    words: &'static [&'static str],
) -> Package {
    Package { name, machine: X86_64, suite, debian, pip: &[], npm: &[], start: Program(words), is_small: false }
}

const fn pip(name: &'static str, machine: Machine, pip: &'static [&'static str], code: &'static str) -> Package {
    Package {
        name,
        machine,
        suite: Suite::Bookworm,
        debian: PYTHON,
        pip,
        npm: &[],
        start: Python(code),
        is_small: false,
    }
}

/// A program in a wheel.
const fn wheel(name: &'static str, pip: &'static [&'static str], words: &'static [&'static str]) -> Package {
    Package {
        name,
        machine: X86_64,
        suite: Suite::Bookworm,
        debian: PYTHON,
        pip,
        npm: &[],
        start: Program(words),
        is_small: false,
    }
}

const fn npm(name: &'static str, machine: Machine, npm: &'static [&'static str], code: &'static str) -> Package {
    Package { name, machine, suite: Suite::Bookworm, debian: NODE, pip: &[], npm, start: Node(code), is_small: false }
}

/// A program in an npm package.
const fn binary(
    name: &'static str,
    machine: Machine,
    npm: &'static [&'static str],
    words: &'static [&'static str],
) -> Package {
    Package {
        name,
        machine,
        suite: Suite::Bookworm,
        debian: NODE,
        pip: &[],
        npm,
        start: Program(words),
        is_small: false,
    }
}

const fn small(package: Package) -> Package {
    Package { is_small: true, ..package }
}

/// One array operation that uses both OpenBLAS and NumPy's own kernels.
const NUMPY: &str = "import numpy\nm = numpy.ones((32, 32), numpy.float32)\nprint((m @ m).sum(), numpy.sort(numpy.arange(50)[::-1])[0])\n";
const POLARS: &str =
    "import polars\nprint(polars.DataFrame({'n': [2, 1], 's': ['b', 'a']}).sort('n').filter(polars.col('s') != 'a'))\n";
const PYARROW: &str = "import pyarrow, pyarrow.compute\nprint(pyarrow.compute.sum(pyarrow.array(range(100))))\n";
const SCIPY: &str = "import numpy, scipy.linalg\nprint(scipy.linalg.inv(numpy.eye(4)).sum())\n";
const DUCKDB: &str = "import duckdb\nprint(duckdb.sql('select avg(i) from range(500) t(i)').fetchall())\n";
const CRYPTOGRAPHY: &str = "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\nkey = AESGCM.generate_key(256)\nprint(len(AESGCM(key).encrypt(b'n' * 12, b'text' * 9, None)))\n";
const PILLOW: &str =
    "from PIL import Image\nprint(Image.new('RGB', (40, 40), (9, 8, 7)).resize((10, 10)).getpixel((1, 1)))\n";
const CHDB: &str = "import chdb\nprint(chdb.query('select max(number) from numbers(100)'))\n";
const ESBUILD: &[&str] = &["/srv/app/node_modules/esbuild-binary/bin/esbuild", "--version"];
const BUN: &[&str] = &["/srv/app/node_modules/bun-binary/bin/bun", "-e", "console.log(1)"];
const RESOLVER: &str = "console.log(typeof require('unrs-resolver').ResolverFactory)\n";

pub const PACKAGES: &[Package] = &[
    // Debian builds for the oldest CPU of an architecture, and selects faster code at run time.
    debian(
        "openssl",
        Suite::Bookworm,
        &["openssl"],
        &["/usr/bin/openssl", "speed", "-seconds", "1", "-bytes", "64", "sha256"],
    ),
    debian("openssl (trixie)", Suite::Trixie, &["openssl"], &["/usr/bin/openssl", "rand", "-hex", "16"]),
    debian("ffmpeg", Suite::Bookworm, &["ffmpeg", "libblas3", "liblapack3"], &["/usr/bin/ffmpeg", "-version"]),
    debian("dav1d", Suite::Trixie, &["dav1d"], &["/usr/bin/dav1d", "--version"]),
    debian("zstd", Suite::Bookworm, &["zstd"], &["/usr/bin/zstd", "-b1", "-i0", "/usr/bin/zstd"]),
    debian("zstd (trixie)", Suite::Trixie, &["zstd"], &["/usr/bin/zstd", "--version"]),
    debian("xz", Suite::Trixie, &["xz-utils"], &["/usr/bin/xz", "--stdout", "--keep", "/usr/bin/xz"]),
    debian("sqlite3", Suite::Bookworm, &["sqlite3"], &["/usr/bin/sqlite3", ":memory:", "select sum(1)"]),
    debian("redis", Suite::Bookworm, &["redis-server"], &["/usr/bin/redis-server", "--version"]),
    debian("nginx", Suite::Trixie, &["nginx"], &["/usr/sbin/nginx", "-v"]),
    debian("git", Suite::Bookworm, &["git"], &["/usr/bin/git", "--version"]),
    debian("curl", Suite::Trixie, &["curl"], &["/usr/bin/curl", "--version"]),
    debian("perl", Suite::Bookworm, &["perl"], &["/usr/bin/perl", "-e", "print 2**0.5"]),
    debian("ruby", Suite::Bookworm, &["ruby"], &["/usr/bin/ruby", "-e", "puts [3, 1].sort.first"]),
    debian(
        "php",
        Suite::Bookworm,
        &["php-cli"],
        &["/usr/bin/php8.2", "-n", "-r", "echo base64_encode(str_repeat('x', 99));"],
    ),
    debian("node", Suite::Bookworm, NODE, &["/usr/bin/node", "-e", "console.log(Buffer.from('x').toString('base64'))"]),
    debian("jq", Suite::Trixie, &["jq"], &["/usr/bin/jq", "-n", "[3, 1] | add"]),
    debian("gpg", Suite::Bookworm, &["gpg"], &["/usr/bin/gpg", "--version"]),
    debian("postgresql", Suite::Bookworm, &["postgresql-15"], &["/usr/lib/postgresql/15/bin/postgres", "--version"]),
    debian("mariadb", Suite::Bookworm, &["mariadb-server-core"], &["/usr/sbin/mariadbd", "--version"]),
    debian("go (Debian)", Suite::Bookworm, &["golang-go"], &["/usr/lib/go-1.19/bin/go", "version"]),
    debian("prometheus", Suite::Bookworm, &["prometheus"], &["/usr/bin/prometheus", "--version"]),
    debian("ripgrep", Suite::Bookworm, &["ripgrep"], &["/usr/bin/rg", "--version"]),
    // Python modules.
    small(pip("numpy 1.26", X86_64, &["numpy==1.26.4"], NUMPY)),
    small(pip("numpy 2.4", X86_64, &["numpy==2.4.*"], NUMPY)),
    pip("numpy 2.4", Aarch64, &["numpy==2.4.*"], NUMPY),
    pip("polars", X86_64, &["polars"], POLARS),
    pip("polars", Aarch64, &["polars"], POLARS),
    pip("polars[rtcompat]", X86_64, &["polars[rtcompat]"], POLARS),
    pip("pyarrow", X86_64, &["pyarrow"], PYARROW),
    pip("pyarrow", Aarch64, &["pyarrow"], PYARROW),
    pip(
        "onnxruntime",
        X86_64,
        &["onnxruntime", "numpy==1.26.4"],
        "import onnxruntime\nprint(onnxruntime.get_available_providers())\n",
    ),
    pip(
        "opencv",
        X86_64,
        &["opencv-python-headless", "numpy==1.26.4"],
        "import cv2, numpy\nprint(cv2.GaussianBlur(numpy.zeros((16, 16), numpy.uint8), (3, 3), 0).sum())\n",
    ),
    pip("scipy", X86_64, &["scipy", "numpy==1.26.4"], SCIPY),
    pip("scipy", Aarch64, &["scipy", "numpy==1.26.4"], SCIPY),
    pip(
        "scikit-learn",
        X86_64,
        &["scikit-learn", "numpy==1.26.4"],
        "from sklearn.cluster import KMeans\nprint(KMeans(2, n_init=1).fit([[0.0], [1.0], [9.0]]).labels_)\n",
    ),
    pip(
        "pandas",
        X86_64,
        &["pandas", "numpy==1.26.4"],
        "import pandas\nprint(pandas.Series([3, 1, 2]).rolling(2).mean().sum())\n",
    ),
    pip("duckdb", X86_64, &["duckdb"], DUCKDB),
    pip("duckdb", Aarch64, &["duckdb"], DUCKDB),
    pip(
        "tokenizers",
        X86_64,
        &["tokenizers"],
        "import tokenizers\nprint(tokenizers.Tokenizer(tokenizers.models.WordLevel()))\n",
    ),
    pip("cryptography", X86_64, &["cryptography"], CRYPTOGRAPHY),
    pip("cryptography", Aarch64, &["cryptography"], CRYPTOGRAPHY),
    small(pip(
        "orjson",
        X86_64,
        &["orjson"],
        "import orjson\nprint(orjson.loads(orjson.dumps({'k': ['ü' * 50, 1.5]})))\n",
    )),
    pip(
        "faiss",
        X86_64,
        &["faiss-cpu", "numpy==1.26.4"],
        "import faiss, numpy\nindex = faiss.IndexFlatL2(4)\nindex.add(numpy.ones((2, 4), numpy.float32))\nprint(index.ntotal)\n",
    ),
    pip("jaxlib", X86_64, &["jax", "jaxlib"], "import jax.numpy\nprint(jax.numpy.ones(4).sum())\n"),
    pip("blake3", X86_64, &["blake3"], "import blake3\nprint(blake3.blake3(b'text' * 900).hexdigest())\n"),
    pip("llvmlite", X86_64, &["llvmlite"], "import llvmlite.binding as llvm\nprint(llvm.get_host_cpu_name())\n"),
    pip("lightgbm", X86_64, &["lightgbm", "numpy==1.26.4"], "import lightgbm\nprint(lightgbm.__version__)\n"),
    pip("pillow", X86_64, &["pillow"], PILLOW),
    small(pip(
        "pyroaring",
        X86_64,
        &["pyroaring"],
        "import pyroaring\nprint(len(pyroaring.BitMap(range(4000)) | pyroaring.BitMap(range(2, 9000, 7))))\n",
    )),
    pip("av", X86_64, &["av"], "import av\nprint(av.codec.Codec('vp9', 'r').name)\n"),
    pip("chdb", X86_64, &["chdb"], CHDB),
    pip("chdb", Aarch64, &["chdb"], CHDB),
    pip("deltalake", X86_64, &["deltalake"], "import deltalake\nprint(deltalake.__version__)\n"),
    pip("h5py", X86_64, &["h5py", "numpy==1.26.4"], "import h5py\nprint(h5py.version.hdf5_version)\n"),
    pip("tensorflow", X86_64, &["tensorflow-cpu"], "import tensorflow\nprint(tensorflow.add(1, 2))\n"),
    pip("wasmtime", X86_64, &["wasmtime"], "import wasmtime\nprint(wasmtime.Module(wasmtime.Engine(), '(module)'))\n"),
    pip(
        "pydantic-core",
        X86_64,
        &["pydantic-core"],
        "import pydantic_core\nprint(pydantic_core.from_json(b'[1, 2]'))\n",
    ),
    pip("grpcio", X86_64, &["grpcio"], "import grpc\nprint(grpc.insecure_channel('localhost:1'))\n"),
    pip("lxml", X86_64, &["lxml"], "import lxml.etree\nprint(lxml.etree.fromstring('<a/>').tag)\n"),
    pip("zstandard", X86_64, &["zstandard"], "import zstandard\nprint(len(zstandard.compress(b'text' * 999)))\n"),
    pip("pysimdjson", X86_64, &["pysimdjson"], "import simdjson\nprint(simdjson.loads('[1, 2, 3]'))\n"),
    pip("rocksdict", Aarch64, &["rocksdict"], "import rocksdict\nprint(rocksdict.Rdict)\n"),
    // Programs and modules of npm, and programs in wheels.
    binary("bun", X86_64, &["bun-binary@npm:@oven/bun-linux-x64"], BUN),
    binary("bun (baseline)", X86_64, &["bun-binary@npm:@oven/bun-linux-x64-baseline"], BUN),
    binary("bun", Aarch64, &["bun-binary@npm:@oven/bun-linux-aarch64"], BUN),
    binary("esbuild", X86_64, &["esbuild-binary@npm:@esbuild/linux-x64"], ESBUILD),
    binary("esbuild", Aarch64, &["esbuild-binary@npm:@esbuild/linux-arm64"], ESBUILD),
    binary(
        "workerd",
        X86_64,
        &["@cloudflare/workerd-linux-64"],
        &["/srv/app/node_modules/@cloudflare/workerd-linux-64/bin/workerd", "--version"],
    ),
    npm(
        "sharp",
        X86_64,
        &["sharp"],
        "require('sharp')({ create: { width: 9, height: 9, channels: 3, background: 'blue' } }).png().toBuffer().then(b => console.log(b.length))\n",
    ),
    npm(
        "lightningcss",
        X86_64,
        &["lightningcss"],
        "console.log(require('lightningcss').transform({ filename: 'x', code: Buffer.from('p{q:r}') }).code.length)\n",
    ),
    npm("swc", X86_64, &["@swc/core"], "console.log(require('@swc/core').transformSync('const f = x => x').code)\n"),
    npm(
        "canvas",
        X86_64,
        &["@napi-rs/canvas"],
        "console.log(require('@napi-rs/canvas').createCanvas(8, 8).toBuffer('image/png').length)\n",
    ),
    npm(
        "duckdb (Node.js)",
        X86_64,
        &["@duckdb/node-api"],
        "require('@duckdb/node-api').DuckDBInstance.create(':memory:').then(() => console.log(1))\n",
    ),
    npm("unrs-resolver 1.6.0", Aarch64, &["unrs-resolver@1.6.0"], RESOLVER),
    npm("unrs-resolver", Aarch64, &["unrs-resolver"], RESOLVER),
    wheel("deno", &["deno"], &["/usr/local/lib/python3.11/dist-packages/bin/deno", "eval", "console.log(1)"]),
    wheel("ruff", &["ruff"], &["/usr/local/lib/python3.11/dist-packages/bin/ruff", "--version"]),
    wheel("uv", &["uv"], &["/usr/local/lib/python3.11/dist-packages/bin/uv", "--version"]),
];
