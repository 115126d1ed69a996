"""A kernel in an environment of its own, driven as a notebook page drives it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from tools.fresh_environment import Environment

SECONDS = 300


@dataclass
class Reply:
    """What a cell showed: printed text, and its error as the page would show it."""

    text: str = ""
    error: str = ""
    traceback: list[str] = field(default_factory=list)

    def add(self, message: dict[str, Any]) -> None:
        """Take in one message of the kernel."""
        content = message["content"]
        if message["msg_type"] == "stream":
            self.text += content["text"]
        elif message["msg_type"] == "error":
            self.error = f"{content['ename']}: {content['evalue']}"
            self.traceback = content["traceback"]


class LiveKernel:
    """A running kernel; leave its `with` block to end it."""

    def __init__(self, environment: Environment, variables: Mapping[str, str]) -> None:
        specs = environment.folder / "kernels"
        (specs / "fresh").mkdir(parents=True, exist_ok=True)
        command = [str(environment.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": "fresh", "language": "python"}
        (specs / "fresh" / "kernel.json").write_text(json.dumps(spec))
        found = KernelSpecManager(kernel_dirs=[str(specs)], ensure_native_kernel=False)
        self._manager = KernelManager(kernel_name="fresh", kernel_spec_manager=found)
        self._start = {"cwd": str(environment.folder), "env": environment.variables(variables)}

    def __enter__(self) -> "LiveKernel":
        self._manager.start_kernel(**self._start)
        self._connect()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _connect(self) -> None:
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=SECONDS)

    def restart(self) -> None:
        """Do what the page's Restart does."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=True)
        self._connect()

    def run(self, code: str) -> Reply:
        """Run a cell and return what it showed."""
        reply = Reply()
        self._client.execute_interactive(
            code, timeout=SECONDS, output_hook=reply.add, allow_stdin=False
        )
        return reply

    def run_all(self, cells: list[str]) -> None:
        """Run cells to the end.

        Raises:
            AssertionError: One failed; the error names it.
        """
        for code in cells:
            reply = self.run(code)
            assert reply.error == "", f"{code}\n\n{reply.error}"
