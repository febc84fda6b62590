#!/bin/sh
# Brings both databases of Temporal to the schema of this version; does nothing when they have it already.
set -eu

upgrade() {
  database=$1 versions=$2
  sql() { temporal-sql-tool --plugin "$SQL_PLUGIN" --ep "$SQL_HOST" -p "$SQL_PORT" -u "$SQL_USER" --db "$database" "$@"; }
  # An upgrade fails on a database that has no version table yet: that one is set up first.
  sql update-schema -d "$versions" || { sql setup-schema -v 0.0 && sql update-schema -d "$versions"; }
}

upgrade temporal /etc/temporal/schema/postgresql/v12/temporal/versioned
upgrade temporal_visibility /etc/temporal/schema/postgresql/v12/visibility/versioned
