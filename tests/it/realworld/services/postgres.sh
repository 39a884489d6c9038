#!/usr/bin/env bash
set -Eeo pipefail
PG_MAJOR=15
export PATH="$PATH:/usr/lib/postgresql/$PG_MAJOR/bin"
: "${PGDATA:=/var/lib/postgresql/data}"

is_sourced() {
	[ "${#FUNCNAME[@]}" -ge 2 ] && [ "${FUNCNAME[0]}" = is_sourced ] && [ "${FUNCNAME[1]}" = source ]
}

value_of() {
	local name="$1" file="${1}_FILE" value="${2:-}"
	if [ "${!name:-}" ] && [ "${!file:-}" ]; then
		printf >&2 '%s and %s are both set\n' "$name" "$file"
		exit 1
	fi
	if [ "${!name:-}" ]; then
		value="${!name}"
	elif [ "${!file:-}" ]; then
		value="$(< "${!file}")"
	fi
	export "$name"="$value"
	unset "$file"
}

prepare() {
	local user; user="$(id -u)"
	mkdir -p "$PGDATA"
	chmod 00700 "$PGDATA" || :
	mkdir -p /var/run/postgresql || :
	if [ "$user" = '0' ]; then
		find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
		find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
	fi
}

initialise() {
	eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"' "$@"'
}

scripts() {
	printf '\n'
	local f
	for f; do
		case "$f" in
			*.sh)
				if [ -x "$f" ]; then
					printf '%s: running %s\n' "$0" "$f"
					"$f"
				else
					printf '%s: sourcing %s\n' "$0" "$f"
					. "$f"
				fi
				;;
			*.sql) psql -v ON_ERROR_STOP=1 --no-password --dbname "$POSTGRES_DB" -f "$f" ;;
			*.sql.gz) gunzip -c "$f" | psql --no-password --dbname "$POSTGRES_DB" ;;
			*) printf '%s: ignoring %s\n' "$0" "$f" ;;
		esac
	done
}

wants_help() {
	local arg
	for arg; do
		case "$arg" in
			-'?' | --help | --describe-config | -V | --version) return 0 ;;
		esac
	done
	return 1
}

main() {
	if [ "${1:0:1}" = '-' ]; then
		set -- postgres "$@"
	fi
	if [ "$1" = 'postgres' ] && ! wants_help "$@"; then
		value_of POSTGRES_PASSWORD
		value_of POSTGRES_USER postgres
		value_of POSTGRES_DB "$POSTGRES_USER"
		prepare
		if [ "$(id -u)" = '0' ]; then
			exec gosu postgres "$BASH_SOURCE" "$@"
		fi
		if [ -s "$PGDATA/PG_VERSION" ]; then
			echo 'the database is there already'
		else
			ls /docker-entrypoint-initdb.d/ > /dev/null
			initialise
			PGUSER="${PGUSER:-$POSTGRES_USER}" pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
			scripts /docker-entrypoint-initdb.d/*
			pg_ctl -D "$PGDATA" -m fast -w stop
			unset PGPASSWORD
		fi
	fi
	exec "$@"
}

if ! is_sourced; then
	main "$@"
fi
