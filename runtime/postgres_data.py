"""What is in a PostgreSQL data folder, seen from outside."""

from pathlib import Path

# Object numbers below are the system's own; a database of a user has a folder named from here on.
_FIRST_USER_DATABASE = 16384


def holds_databases(data: Path) -> bool:
    """Whether somebody made databases in it: then nothing in it may be thrown away."""
    databases = data / "base"
    names = [entry.name for entry in databases.iterdir()] if databases.is_dir() else []
    return any(name.isdigit() and int(name) >= _FIRST_USER_DATABASE for name in names)
