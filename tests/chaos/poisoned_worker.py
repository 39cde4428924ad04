"""`python -m tests.chaos.poisoned_worker DIRECTORY`: a `hub worker` whose templates are in that directory."""

from __future__ import annotations

import sys
from pathlib import Path

from hub.cli import main
from hub.services.shipped import Shipped

if __name__ == "__main__":
    defaults = Shipped.__init__.__kwdefaults__
    assert defaults is not None
    defaults["directory"] = Path(sys.argv[1])
    sys.argv[1:] = ["worker"]
    main()
