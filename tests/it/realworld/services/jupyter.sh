#!/bin/bash
set -e

_log () {
    if [[ "$*" == "ERROR:"* ]] || [[ "$*" == "WARNING:"* ]] || [[ "${JUPYTER_DOCKER_STACKS_QUIET}" == "" ]]; then
        echo "$@"
    fi
}

if [ $# -eq 0 ]; then
    cmd=( "bash" )
else
    cmd=( "$@" )
fi

source /usr/local/bin/run-hooks.sh /usr/local/bin/start-notebook.d

if [ "$(id -u)" == 0 ]; then
    if id jovyan &> /dev/null; then
        if ! usermod --home "/home/${NB_USER}" --login "${NB_USER}" jovyan 2>&1 | grep "no changes" > /dev/null; then
            _log "Updated the jovyan user"
        fi
    fi
    if [[ "${NB_USER}" != "jovyan" ]]; then
        if [[ ! -e "/home/${NB_USER}" ]]; then
            _log "Copying home dir to /home/${NB_USER}..."
            mkdir "/home/${NB_USER}"
            cp -a /home/jovyan/. "/home/${NB_USER}/" || ln -s /home/jovyan "/home/${NB_USER}"
        fi
        if [[ "${PWD}/" == "/home/jovyan/"* ]]; then
            new_wd="/home/${NB_USER}/${PWD:13}"
            cd "${new_wd}"
        fi
    fi
    sed -r "s#Defaults\s+secure_path\s*=\s*\"?([^\"]+)\"?#Defaults secure_path=\"/opt/venv/bin:\1\"#" /etc/sudoers | grep secure_path > /etc/sudoers.d/path
    source /usr/local/bin/run-hooks.sh /usr/local/bin/before-notebook.d
    unset_explicit_env_vars () {
        if [ -n "${JUPYTER_ENV_VARS_TO_UNSET}" ]; then
            for env_var_to_unset in $(echo "${JUPYTER_ENV_VARS_TO_UNSET}" | tr ',' ' '); do
                unset "${env_var_to_unset}"
            done
        fi
    }
    unset_explicit_env_vars
    _log "Running as ${NB_USER}:" "${cmd[@]}"
    exec sudo --preserve-env --set-home --user "${NB_USER}" \
        LD_LIBRARY_PATH="${LD_LIBRARY_PATH}" \
        PATH="${PATH}" \
        PYTHONPATH="${PYTHONPATH:-}" \
        "${cmd[@]}"
else
    if ! whoami &> /dev/null; then
        _log "There is no entry in /etc/passwd for our UID"
    fi
    source /usr/local/bin/run-hooks.sh /usr/local/bin/before-notebook.d
    _log "Executing the command:" "${cmd[@]}"
    exec "${cmd[@]}"
fi
