#!/usr/bin/env python3
"""Packs the archives of a release as Python wheels, npm packages, Debian packages and a Homebrew formula.

usage: pack.py wheels|npm|debs|formula VERSION ARCHIVES OUT

ARCHIVES is a directory with imgarch-TARGET.tar.gz for some or all targets of the table below. Needs only Python 3.9. The
same input gives the same bytes.
"""

import base64
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

HOME = "https://github.com/imgarch/imgarch"
SUMMARY = "Finds exec format errors in container images before they are deployed, and explains them after"
# Targets of Rust, with their names in wheels, npm (os, cpu), Debian and Homebrew. The binaries for Linux are static, so
# they run with every libc.
TARGETS = {
    "x86_64-unknown-linux-musl": {
        "wheel": "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
        "npm": ("linux", "x64"),
        "deb": "amd64",
        "brew": ("linux", "intel"),
    },
    "aarch64-unknown-linux-musl": {
        "wheel": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "npm": ("linux", "arm64"),
        "deb": "arm64",
        "brew": ("linux", "arm"),
    },
    "x86_64-apple-darwin": {"wheel": "macosx_10_12_x86_64", "npm": ("darwin", "x64"), "brew": ("macos", "intel")},
    "aarch64-apple-darwin": {"wheel": "macosx_11_0_arm64", "npm": ("darwin", "arm64"), "brew": ("macos", "arm")},
}


def archives(directory):
    """The archive of each target that is there."""
    found = {target: directory / f"imgarch-{target}.tar.gz" for target in TARGETS}
    found = {target: path for target, path in found.items() if path.is_file()}
    if not found:
        sys.exit(f"{directory} has no imgarch-TARGET.tar.gz")
    return found


def contents(archive):
    """The files of an archive, by name."""
    with tarfile.open(archive) as tar:
        return {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isfile()}


def wheels(version, directory, out):
    for target, archive in archives(directory).items():
        files = contents(archive)
        tag, info = f"py3-none-{TARGETS[target]['wheel']}", f"imgarch-{version}.dist-info"
        tags = "".join(f"Tag: py3-none-{one}\n" for one in TARGETS[target]["wheel"].split("."))
        metadata = (
            f"Metadata-Version: 2.4\nName: imgarch\nVersion: {version}\nSummary: {SUMMARY}\nLicense-Expression: Apache-2.0\n"
            f"License-File: LICENSE\nProject-URL: Source, {HOME}\nRequires-Python: >=3.7\n"
            f"Description-Content-Type: text/markdown\n\n"
        )
        entries = {
            f"imgarch-{version}.data/scripts/imgarch": files["imgarch"],
            f"{info}/METADATA": metadata.encode() + files["README.md"],
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: imgarch\nRoot-Is-Purelib: false\n{tags}".encode(),
            f"{info}/licenses/LICENSE": files["LICENSE"],
        }
        digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record = [f"{name},sha256={digest(data)},{len(data)}\n" for name, data in entries.items()]
        entries[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
        path = out / f"imgarch-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, data in entries.items():
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
                wheel.writestr(entry, data)
        print(path)


def npm_package(path, manifest, files):
    """Writes what `npm pack` writes: a tar archive of the directory `package`."""
    entries = {"package.json": json.dumps(manifest, indent=2).encode() + b"\n", **files}
    with tar_of(path) as tar:
        for name, data in entries.items():
            add(tar, f"package/{name}", data, 0o755 if name.startswith("bin/") else 0o644)
    print(path)


def npm(version, directory, out):
    common = {"version": version, "description": SUMMARY, "license": "Apache-2.0", "homepage": HOME}
    common["repository"] = {"type": "git", "url": f"git+{HOME}.git"}
    platforms = {}
    for target, archive in archives(directory).items():
        files = contents(archive)
        system, cpu = TARGETS[target]["npm"]
        name = f"@imgarch/{system}-{cpu}"
        platforms[name] = version
        manifest = {"name": name, **common, "os": [system], "cpu": [cpu], "preferUnplugged": True}
        own = {"bin/imgarch": files["imgarch"], "LICENSE": files["LICENSE"]}
        npm_package(out / f"imgarch-{system}-{cpu}-{version}.tgz", manifest, own)
    launcher = (Path(__file__).parent / "launcher.js").read_bytes()
    manifest = {"name": "imgarch", **common, "bin": {"imgarch": "bin/imgarch.js"}, "engines": {"node": ">=16"}}
    manifest["optionalDependencies"] = platforms
    own = {"bin/imgarch.js": launcher, "README.md": files["README.md"], "LICENSE": files["LICENSE"]}
    npm_package(out / f"imgarch-{version}.tgz", manifest, own)


def debs(version, directory, out):
    for target, archive in archives(directory).items():
        if "deb" not in TARGETS[target]:
            continue
        files, arch = contents(archive), TARGETS[target]["deb"]
        tree = {"usr/bin/imgarch": files["imgarch"], "usr/share/doc/imgarch/copyright": files["LICENSE"]}
        for name, place in {
            "imgarch.bash": "usr/share/bash-completion/completions/imgarch",
            "imgarch.zsh": "usr/share/zsh/vendor-completions/_imgarch",
            "imgarch.fish": "usr/share/fish/vendor_completions.d/imgarch.fish",
        }.items():
            tree[place] = files[name]
        for name in (name for name in files if name.endswith(".1")):
            tree[f"usr/share/man/man1/{Path(name).name}"] = files[name]
        size = sum(len(data) for data in tree.values()) // 1024
        control = (
            f"Package: imgarch\nVersion: {version}\nArchitecture: {arch}\nMaintainer: imgarch <imgarch@users.noreply.github.com>\n"
            f"Installed-Size: {size}\nSection: utils\nPriority: optional\nHomepage: {HOME}\nDescription: {SUMMARY}\n"
        )
        sums = "".join(f"{hashlib.md5(data).hexdigest()}  {name}\n" for name, data in tree.items())
        path = out / f"imgarch_{version}_{arch}.deb"
        parts = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": archive_of({"control": control.encode(), "md5sums": sums.encode()}),
            "data.tar.gz": archive_of(tree),
        }
        with open(path, "wb") as ar:
            ar.write(b"!<arch>\n")
            for name, data in parts.items():
                ar.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode())
                ar.write(data + b"\n" * (len(data) % 2))
        print(path)


def archive_of(tree):
    """A tar archive of these files and the directories above them, as dpkg wants them."""
    buffer = io.BytesIO()
    with tar_of(buffer) as tar:
        known = set()
        for name, data in tree.items():
            for parent in reversed(list(Path(name).parents)[:-1]):
                if parent not in known:
                    known.add(parent)
                    entry = tarfile.TarInfo(f"./{parent}/")
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            add(tar, f"./{name}", data, 0o755 if name.startswith("usr/bin/") else 0o644)
    return buffer.getvalue()


class tar_of:
    """A tar archive compressed with gzip, without a time stamp."""

    def __init__(self, target):
        self.target = target

    def __enter__(self):
        import gzip

        self.file = open(self.target, "wb") if isinstance(self.target, Path) else self.target
        self.gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self.file, mtime=0)
        self.tar = tarfile.open(fileobj=self.gzip, mode="w", format=tarfile.GNU_FORMAT)
        return self.tar

    def __exit__(self, *_):
        self.tar.close()
        self.gzip.close()
        if self.file is not self.target:
            self.file.close()


def add(tar, name, data, mode):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def formula(version, directory, out):
    systems = {}
    for target, archive in archives(directory).items():
        system, cpu = TARGETS[target]["brew"]
        url = f"{HOME}/releases/download/v{version}/{archive.name}"
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        block = f'    on_{cpu} do\n      url "{url}"\n      sha256 "{digest}"\n    end\n'
        systems.setdefault(system, []).append(block)
    blocks = "\n".join(f"  on_{system} do\n{''.join(parts)}  end" for system, parts in systems.items())
    text = f'''class Imgarch < Formula
  desc "Find exec format errors in container images, before and after deployment"
  homepage "{HOME}"
  version "{version}"
  license "Apache-2.0"

{blocks}

  def install
    bin.install "imgarch"
    man1.install Dir["*.1"]
    bash_completion.install "imgarch.bash" => "imgarch"
    zsh_completion.install "imgarch.zsh" => "_imgarch"
    fish_completion.install "imgarch.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/imgarch --version")
  end
end
'''
    path = out / "imgarch.rb"
    path.write_text(text)
    print(path)


def main():
    kinds = {"wheels": wheels, "npm": npm, "debs": debs, "formula": formula}
    if len(sys.argv) != 5 or sys.argv[1] not in kinds:
        sys.exit(__doc__.strip())
    out = Path(sys.argv[4])
    out.mkdir(parents=True, exist_ok=True)
    kinds[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), out)


main()
