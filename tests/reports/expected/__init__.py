"""What every cell of every report has to be, worked out row by row from what is stored.

Plain, slow, and apart from the reports: tables are read whole, schemes are read from their YAML once more, and nothing
of `domain.settlement`, `storage.report_*` or `services` is imported.
"""
