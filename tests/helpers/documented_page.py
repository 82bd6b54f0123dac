"""Running the code of one page of the documentation."""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
import tomllib
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from documented_code import Block, commands, matches
from typer.testing import CliRunner

from gradprobe import cli
from gradprobe.studies.reading import parse_study


class PageRunner:
    """Runs blocks in order, in the current folder.

    `in_copy`: the folder holds a copy of the package, which commands are run from.
    """

    def __init__(self, folder: Path, in_copy: bool) -> None:
        self.folder = folder
        self.in_copy = in_copy
        self.namespace: dict[str, Any] = {"__name__": "documented"}
        self.printed = ""

    def run(self, block: Block) -> None:
        """Run or read a block, by its language."""
        if block.mark == "output":
            assert matches(block.text, self.printed), f"{block.place} printed:\n{self.printed}"
            return
        if not block.is_run:
            for command in commands(block.text) if block.language == "sh" else []:
                parse(command)
            return
        handler = getattr(self, f"_{block.language}", None)
        assert handler is not None, f"{block.place}: no way to test {block.language!r} blocks"
        handler(block)

    def _math(self, block: Block) -> None:
        assert block.text.strip()

    def _python(self, block: Block) -> None:
        code = compile(block.text, block.place, "exec", dont_inherit=True)
        if block.title:
            self._write(block)
            return
        with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
            if block.mark == "warns":
                warnings.simplefilter("ignore")
            exec(code, self.namespace)  # noqa: S102 - the documentation's own example
        self.printed = printed.getvalue()

    def _sh(self, block: Block) -> None:
        *first, last = commands(block.text)
        for command in first:
            self._expect(block, command, 0)
        self._expect(block, last, block.exit_code)

    def _console(self, block: Block) -> None:
        code = 0
        for entry in block.text.split("\n$ ") if block.text.startswith("$ ") else [""]:
            command, _, expected = entry.removeprefix("$ ").partition("\n")
            if command == "echo $?":
                assert expected.strip() == str(code), f"{block.place}: exit code {code}"
                continue
            code = self._command(command)
            assert matches(expected, self.printed), f"{block.place} printed:\n{self.printed}"
        assert code == block.exit_code, f"{block.place}: exit code {code}"

    def _expect(self, block: Block, command: str, expected: int) -> None:
        code = self._command(command)
        assert code == expected, f"{block.place}: {command}: exit code {code}\n{self.printed}"

    def _command(self, command: str) -> int:
        program, *arguments = shlex.split(command)
        if program == "pytest":
            return self._pytest(arguments)
        assert program == "gradprobe", f"{command}: only gradprobe and pytest are run"
        return self._in_copy(arguments) if self.in_copy else self._in_process(arguments)

    def _in_process(self, arguments: list[str]) -> int:
        done = CliRunner().invoke(cli.app, arguments, prog_name="gradprobe")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        self.printed = done.output
        return done.exit_code

    def _in_copy(self, arguments: list[str]) -> int:
        stream = self.server
        assert stream.stdin is not None
        assert stream.stdout is not None
        stream.stdin.write(json.dumps(arguments) + "\n")
        stream.stdin.flush()
        done = json.loads(stream.stdout.readline())
        assert "Traceback" not in done["errors"], done["errors"]
        self.printed = done["printed"]
        return int(done["code"])

    @cached_property
    def server(self) -> subprocess.Popen[str]:
        """What runs the copy's commands."""
        script = Path(__file__).with_name("command_server.py")
        return subprocess.Popen(
            [sys.executable, str(script), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        """End the server, if there is one."""
        if "server" in self.__dict__:
            self.server.communicate(timeout=60)

    def _pytest(self, arguments: list[str]) -> int:
        plugins = ["-p", "gradprobe.pytest_plugin", "-p", "no:cacheprovider"]
        own = ["-q", "--rootdir", str(self.folder), "-c", os.devnull, "--import-mode=importlib"]
        with (
            contextlib.redirect_stdout(io.StringIO()) as printed,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            code = pytest.main([*plugins, *own, *arguments])
        self.printed = printed.getvalue()
        return int(code)

    def _toml(self, block: Block) -> None:
        table = tomllib.loads(block.text)
        if "models" in table and not self.in_copy:
            parse_study(block.text, block.title or "study.toml")
        self._write(block)

    def _yaml(self, block: Block) -> None:
        for command in _lines_of(yaml.safe_load(block.text)):
            if command.startswith("gradprobe "):
                parse(command)
        self._write(block)

    def _ini(self, block: Block) -> None:
        configparser.ConfigParser(interpolation=None).read_string(block.text)
        self._write(block)

    def _diff(self, block: Block) -> None:
        lines = block.text.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        file = self.folder / block.title
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{block.place}: {block.title} has not these lines, once"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def _write(self, block: Block) -> None:
        if block.title:
            file = self.folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")


def parse(command: str) -> None:
    """Parse a gradprobe command without running it; other commands are not looked at."""
    program, *arguments = shlex.split(command)
    if Path(program).name != "gradprobe":
        return
    group: Any = typer.main.get_command(cli.app)
    with click.Context(group, info_name="gradprobe") as context:
        while hasattr(group, "commands"):
            assert arguments, command
            assert arguments[0] in group.commands, command
            group = group.commands[arguments.pop(0)]
        group.make_context(group.name, arguments, parent=context)


def _lines_of(value: Any) -> list[str]:
    """Return every line of every string in nested lists and tables."""
    if isinstance(value, str):
        return value.splitlines()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [line for part in parts for line in _lines_of(part)]
