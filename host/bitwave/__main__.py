"""``python -m bitwave``: the same as the `bitwave` script."""

from .cli import main

main()
