#!/usr/bin/env bash
# Builds the two images of this directory as OCI layouts, reproducibly:
#   wrong  lists linux/amd64 and linux/arm64, but its arm64 image contains the x86-64 program (the incident)
#   right  the same, with the right program for each platform
# Needs gcc, aarch64-linux-gnu-gcc and python3. The results are committed; run it only to change them.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-Os -static -nostdlib -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -Wl,--build-id=none -s)
gcc "${flags[@]}" -o "$work/app-amd64" app.c
aarch64-linux-gnu-gcc "${flags[@]}" -o "$work/app-arm64" app.c
rm -rf wrong right
python3 - "$work" <<'PYTHON'
import gzip, hashlib, io, json, os, sys, tarfile

work = sys.argv[1]
OCI = "application/vnd.oci.image."


def layer(entries):
    """A deterministic tar and its gzip: {path: (mode, bytes or None for a directory)}."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, (mode, data) in entries.items():
            info = tarfile.TarInfo(path)
            info.mode, info.mtime = mode, 0
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))
    tar = raw.getvalue()
    return tar, gzip.compress(tar, 9, mtime=0)


def put(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def image(layout, arch, program):
    base = layer({"etc/": (0o755, None), "etc/os-release": (0o644, b"ID=example\nVERSION_ID=1\n")})
    app = layer({"usr/": (0o755, None), "usr/local/": (0o755, None), "usr/local/bin/": (0o755, None),
                 "usr/local/bin/app": (0o755, program)})
    config = {
        "created": "1970-01-01T00:00:00Z", "architecture": arch, "os": "linux",
        "config": {"Entrypoint": ["app"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar, _ in (base, app)]},
        "history": [
            {"created_by": "ADD rootfs.tar.xz / # buildkit"},
            {"created_by": "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "empty_layer": True},
            {"created_by": "COPY bin/app /usr/local/bin/app # buildkit"},
            {"created_by": 'ENTRYPOINT ["app"]', "empty_layer": True},
        ],
    }
    manifest = {
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": {"mediaType": OCI + "config.v1+json", **put(layout, json.dumps(config, sort_keys=True).encode())},
        "layers": [{"mediaType": OCI + "layer.v1.tar+gzip", **put(layout, packed)} for _, packed in (base, app)],
    }
    return {"mediaType": manifest["mediaType"], **put(layout, json.dumps(manifest, sort_keys=True).encode()),
            "platform": {"os": "linux", "architecture": arch}}


programs = {arch: open(f"{work}/app-{arch}", "rb").read() for arch in ("amd64", "arm64")}
for name, arm64 in (("wrong", programs["amd64"]), ("right", programs["arm64"])):
    os.makedirs(f"{name}/blobs/sha256")
    manifests = [image(name, "amd64", programs["amd64"]), image(name, "arm64", arm64)]
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": manifests}
    root = {"mediaType": index["mediaType"], **put(name, json.dumps(index, sort_keys=True).encode()),
            "annotations": {"org.opencontainers.image.ref.name": "user/app:v1"}}
    with open(f"{name}/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [root]}, file, sort_keys=True)
    with open(f"{name}/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
PYTHON
