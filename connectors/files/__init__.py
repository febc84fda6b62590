"""Tables in files, CSV and XLSX, row by row: a large one takes no more memory than a small one."""

from connectors.files.tables import open_table
from connectors.files.writing import write_csv, write_xlsx

__all__ = ["open_table", "write_csv", "write_xlsx"]
