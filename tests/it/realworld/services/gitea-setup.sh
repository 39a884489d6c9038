#!/bin/bash
if [ ! -d /data/git/.ssh ]; then
    mkdir -p /data/git/.ssh
    chmod 700 /data/git/.ssh
fi
if [ ! -f ${GITEA_CUSTOM}/conf/app.ini ]; then
    mkdir -p ${GITEA_CUSTOM}/conf
    APP_NAME=${APP_NAME:-"Gitea"} RUN_MODE=${RUN_MODE:-"prod"} envsubst < /etc/templates/app.ini > ${GITEA_CUSTOM}/conf/app.ini
fi
if [[ ! -z "${USER}" ]]; then chown ${USER}:git /app/gitea; fi
