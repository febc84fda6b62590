#!/bin/sh
# Runs once, on an empty volume: one login and one database for each of the two programs, closed to the other.
set -eu
: "${TANDEM_DB_PASSWORD:?is empty: fill in deploy/tandem.env}" "${TEMPORAL_DB_PASSWORD:?is empty: fill in deploy/tandem.env}"

psql --username postgres --dbname postgres --set ON_ERROR_STOP=1 \
  --set tandem_password="$TANDEM_DB_PASSWORD" --set temporal_password="$TEMPORAL_DB_PASSWORD" <<'SQL'
-- CREATEROLE: the migration makes the role under which the application works.
CREATE ROLE tandem LOGIN CREATEROLE PASSWORD :'tandem_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE tandem OWNER tandem;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT, TEMPORARY ON DATABASE tandem, temporal, temporal_visibility FROM PUBLIC;
SQL
