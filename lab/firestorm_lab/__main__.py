"""`python -m firestorm_lab`."""

import sys

from firestorm_lab.cli import main

sys.exit(main())
