"""image.py OUT NAME PROGRAM: an OCI image of one static program, as an archive that `ctr images import` reads.

Without a container tool: an image is a tar of a tar and three JSON files
(https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

OCI = "application/vnd.oci.image"


def archive(files: dict[str, bytes]) -> bytes:
    """A tar of these files, the same bytes each time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def image(name: str, program: Path) -> bytes:
    """The archive of an image whose only file and entry point is `program`."""
    blobs: dict[str, bytes] = {}

    def keep(kind: str, data: bytes, **more: object) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data), **more}

    layer = archive({program.name: program.read_bytes()})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535", "Labels": {"name": name}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": keep("config.v1+json", json.dumps(config).encode()),
        "layers": [keep("layer.v1.tar", layer)],
    }
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    top = keep("manifest.v1+json", json.dumps(manifest).encode(), annotations=names)
    index = {"schemaVersion": 2, "manifests": [top]}
    layout = {"imageLayoutVersion": "1.0.0"}
    return archive({"oci-layout": json.dumps(layout).encode(), "index.json": json.dumps(index).encode(), **blobs})


if __name__ == "__main__":
    out, called, path = sys.argv[1:]
    Path(out).write_bytes(image(called, Path(path)))
