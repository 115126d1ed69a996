"""JupyterLab in a real browser: start it as `make lab` does, open, run and read notebooks."""

import ast
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

from tools.notebooks import KERNEL_ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "lessons"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW_TO_GET_ONE = (
    "no Chromium was found, and browser tests need one: `apt-get install chromium`, "
    "`brew install --cask chromium`, or `.venv/bin/python -m playwright install chromium`; "
    "where it lies elsewhere, say so by CHROMIUM=/path/to/chromium"
)
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 420, "height": 800}
WAIT = 120_000  # milliseconds, until something that never comes is a failure
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def find_chromium(playwright: Playwright) -> str | None:
    named = os.environ.get("CHROMIUM")
    own = playwright.chromium.executable_path
    found = [named, *map(shutil.which, NAMES), own if Path(own).exists() else None]
    return next((path for path in found if path), None)


@contextmanager
def chromium(playwright: Playwright, path: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
    yield browser
    browser.close()


@dataclass(frozen=True)
class Server:
    """A running JupyterLab."""

    url: str
    folder: Path  # what it shows: a copy of the lessons
    log: Path

    def opened_page(self) -> str:
        """Return the page that JupyterLab opened at its start: a file that leads on to a lesson."""
        told = self.folder.parent / "opened"
        for _ in range(1000):
            if told.exists() and (address := told.read_text("utf-8").strip()):
                return address
            time.sleep(0.1)
        raise RuntimeError(f"JupyterLab opened no page; it said:\n{self.log.read_text('utf-8')}")


@contextmanager
def lab_server(folder: Path) -> Iterator[Server]:
    """Run `make lab` in a copy of the checkout, so that nothing is written into the tree."""
    shutil.copytree(
        ROOT / "notebooks", folder / "notebooks",
        ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"),
    )  # fmt: skip
    shutil.copy(ROOT / "Makefile", folder)
    # The command opens the lessons beside the package that it is started from.
    (folder / "gemma_mtp_edu").symlink_to(ROOT / "gemma_mtp_edu")
    (folder / ".venv").symlink_to(sys.prefix)
    port = _free_port()
    arguments = (
        f"--expose-app-in-browser --ServerApp.port={port} "
        f"--ServerApp.port_retries=0 --IdentityProvider.token={TOKEN}"
    )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments += " --allow-root"
    log = folder / "lab.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            ["make", "lab", "READY=", f"LAB_ARGS={arguments}"], cwd=folder, stdout=output,
            stderr=subprocess.STDOUT, env=_environment(folder), start_new_session=True,
        )  # fmt: skip
    server = Server(f"http://127.0.0.1:{port}", folder / "notebooks", log)
    try:
        _wait_until_it_answers(server, process)
        yield server
    finally:
        _stop(process)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment whose settings lie in the folder: no person's own ones matter."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "MAKE", "MFLAGS"))}
    own = {
        name: str(folder / "jupyter" / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR",
        )
    }  # fmt: skip
    news = Path(own["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab/apputils-extension"
    news.mkdir(parents=True)
    # It asks once whether to fetch news from the network.
    settings = {"fetchNews": "false", "checkForUpdates": False}
    (news / "notification.jupyterlab-settings").write_text(json.dumps(settings), encoding="utf-8")
    # In place of a person's browser: it notes the page that it is told to open.
    opener = folder / "opener"
    opener.write_text('#!/bin/sh\necho "$1" > "$(dirname "$0")/opened"\n', encoding="utf-8")
    opener.chmod(0o755)
    own["BROWSER"] = f"'{opener}' %s"
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return kept | KERNEL_ENVIRONMENT | own | {"PYTHONPATH": path}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(server: Server, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(3000):
        try:
            urllib.request.urlopen(f"{server.url}/api/status?token={TOKEN}", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"JupyterLab does not answer; it said:\n{server.log.read_text('utf-8')}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    # The group holds make and JupyterLab, which stops its kernels itself.
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(20)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


EMPTY_PICTURE = "<svg xmlns='http://www.w3.org/2000/svg' width='90' height='20'/>"


@contextmanager
def watched_page(browser: Browser) -> Iterator[Page]:
    """Open a fresh window that reaches this machine alone; nothing in it may be complained of.

    Badges from elsewhere are empty pictures.
    """
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def failed(request: Request) -> None:
        # A page that is left, or a socket that is closed, cuts its requests off.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"request: {request.url} {request.failure}")

    context = browser.new_context(viewport=WIDE)
    context.route(
        re.compile(r"^https?://(?!(?:127\.0\.0\.1|localhost)[:/])"),
        lambda route: route.fulfill(body=EMPTY_PICTURE, content_type="image/svg+xml"),
    )
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("requestfailed", failed)
    yield page
    context.close()
    assert complaints == []


class NotebookPage:
    """A notebook in JupyterLab, as a learner has it before them.

    Cells are counted from 0 over all kinds; JupyterLab draws those near the window only, so each
    is scrolled to before it is read.
    """

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page, self.server, self.name = page, server, name
        page.goto(f"{server.url}/lab/tree/{name}?token={TOKEN}&reset")
        page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell", timeout=300_000)
        self.wait_for_kernel()

    def command(self, name: str, **arguments: Any) -> Any:
        """Run a command of JupyterLab's and wait for its end."""
        command = "([name, args]) => window.jupyterapp.commands.execute(name, args)"
        # What other commands return cannot leave the page.
        return self.page.evaluate(f"{command}.then(result => result === true)", [name, arguments])

    def wait_for_kernel(self) -> None:
        self.page.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"
            " === 'idle'",
            timeout=300_000,
        )

    def run_all(self, timeout: float = 600) -> None:
        """Forget all outputs, run every cell and wait for the last; `timeout` in seconds."""
        self.command("notebook:clear-all-cell-outputs")
        self.page.set_default_timeout(1000 * timeout)
        ended = self.command("notebook:run-all-cells")
        self.page.set_default_timeout(WAIT)
        assert ended, f"{self.name}: a cell failed: {self.errors()}"

    def wait_until_all_ran(self, timeout: float = 600) -> None:
        """Wait until no code cell waits for its turn any more; `timeout` in seconds."""
        deadline = time.monotonic() + timeout
        while self.not_run() and not self.errors() and time.monotonic() < deadline:
            self.page.wait_for_timeout(200)
        self.wait_for_kernel()

    def cells(self) -> list[dict[str, Any]]:
        """Return the notebook's cells as they would be saved."""
        model = "window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"
        return list(self.page.evaluate(model))

    def errors(self) -> list[str]:
        outputs = [output for cell in self.cells() for output in cell.get("outputs", [])]
        return [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"]

    def not_run(self) -> list[int]:
        cells = enumerate(self.cells())
        return [i for i, c in cells if c["cell_type"] == "code" and not c["execution_count"]]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a Python expression in the kernel; literals only."""
        reply = self.page.evaluate(
            """code => new Promise(resolve => {
              const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              const future = kernel.requestExecute(
                {code: '', silent: true, store_history: false, user_expressions: {it: code}});
              future.onReply = reply => resolve(reply.content.user_expressions.it);
            })""",
            expression,
        )
        assert reply["status"] == "ok", reply
        return ast.literal_eval(reply["data"]["text/plain"])

    def show(self, index: int) -> Any:
        """Scroll to a cell and return its element."""
        self.page.evaluate(
            "index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')",
            index,
        )
        cell = self.page.locator(f".jp-Cell[data-windowed-list-index='{index}']")
        cell.wait_for()
        return cell

    def index_of(self, text: str) -> int:
        cells = enumerate(self.cells())
        return next(i for i, c in cells if c["cell_type"] == "code" and text in c["source"])

    def use_theme(self, theme: str) -> None:
        self.command("apputils:change-theme", theme=THEMES[theme])
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === String(light)", arg=theme == "light"
        )
