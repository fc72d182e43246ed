"""`firestorm completion`: a script for the user's shell, made of the parser."""

from __future__ import annotations

import argparse

import shtab

from firestorm.commands.parser import parser


def run(chosen: argparse.Namespace) -> int:
    print(shtab.complete(parser(), shell=chosen.shell))
    return 0
