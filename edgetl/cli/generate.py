"""edgetl generate"""

from __future__ import annotations

import time
from pathlib import Path

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, FiniteRange, emit, given, json_option, threads_option


@click.command("generate", cls=Command)
@click.argument("bundle", type=FILE)
@click.option("--prompt", required=True, metavar="TEXT", help="The text to continue.")
@click.option("--tokens", type=click.IntRange(1), default=100, show_default=True, help="Tokens to write at most.")
@click.option(
    "--temperature",
    type=FiniteRange(0, 100),
    default=0.0,
    show_default=True,
    help="0 takes the likeliest token; higher values draw more freely.",
)
@click.option(
    "--top-p",
    type=FiniteRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Draw among the likeliest tokens that have this probability together.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws.")
@threads_option
@json_option
def command(
    bundle: Path,
    prompt: str,
    tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    threads: int,
    as_json: bool,
) -> None:
    """Continue a text with the language model in BUNDLE, which `edgetl language` built.

    The text that follows the prompt appears on stdout as it is computed, until the model ends it, --tokens are written
    or its context is full. The same options give the same text.

    \b
      edgetl generate stories-x86-cpu --prompt "Once upon a time"
      edgetl generate stories-x86-cpu --prompt "A cat" --temperature 0.8 --seed 7
    """
    from edgetl.fronts.text.decode import Decoder, Stream
    from edgetl.language.bundle import open_language, read_language
    from edgetl.language.continuation import Draw, continuation, prompt_ids

    unused = given(("top_p", "seed"))
    if unused and temperature == 0:
        raise click.UsageError(f"{next(iter(unused.values()))} is for draws; add --temperature above 0")
    opened = read_language(bundle)
    manifest = opened.manifest
    context = manifest.decoder.context
    ids = prompt_ids(opened.tokenizer, prompt, context)
    stream = Stream(Decoder(opened.tokenizer.description))
    written: list[int] = []
    moments: list[float] = []
    text = ""
    with open_language(opened, threads=threads) as network:
        moments.append(time.perf_counter())
        draw = Draw(temperature, top_p, seed)
        for token in continuation(network, ids, tokens, end=manifest.end, context=context, draw=draw):
            moments.append(time.perf_counter())
            written.append(token)
            text += _say(stream.add(token), as_json)
        text += _say(stream.end(), as_json)
    if not as_json:
        click.echo("" if text.endswith("\n") else "\n", nl=False)
        return
    stopped = "tokens" if len(written) == tokens else "context" if len(ids) + len(written) == context else "end"
    emit(
        {
            "bundle": str(bundle),
            "prompt": prompt,
            "text": text,
            "prompt_tokens": len(ids),
            "ids": written,
            "stopped": stopped,
            "first_token_ms": 1e3 * (moments[1] - moments[0]) if written else None,
            "ms_per_token": 1e3 * (moments[-1] - moments[1]) / (len(written) - 1) if len(written) > 1 else None,
        }
    )


def _say(text: str, quietly: bool) -> str:
    """Show it at once, without what controls a terminal; returns it."""
    from edgetl.files.text import printable

    if text and not quietly:
        click.echo("".join(letter if letter in "\n\t" else printable(letter) for letter in text), nl=False)
    return text
