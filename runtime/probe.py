"""`python -m runtime.probe URL`: exit code 0 when the address answers with a success; for container health checks."""

import sys
import urllib.error
import urllib.request


def main(url: str) -> int:
    """0 for an answer below 400 within four seconds, else 1."""
    if not url.startswith(("http://", "https://")):
        return 2
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:  # noqa: S310 - the scheme was checked
            return 0 if answer.status < 400 else 1
    except (urllib.error.URLError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
