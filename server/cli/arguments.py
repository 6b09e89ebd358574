"""Kinds of values on the command line; a wrong one is a mistake of usage (exit status 2)."""

from __future__ import annotations

import argparse
from math import isfinite


def port_number(text: str) -> int:
    """A TCP port; 0 lets the system choose."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: use 0 to 65535")
    return int(text)


def positive(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def how_many(text: str) -> int:
    """A whole number from 1 on: none at all would be told as if there were nothing to tell."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of things to tell: use 1 or more")
    return int(text)
