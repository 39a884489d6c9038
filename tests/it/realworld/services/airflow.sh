#!/usr/bin/env bash
AIRFLOW_COMMAND="${1:-}"
set -euo pipefail
export PATH="/opt/airflow/venv/bin:$PATH"

function run_check_with_retries {
    local cmd="${1}"
    local countdown="${CONNECTION_CHECK_MAX_COUNT:=20}"
    while true; do
        set +e
        local last_check_result
        last_check_result=$(eval "${cmd} 2>&1")
        local res=$?
        set -e
        if [[ ${res} == 0 ]]; then
            echo
            break
        fi
        echo -n "."
        countdown=$((countdown - 1))
        if [[ ${countdown} == 0 ]]; then
            echo "${last_check_result}"
            return 1
        fi
        sleep "${CONNECTION_CHECK_SLEEP_TIME:=3}"
    done
}

function wait_for_db {
    run_check_with_retries "airflow db check"
}

function set_pythonpath_for_root_user() {
    if [[ $UID == "0" ]]; then
        local python_major_minor
        python_major_minor="$(python3 --version | cut -d " " -f 2 | cut -d "." -f 1-2)"
        export PYTHONPATH="${HOME}/.local/lib/python${python_major_minor}/site-packages:${PYTHONPATH:-}"
    fi
}

function check_uid_gid() {
    if [[ $(id -g) == "0" ]]; then
        return
    fi
    if [[ $(id -u) == "50000" ]]; then
        >&2 echo "WARNING: the group is not 0"
        return
    fi
    exit 1
}

if ! whoami &> /dev/null; then
    if [[ -w /etc/passwd ]]; then
        echo "${USER_NAME:-default}:x:$(id -u):0:${USER_NAME:-default} user:/home:/sbin/nologin" >> /etc/passwd
    fi
fi
umask 0002
set_pythonpath_for_root_user
check_uid_gid
if [[ "${CONNECTION_CHECK_MAX_COUNT:=20}" -gt "0" ]]; then
    wait_for_db
fi
if [[ -n "${_AIRFLOW_DB_MIGRATE=}" ]]; then
    airflow db migrate || true
fi
if [[ ${AIRFLOW_COMMAND} == "bash" ]]; then
    shift
    exec "/bin/bash" "${@}"
elif [[ ${AIRFLOW_COMMAND} == "python" ]]; then
    shift
    exec "python" "${@}"
fi
exec "airflow" "${@}"
