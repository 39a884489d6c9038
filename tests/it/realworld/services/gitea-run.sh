#!/bin/bash
[[ -f ./setup ]] && source ./setup

pushd /app/gitea >/dev/null
exec gosu $USER /usr/local/bin/gitea web
popd
