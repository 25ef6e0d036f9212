"""Installs the browser that tests of the model server's page drive, where it is missing.

    python3 -m hack.browser

Debian's Chromium and its driver, of one version, so that neither a browser nor a driver is fetched from elsewhere.
"""

import sys
from collections.abc import Mapping
from types import MappingProxyType

from hack.local import packages
from hack.local.errors import LocalClusterError
from hack.local.progress import Progress

BROWSER = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
PACKAGES: Mapping[str, str] = MappingProxyType({BROWSER: "chromium", DRIVER: "chromium-driver"})


def main() -> int:
    try:
        packages.ensure(PACKAGES, Progress())
    except LocalClusterError as error:
        print(f"error: no browser to test with: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
