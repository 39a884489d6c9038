#!/bin/bash
[[ -f ./setup ]] && source ./setup

pushd /root >/dev/null
exec /usr/sbin/sshd -D -e 2>&1
popd
