//! The packages under test, and a program for each that loads its native code and uses it once.

use super::package::{NODE, Package, Suite, binary, debian, npm, on, pip, small, wheel};
use super::run::Machine;
use Machine::{Aarch64, X86_64};

const fn arm64(
    name: &'static str,
    suite: Suite,
    packages: &'static [&'static str],
    words: &'static [&'static str],
) -> Package {
    on(Aarch64, debian(name, suite, packages, words))
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
const USEARCH: &str = "import numpy, usearch.index\nindex = usearch.index.Index(ndim=4)\nindex.add(1, numpy.ones(4, numpy.float32))\nprint(len(index))\n";
const LANCE: &str = "import lancedb\nprint(lancedb.connect('/tmp/lance').uri)\n";
const CTRANSLATE: &str = "import ctranslate2\nprint(ctranslate2.get_supported_compute_types('cpu'))\n";
const TANTIVY: &str = "import tantivy\nprint(tantivy.SchemaBuilder().add_text_field('t').build())\n";
const BLIS: &str = "import blis.py, numpy\nprint(blis.py.gemm(numpy.ones((8, 8)), numpy.ones((8, 8))).sum())\n";
const VOYAGER: &str = "import numpy, voyager\nindex = voyager.Index(voyager.Space.Euclidean, num_dimensions=8)\nindex.add_item(numpy.ones(8, numpy.float32))\nprint(len(index))\n";
const LITERT: &str = "import ai_edge_litert.interpreter as litert\nprint(litert.Interpreter)\n";
const AWSCRT: &str = "import awscrt.checksums, awscrt.io\nprint(awscrt.checksums.crc32c(b'text' * 99))\n";
/// pip would read the conditions of PyTorch's dependencies for the machine that it runs on.
const TORCH: &[&str] = &[
    "--no-deps",
    "torch==2.4.1",
    "numpy==1.26.4",
    "sympy==1.13.3",
    "mpmath",
    "networkx==3.3",
    "jinja2",
    "markupsafe",
    "fsspec",
    "filelock",
    "typing-extensions",
];
const OPENCV: &str =
    "import cv2, numpy\nprint(cv2.GaussianBlur(numpy.zeros((16, 16), numpy.uint8), (3, 3), 0).sum())\n";
const JAX: &str = "import jax.numpy\nprint(jax.numpy.ones(4).sum())\n";
const SHARP: &str = "require('sharp')({create: {width: 8, height: 8, channels: 3, background: 'red'}}).raw().toBuffer().then((b) => console.log(b.length))\n";
const SWC: &str = "console.log(require('@swc/core').transformSync('const a = 1').code)\n";
const ROLLUP: &str = "require('rollup').rollup({input: '/srv/app/app.js', external: /./}).then(() => console.log(1))\n";
const POLARS_JS: &str =
    "const p = require('nodejs-polars').default\nconsole.log(p.DataFrame({a: [2, 1]}).sort('a').height)\n";
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
        "import faiss, numpy\nindex = faiss.IndexFlatL2(4)\nindex.add(numpy.ones((2, 4), numpy.float32))\nprint(index.search(numpy.ones((1, 4), numpy.float32), 1))\n",
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
    // Packages that were not part of the first comparison.
    pip("polars-lts-cpu", X86_64, &["polars-lts-cpu==1.33.1"], POLARS),
    pip("polars 0.20", X86_64, &["polars==0.20.31"], POLARS),
    pip("usearch", X86_64, &["usearch", "numpy==1.26.4"], USEARCH),
    pip("usearch", Aarch64, &["usearch", "numpy==1.26.4"], USEARCH),
    pip(
        "simsimd",
        X86_64,
        &["simsimd", "numpy==1.26.4"],
        "import numpy, simsimd\nprint(simsimd.cosine(numpy.ones(64, numpy.float32), numpy.ones(64, numpy.float32)))\n",
    ),
    pip("numcodecs", X86_64, &["numcodecs"], "import numcodecs\nprint(len(numcodecs.Blosc().encode(b'x' * 4096)))\n"),
    pip("blosc2", X86_64, &["blosc2"], "import blosc2\nprint(len(blosc2.compress2(b'x' * 4096)))\n"),
    pip("ctranslate2", X86_64, &["ctranslate2", "numpy==1.26.4"], CTRANSLATE),
    pip("ctranslate2", Aarch64, &["ctranslate2", "numpy==1.26.4"], CTRANSLATE),
    pip("tantivy", X86_64, &["tantivy"], TANTIVY),
    pip("tantivy", Aarch64, &["tantivy"], TANTIVY),
    pip("milvus-lite", X86_64, &["milvus-lite"], "import milvus_lite\nprint(milvus_lite.__name__)\n"),
    pip("lancedb", X86_64, &["lancedb"], LANCE),
    pip("lancedb", Aarch64, &["lancedb"], LANCE),
    pip(
        "datafusion",
        X86_64,
        &["datafusion"],
        "import datafusion\nprint(datafusion.SessionContext().sql('select 1'))\n",
    ),
    pip("cramjam", X86_64, &["cramjam"], "import cramjam\nprint(len(bytes(cramjam.zstd.compress(b'text' * 999))))\n"),
    pip("rapidfuzz", X86_64, &["rapidfuzz"], "import rapidfuzz\nprint(rapidfuzz.fuzz.ratio('imgarch', 'imgarhc'))\n"),
    pip("blis", X86_64, &["blis", "numpy==1.26.4"], BLIS),
    pip("blis", Aarch64, &["blis", "numpy==1.26.4"], BLIS),
    pip(
        "sentencepiece",
        X86_64,
        &["sentencepiece"],
        "import sentencepiece\nprint(sentencepiece.SentencePieceProcessor())\n",
    ),
    pip("hf-xet", X86_64, &["hf-xet"], "import hf_xet\nprint(hf_xet.__name__)\n"),
    pip(
        "imagecodecs",
        X86_64,
        &["imagecodecs"],
        "import imagecodecs, numpy\nprint(len(imagecodecs.png_encode(numpy.zeros((8, 8), numpy.uint8))))\n",
    ),
    pip("numexpr", X86_64, &["numexpr", "numpy==1.26.4"], "import numexpr\nprint(numexpr.evaluate('2 * 3 + 1'))\n"),
    pip("pikepdf", X86_64, &["pikepdf"], "import pikepdf\nprint(pikepdf.new().Root)\n"),
    pip("connectorx", X86_64, &["connectorx"], "import connectorx\nprint(connectorx.__name__)\n"),
    pip("awscrt", X86_64, &["awscrt"], AWSCRT),
    pip("awscrt", Aarch64, &["awscrt"], AWSCRT),
    pip("litert", X86_64, &["ai-edge-litert"], LITERT),
    pip("litert", Aarch64, &["ai-edge-litert"], LITERT),
    pip(
        "mujoco",
        X86_64,
        &["mujoco", "numpy==1.26.4"],
        "import mujoco\nprint(mujoco.MjModel.from_xml_string('<mujoco/>').nq)\n",
    ),
    pip("z3", X86_64, &["z3-solver"], "import z3\nprint(z3.simplify(z3.Int('x') + 1))\n"),
    pip("typst", X86_64, &["typst"], "import typst\nprint(len(typst.compile(b'= Title')))\n"),
    pip("torch 2.4", Aarch64, TORCH, "import torch\nprint((torch.ones(8, 8) @ torch.ones(8, 8)).sum())\n"),
    pip("opencv", Aarch64, &["opencv-python-headless", "numpy==1.26.4"], OPENCV),
    pip("jaxlib", Aarch64, &["jax", "jaxlib"], JAX),
    pip("orjson", Aarch64, &["orjson"], "import orjson\nprint(orjson.loads(orjson.dumps({'k': [1, 1.5]})))\n"),
    npm("sharp", Aarch64, &["sharp"], SHARP),
    npm("swc", Aarch64, &["@swc/core"], SWC),
    npm("rollup", X86_64, &["rollup"], ROLLUP),
    npm("rollup", Aarch64, &["rollup"], ROLLUP),
    npm(
        "rolldown",
        X86_64,
        &["@rolldown/binding-linux-x64-gnu"],
        "console.log(typeof require('@rolldown/binding-linux-x64-gnu'))\n",
    ),
    npm("next-swc", X86_64, &["@next/swc-linux-x64-gnu"], "console.log(typeof require('@next/swc-linux-x64-gnu'))\n"),
    npm(
        "oxide",
        X86_64,
        &["@tailwindcss/oxide"],
        "console.log(new (require('@tailwindcss/oxide').Scanner)({}).files)\n",
    ),
    npm("nodejs-polars", X86_64, &["nodejs-polars", "nodejs-polars-linux-x64-gnu"], POLARS_JS),
    npm(
        "resvg",
        X86_64,
        &["@resvg/resvg-js"],
        "console.log(new (require('@resvg/resvg-js').Resvg)('<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"8\" height=\"8\"/>').render().width)\n",
    ),
    npm("snappy", X86_64, &["snappy"], "console.log(require('snappy').compressSync(Buffer.alloc(999)).length)\n"),
    npm("argon2", X86_64, &["@node-rs/argon2"], "console.log(require('@node-rs/argon2').hashSync('text').length)\n"),
    npm("libsql", X86_64, &["@libsql/linux-x64-gnu"], "console.log(typeof require('@libsql/linux-x64-gnu'))\n"),
    binary(
        "biome",
        X86_64,
        &["@biomejs/cli-linux-x64"],
        &["/srv/app/node_modules/@biomejs/cli-linux-x64/biome", "--version"],
    ),
    binary("turbo", X86_64, &["turbo-linux-64"], &["/srv/app/node_modules/turbo-linux-64/bin/turbo", "--version"]),
    binary(
        "ffmpeg (npm)",
        X86_64,
        &["@ffmpeg-installer/linux-x64"],
        &["/srv/app/node_modules/@ffmpeg-installer/linux-x64/ffmpeg", "-version"],
    ),
    binary(
        "sentry-cli",
        X86_64,
        &["@sentry/cli-linux-x64"],
        &["/srv/app/node_modules/@sentry/cli-linux-x64/bin/sentry-cli", "--version"],
    ),
    binary(
        "buf",
        X86_64,
        &["@bufbuild/buf-linux-x64"],
        &["/srv/app/node_modules/@bufbuild/buf-linux-x64/bin/buf", "--version"],
    ),
    debian(
        "python (trixie)",
        Suite::Trixie,
        &["python3"],
        &["/usr/bin/python3.13", "-c", "import hashlib; print(hashlib.sha256(b'x').hexdigest())"],
    ),
    debian("go (trixie)", Suite::Trixie, &["golang-1.24-go"], &["/usr/lib/go-1.24/bin/go", "version"]),
    debian("x265", Suite::Bookworm, &["x265"], &["/usr/bin/x265", "--version"]),
    debian(
        "java",
        Suite::Bookworm,
        &["openjdk-17-jre-headless"],
        &["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "-version"],
    ),
    debian("flac", Suite::Trixie, &["flac"], &["/usr/bin/flac", "--version"]),
    debian("node (trixie)", Suite::Trixie, NODE, &["/usr/bin/node", "-e", "console.log(1)"]),
    pip("voyager", X86_64, &["voyager", "numpy==1.26.4"], VOYAGER),
    pip("vosk", X86_64, &["vosk"], "import vosk\nprint(vosk.SetLogLevel(-1))\n"),
    arm64(
        "openssl",
        Suite::Bookworm,
        &["openssl"],
        &["/usr/bin/openssl", "speed", "-seconds", "1", "-bytes", "64", "sha256"],
    ),
    arm64("node", Suite::Bookworm, NODE, &["/usr/bin/node", "-e", "console.log(1)"]),
    arm64("go (trixie)", Suite::Trixie, &["golang-1.24-go"], &["/usr/lib/go-1.24/bin/go", "version"]),
    arm64("dav1d", Suite::Trixie, &["dav1d"], &["/usr/bin/dav1d", "--version"]),
    arm64("mariadb", Suite::Bookworm, &["mariadb-server-core"], &["/usr/sbin/mariadbd", "--version"]),
    arm64("redis", Suite::Trixie, &["redis-server"], &["/usr/bin/redis-server", "--version"]),
];
