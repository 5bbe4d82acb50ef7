"""Where everything is kept: one git-ignored folder, `.connectra/` in the project root or $CONNECTRA_HOME."""

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectra_client.errors import ClientError
from connectra_gateway.clients import new_key


class LocalError(Exception):
    """Anything the user can act on; its text is the whole message, shown without a stack trace."""


def project_root() -> Path:
    """The checkout this package is installed from (editable install), else the current folder."""
    root = Path(__file__).resolve().parents[4]
    return root if (root / "deploy/local/pyproject.toml").is_file() else Path.cwd()


@dataclass(frozen=True)
class Home:
    """The state folder. `downloads` may be elsewhere ($CONNECTRA_DOWNLOADS), so that several homes can share it."""

    path: Path
    downloads: Path

    @classmethod
    def find(cls) -> "Home":
        path = Path(os.environ.get("CONNECTRA_HOME") or project_root() / ".connectra").absolute()
        return cls(path, Path(os.environ.get("CONNECTRA_DOWNLOADS") or path / "downloads").absolute())

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def state_file(self) -> Path:
        return self.run / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"

    def create(self) -> None:
        """Create the folders. Other users may traverse them (for root, PostgreSQL runs as `nobody`) but not list them.

        Raises:
            ClientError: one cannot be created.
        """
        for folder in (self.path, self.data, self.logs, self.run):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o711)
            except OSError as error:
                raise ClientError(f"the folder {folder} cannot be created: {error.strerror}") from error

    @property
    def outside(self) -> Path:
        """Used as root only, for what PostgreSQL's account cannot reach in this home."""
        return Path("/var/lib/connectra") / hashlib.sha256(str(self.path).encode()).hexdigest()[:12]

    def log_of(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def remove_data(self) -> None:
        """Delete data, logs and run state; keys and downloads stay."""
        for folder in (self.data, self.logs, self.run, self.outside):
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys of the embedded servers, generated once and kept in a file that only its owner can read."""

    postgres_password: str
    s3_access_key: str
    s3_secret_key: str
    api_key: str

    @classmethod
    def load(cls, home: Home) -> "Secrets":
        """Those in the file, which is made if there is none.

        Raises:
            ClientError: it cannot be read.
        """
        file = home.path / "secrets.json"
        if not file.exists():
            made = cls(
                postgres_password=secrets.token_urlsafe(24),
                s3_access_key="connectra" + secrets.token_hex(6),
                s3_secret_key=secrets.token_urlsafe(30),
                api_key=new_key(),
            )
            home.create()
            write_private(file, made.__dict__)
        try:
            return cls(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise ClientError(
                f"{file}, with the passwords of the data in {home.data}, cannot be read ({error}): restore it, or delete both"
            ) from error


def write_private(file: Path, content: Any) -> None:
    """Atomically replace `file` with `content` as JSON, readable by its owner only."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(content, out, indent=1)
    part.replace(file)
