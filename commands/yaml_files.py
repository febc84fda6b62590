"""The YAML files that a person names on the command line: found and read, or refused in words."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from domain.problems import Text, ValidationProblem


def yaml_files(places: Iterable[Path]) -> Iterator[Path]:
    """The YAML files in each folder and below it, in order; what is no folder as it was named, be it there or not."""
    for place in places:
        if place.is_dir():
            yield from sorted(found for found in place.rglob("*") if found.suffix in (".yaml", ".yml"))
        else:
            yield place


def read_file(path: Path) -> bytes:
    """What is in a file; raises ValidationProblem with the reason when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ValidationProblem(
            Text(f"无法读取 {path}：文件不存在", f"{path} cannot be read: there is no such file")
        ) from None
    except OSError as error:
        said = error.strerror or str(error)
        raise ValidationProblem(Text(f"无法读取 {path}：{said}", f"{path} cannot be read: {said}")) from None
