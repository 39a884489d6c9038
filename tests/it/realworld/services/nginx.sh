#!/bin/sh
# vim:sw=4:ts=4:et
set -e

entrypoint_log() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then
        echo "$@"
    fi
}

if [ "$1" = "nginx" ] || [ "$1" = "nginx-debug" ]; then
    if /usr/bin/find "/docker-entrypoint.d/" -mindepth 1 -maxdepth 1 -type f -print -quit 2> /dev/null | read v; then
        entrypoint_log "$0: files were found in /docker-entrypoint.d/"
        find "/docker-entrypoint.d/" -follow -type f -print | sort -V | while read -r f; do
            case "$f" in
                *.envsh)
                    if [ -x "$f" ]; then
                        entrypoint_log "$0: sourcing $f"
                        . "$f"
                    else
                        entrypoint_log "$0: ignoring $f, not executable"
                    fi
                    ;;
                *.sh)
                    if [ -x "$f" ]; then
                        entrypoint_log "$0: launching $f"
                        "$f"
                    else
                        entrypoint_log "$0: ignoring $f, not executable"
                    fi
                    ;;
                *) entrypoint_log "$0: ignoring $f" ;;
            esac
        done
        entrypoint_log "$0: ready for start up"
    else
        entrypoint_log "$0: no files were found in /docker-entrypoint.d/"
    fi
fi

exec "$@"
