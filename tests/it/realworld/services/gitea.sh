#!/bin/sh

# Protects against a buggy runc that sets HOME wrongly.
if [ "$HOME" != "/data/git" ]; then
    export HOME="/data/git"
fi
if [ -z "${USER}" ]; then
    export USER="git"
fi

sed -i -e "s/^${USER}:/git:/" /etc/passwd || true
if [ -z "${USER_GID}" ]; then
    USER_GID="$(id -g "${USER}" 2> /dev/null || echo 1000)"
fi
if [ -n "${USER_UID}" ] && [ "${USER_UID}" != "$(id -u "${USER}")" ]; then
    sed -i -e "s/^${USER}:\([^:]*\):[0-9]*:[0-9]*/${USER}:\1:${USER_UID}:${USER_GID}/" /etc/passwd
fi

for FOLDER in /data/gitea/conf /data/gitea/log /data/git /data/ssh; do
    mkdir -p ${FOLDER}
done

if [ $# -gt 0 ]; then
    exec "$@"
else
    exec /usr/bin/s6-svscan /etc/s6
fi
