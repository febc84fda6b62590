"""Tables in files, CSV and XLSX, read row by row: a large one takes no more memory than a small one."""

from connectors.files.tables import open_table

__all__ = ["open_table"]
