"""The command line: a table of names and one-line summaries. A command's module is imported only when it is used."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper
from types import FrameType
from typing import Any

import click

GROUPS = {
    "Start": {
        "new": "Inspect labeled examples and write a recipe that suits them.",
        "check": "Draw the few-shot split and check for leaks, wrong labels, drift and broken files.",
        "select": "Rank backbones for these images under a budget, without training them.",
        "cluster": "Group unlabeled images and propose which to label next.",
        "pretrain": "Train a small network on texts or windows without labels.",
        "demo": "Run a whole build on data that ships with the package.",
    },
    "Build": {
        "build": "Run check and every stage below; exit code 3 if a gate is missed.",
        "import": "Quantize and compile a trained ONNX classifier of your own; nothing is trained.",
        "adapt": "Fine-tune the backbone on the few shots.",
        "quantize": "Quantize for each target: calibration or quantization-aware training.",
        "export": "Write the pivot: ONNX models proven equal to the trained networks.",
        "compile": "Compile a recipe, or an exported pivot, into bundles.",
        "bench": "Measure accuracy and latency of bundles on their own runtimes.",
        "compare": "Time two bundles in turns and say whether one is faster.",
        "throughput": "Search streams, threads and batch for the most examples a second.",
        "loadgen": "Run an MLPerf scenario by LoadGen: one stream, several, a server, offline.",
        "sweep": "Build with many settings: which are best in accuracy, latency and size.",
        "report": "Evaluate the gates, choose the builds that ship, write report.html and report.json.",
        "language": "Build bundles of a language model from its folder, proven on texts.",
    },
    "Explain": {
        "blame": "Rank the layers of an INT8 network by accuracy lost (quantization sensitivity).",
        "forecast": "Predict the accuracy lost on an x86 CPU without VNNI (saturation simulation).",
    },
    "Use": {
        "predict": "Classify files or texts with a bundle, or find objects.",
        "listen": "Spot the classes of a sound bundle in a long recording; misses and false accepts per hour.",
        "generate": "Continue a text with a language model's bundle.",
        "verify": "Check a bundle's digests and replay its golden vectors.",
    },
    "Machine": {
        "targets": "List the targets, or show one.",
        "devices": "Show what is on devices that are reached over ssh.",
        "doctor": "Show which backends work here, and how to fix those that do not.",
        "clean": "Remove stage results that no command's latest run uses.",
    },
}
COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}


def _module(command_name: str) -> str:
    return "import_onnx" if command_name == "import" else command_name  # which Python does not take as a name


class LazyGroup(click.Group):
    """Commands from the table; `--help` imports none of them."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError) as error:  # click treats both as leaving a prompt
            raise _PastClick(error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"edgetl.cli.{_module(cmd_name)}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"commands are: {', '.join(COMMANDS)}"
            raise click.UsageError(f"unknown command `{args[0]}`; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, COMMANDS))
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(widest), summary) for name, summary in commands.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="edgetl", prog_name="edgetl")
def command() -> None:
    """Turn a handful of labeled examples into compiled, proven models for edge hardware.

    Results go to stdout, progress to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 gates not met.
    """


def main(args: list[str] | None = None) -> None:
    """Entry point. Whatever happens ends in one clear line, never a traceback."""
    _switch_off_telemetry()
    _wait_without_spinning()
    if isinstance(sys.stdout, TextIOWrapper):
        # file names need not be valid text; print the result anyway
        sys.stdout.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        # warnings of libraries are for us, not for the user; python -W shows them
        warnings.simplefilter("ignore")
    with _signals_stop():
        code = _run(args)
    stopped = code in {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if stopped and args is None:  # only in a process of its own, not when called from Python
        # do not wait for trainings in threads, or the seconds that torch takes to shut down
        os._exit(code)
    sys.exit(code)


def _run(args: list[str] | None) -> int:
    try:
        outcome: Any = command.main(args=args, prog_name="edgetl", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is an error of this command
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except _PastClick as carried:
        return _ended(carried.error)
    except (Exception, KeyboardInterrupt) as error:
        return _ended(error)
    return outcome if isinstance(outcome, int) else 0


class _PastClick(BaseException):
    """Carries an exception past click, which would turn it into its own Abort."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class Stopped(KeyboardInterrupt):
    """A signal that ends a command as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def _signals_stop() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Stopped, so that everything is cleaned up; a signal that is ignored (nohup) stays so."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the cleanup
        raise Stopped(number)

    try:
        for number in numbers:
            if before[number] == signal.SIG_DFL:
                signal.signal(number, stop)
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def _ended(error: BaseException) -> int:
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _stopped(error.number if isinstance(error, Stopped) else signal.SIGINT)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # ignore it, or Python would complain again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 1  # the reader of our stdout went away
    try:
        from edgetl.cli.failures import explain

        return explain(error)
    except (MemoryError, SystemError, ImportError):  # not even enough memory for the message
        os.write(2, b"edgetl: out of memory\n")
        return 1


def _stopped(number: int) -> int:
    code = 128 + number
    with suppress(OSError):  # the terminal may be gone
        click.echo("edgetl: stopped; finished stages are kept, run the same command to resume", err=True)
    return code


def _show(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    more = f" (see: {context.command_path} --help)" if context else ""
    click.echo(f"edgetl: {' '.join(error.format_message().split()).rstrip('.')}{more}", err=True)


def _switch_off_telemetry() -> None:
    # libraries may phone home unless these are set before they are imported
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    for name in ("OPENVINO_TELEMETRY_DISABLED", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")


def _wait_without_spinning() -> None:
    # torch's threads spin while they wait: with another process on one of the cores, a training step took five times as
    # long (OpenMP reads this once, when torch is loaded)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
