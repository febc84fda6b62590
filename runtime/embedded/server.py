"""What both embedded servers share: a folder of their own."""

from pathlib import Path

from runtime.folders import unwritable
from runtime.managed_process import ManagedProcess


class EmbeddedServer(ManagedProcess):
    """A server process whose state lives in a folder of ours."""

    def __init__(self, name: str, directory: Path, log_file: Path | None) -> None:
        self.directory = directory.absolute()
        super().__init__(name, log_file or self.directory / f"{name.lower()}.log")

    def prepare_directory(self) -> None:
        """Make the folder.

        :raises ConfigurationProblem: it cannot be written.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            probe = self.directory / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise unwritable(self.directory, error) from error
