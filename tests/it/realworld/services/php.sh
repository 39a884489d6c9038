#!/bin/sh
set -e
if [ "${1#-}" != "$1" ]; then
	set -- php-fpm8.2 "$@"
fi
if [ -d /docker-entrypoint.d ]; then
	/bin/run-parts --verbose --regex '.*\.sh$' /docker-entrypoint.d
fi
exec "$@"
