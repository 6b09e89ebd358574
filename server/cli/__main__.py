"""`python -m server.cli` is `joulehub`."""

from server.cli.main import main

raise SystemExit(main())
