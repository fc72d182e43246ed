"""``python -m firestorm_butane``: the commands without the rest of Firestorm."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
