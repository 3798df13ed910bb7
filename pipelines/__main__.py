"""`python -m pipelines COMMAND --flags`, the same as `dc-keras COMMAND --flags`."""

import sys

from pipelines._cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
