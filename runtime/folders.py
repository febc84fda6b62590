"""Folders of ours that cannot be written."""

from pathlib import Path

from domain.problems import ConfigurationProblem, Text


def unwritable(directory: Path, error: OSError) -> ConfigurationProblem:
    """The refusal of a data folder that cannot be written."""
    return ConfigurationProblem(
        Text(
            f"无法写入数据目录 {directory}（{error.strerror}）。"
            "请修改该目录的权限，或用 TANDEM_DATA_DIR 指定可写的目录。",
            f"The data folder {directory} cannot be written ({error.strerror}). "
            "Change its permissions, or name a writable folder with TANDEM_DATA_DIR.",
        )
    )
