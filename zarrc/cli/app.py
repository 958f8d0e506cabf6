"""The command ``zarrc``: its options, and how it ends."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import zarrc
from zarrc.cli.compact_command import compact_command
from zarrc.cli.copy_command import copy_command
from zarrc.cli.failure import explain
from zarrc.cli.import_command import import_command
from zarrc.cli.info_command import info_command
from zarrc.cli.pack_command import pack_command, unpack_command
from zarrc.cli.tree_command import tree_command

__all__ = ["zarrc_command"]

_FAILED = 1
_INTERRUPTED = 130  # as shells report a process that SIGINT ended


class _OneLine(click.Group):
    """A group whose every failure is one line on standard error, and an exit code that is not 0."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:  # wrong usage
            self._fail(error.format_message(), error.exit_code)
        except click.Abort:
            self._fail("interrupted", _INTERRUPTED)
        except BrokenPipeError:
            _forget_output()
            sys.exit(_FAILED)
        except _Debug as error:
            raise error.error from None
        except Exception as error:
            self._fail(explain(error), _FAILED)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:  # click would print an empty line
            raise click.Abort from None
        except Exception as error:
            if ctx.params.get("debug"):
                raise _Debug(error) from None
            raise

    def _fail(self, text: str, code: int) -> None:
        click.echo(f"zarrc: error: {text}", err=True)
        sys.exit(code)


class _Debug(Exception):
    """Carries an error past the handlers above, to be shown with its traceback."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _forget_output() -> None:
    """Whoever read our output went away (``zarrc tree x | head``): Python must not complain when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error came from.")
@click.version_option(zarrc.__version__, prog_name="zarrc", message="%(prog)s %(version)s")
def zarrc_command(debug: bool) -> None:
    """Chunked, compressed arrays: import them, copy them, look at them."""


zarrc_command.add_command(compact_command)
zarrc_command.add_command(copy_command)
zarrc_command.add_command(import_command)
zarrc_command.add_command(info_command)
zarrc_command.add_command(pack_command)
zarrc_command.add_command(tree_command)
zarrc_command.add_command(unpack_command)
