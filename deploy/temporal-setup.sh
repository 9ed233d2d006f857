#!/bin/sh
# Creates or upgrades Temporal's two databases, before its server starts. Can be run any number of times.
set -eu
export SQL_PASSWORD="$POSTGRES_PWD"
for kind in temporal visibility; do
  database=temporal
  [ "$kind" = visibility ] && database=temporal_visibility
  tool() { temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p 5432 -u "$POSTGRES_USER" --db "$database" "$@"; }
  tool create
  tool setup-schema -v 0.0
  tool update-schema -d "/etc/temporal/schema/postgresql/v12/$kind/versioned"
done
