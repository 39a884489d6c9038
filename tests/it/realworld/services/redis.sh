#!/bin/sh
set -e

# The first argument is an option, or a file of configuration.
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi

CMD=$(command -v "$1" 2> /dev/null || :)
if [ "$CMD" ]; then
	REAL=$(readlink -f "$CMD")
	case "$REAL" in
		*/redis-server | */redis-check-rdb) IS_SERVER=1 ;;
	esac
fi
if [ "$IS_SERVER" ] && [ "$(id -u)" = '0' ] && [ -z "$SKIP_DROP_PRIVS" ]; then
	find . \! -user redis -exec chown redis '{}' +
	exec gosu redis "$0" "$@"
fi

um="$(umask)"
if [ "$um" = '0022' ]; then
	umask 0077
fi

exec "$@"
