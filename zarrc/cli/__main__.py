"""``python -m zarrc.cli``: the ``zarrc`` command where its script is not on the path."""

from zarrc.cli import main

main()
