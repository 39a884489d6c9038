#!/bin/bash
set -eo pipefail
shopt -s nullglob

note() { printf '%s [Note] %s\n' "$(date --rfc-3339=seconds)" "$*"; }
fail() { printf '%s [ERROR] %s\n' "$(date --rfc-3339=seconds)" "$*" >&2; exit 1; }

configured() {
	local conf="$1"; shift
	"$@" --verbose --help 2>/dev/null | awk -v conf="$conf" '$1 == conf && /^[^ \t]/ { sub(/^[^ \t]+[ \t]+/, ""); print; exit }'
}

start_temporary() {
	"$@" --skip-networking --socket="$SOCKET" --wsrep_on=OFF --loose-innodb_buffer_pool_load_at_startup=0 &
	PID=$!
	local i
	for i in {30..0}; do
		if mariadb --protocol=socket -uroot -hlocalhost --socket="$SOCKET" --database=mysql <<<'SELECT 1' &> /dev/null; then
			break
		fi
		sleep 1
	done
	if [ "$i" = 0 ]; then
		fail "the server did not start"
	fi
}

stop_temporary() {
	kill "$PID"
	wait "$PID"
}

main() {
	if [ "${1:0:1}" = '-' ]; then
		set -- mariadbd "$@"
	fi
	if [ "$1" = 'mariadbd' ] || [ "$1" = 'mysqld' ]; then
		note "entrypoint script for MariaDB started"
		DATADIR="$(configured 'datadir' "$@")"
		SOCKET="$(configured 'socket' "$@")"
		if [ "$(id -u)" = "0" ]; then
			mkdir -p "$DATADIR"
			find "$DATADIR" \! -user mysql \( -exec chown mysql: '{}' + -o -true \)
			note "switching to the user mysql"
			exec gosu mysql "${BASH_SOURCE[0]}" "$@"
		fi
		if [ ! -d "$DATADIR/mysql" ]; then
			mariadb-install-db --datadir="$DATADIR" --auth-root-authentication-method=normal --skip-test-db
			start_temporary "$@"
			for f in /docker-entrypoint-initdb.d/*; do
				case "$f" in
					*.sh) . "$f" ;;
					*.sql) mariadb --socket="$SOCKET" < "$f" ;;
					*.sql.zst) zstd -dc "$f" | mariadb --socket="$SOCKET" ;;
				esac
			done
			stop_temporary
		elif mariadb-upgrade --check-if-upgrade-is-needed; then
			note "an upgrade is required"
		fi
	fi
	exec "$@"
}

main "$@"
