"""`python -m connectra_local.setup`: fetch what no Python wheel contains. Quick when it has been fetched already."""

import sys
import time

from connectra_local import elasticsearch
from connectra_local.home import Home, LocalError


def install_parts(home: Home) -> None:
    """Install Elasticsearch into the downloads folder and show the progress.

    Raises:
        LocalError: it cannot be fetched; the message says what to do.
    """
    if elasticsearch.installation(home.downloads).is_dir():
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console()
    began = time.monotonic()
    name = f"Elasticsearch {elasticsearch.version()}"
    if not console.is_terminal:
        console.print(f"{name}: fetching its jars (46 MB) ...", highlight=False)
    jars = (MofNCompleteColumn(), TextColumn("jars  {task.fields[size]}"))
    columns = (TextColumn("{task.description}"), BarColumn(), *jars, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        task = display.add_task(name, total=None, size="")

        def progress(here: int, total: int, fetched: int) -> None:
            size = f"{fetched / 1e6:.1f} MB" if here < total else "compiling the launcher"
            display.update(task, completed=here, total=total, size=size)

        elasticsearch.install(home.downloads, progress)
    console.print(f"{name}: installed in {time.monotonic() - began:.1f} s", highlight=False)


def main() -> None:
    try:
        install_parts(Home.find())
    except LocalError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
