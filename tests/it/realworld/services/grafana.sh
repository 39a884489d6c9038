#!/bin/bash -e

PERMISSIONS_OK=0
GF_PATHS_CONFIG=${GF_PATHS_CONFIG:-/etc/grafana/grafana.ini}
GF_PATHS_DATA=${GF_PATHS_DATA:-/var/lib/grafana}
GF_PATHS_HOME=${GF_PATHS_HOME:-/usr/share/grafana}
GF_PATHS_LOGS=${GF_PATHS_LOGS:-/var/log/grafana}
GF_PATHS_PLUGINS=${GF_PATHS_PLUGINS:-/var/lib/grafana/plugins}
export PATH="$GF_PATHS_HOME/bin:$PATH"

if [ ! -r "$GF_PATHS_CONFIG" ]; then
    echo "GF_PATHS_CONFIG='$GF_PATHS_CONFIG' is not readable."
    PERMISSIONS_OK=1
fi
if [ ! -w "$GF_PATHS_DATA" ]; then
    echo "GF_PATHS_DATA='$GF_PATHS_DATA' is not writable."
    PERMISSIONS_OK=1
fi
if [ $PERMISSIONS_OK -eq 1 ]; then
    echo "You may have issues with file permissions"
fi
if [ ! -d "$GF_PATHS_PLUGINS" ]; then
    mkdir "$GF_PATHS_PLUGINS"
fi

if [ ! -z ${GF_AWS_PROFILES+x} ]; then
    > "$GF_PATHS_HOME/.aws/credentials"
    for profile in ${GF_AWS_PROFILES}; do
        access_key_varname="GF_AWS_${profile}_ACCESS_KEY_ID"
        if [ ! -z "${!access_key_varname}" ]; then
            echo "[${profile}]" >> "$GF_PATHS_HOME/.aws/credentials"
            echo "aws_access_key_id = ${!access_key_varname}" >> "$GF_PATHS_HOME/.aws/credentials"
        fi
    done
    chmod 600 "$GF_PATHS_HOME/.aws/credentials"
fi

# FOO__FILE becomes FOO.
for VAR_NAME in $(env | grep '^GF_[^=]\+__FILE=.\+' | sed -r "s/([^=]*)__FILE=.*/\1/g"); do
    VAR_NAME_FILE="$VAR_NAME"__FILE
    if [ "${!VAR_NAME}" ]; then
        echo >&2 "ERROR: both $VAR_NAME and $VAR_NAME_FILE are set"
        exit 1
    fi
    export "$VAR_NAME"="$(< "${!VAR_NAME_FILE}")"
    unset "$VAR_NAME_FILE"
done

export HOME="$GF_PATHS_HOME"
if [ ! -z "${GF_INSTALL_PLUGINS}" ]; then
    OLDIFS=$IFS
    IFS=','
    for plugin in ${GF_INSTALL_PLUGINS}; do
        IFS=$OLDIFS
        if [[ $plugin =~ .*\;.* ]]; then
            pluginUrl=$(echo "$plugin" | cut -d';' -f 1)
            grafana cli --pluginUrl "${pluginUrl}" plugins install "$(echo "$plugin" | cut -d';' -f 2)"
        else
            grafana cli --pluginsDir "${GF_PATHS_PLUGINS}" plugins install ${plugin}
        fi
    done
fi

exec grafana server                         \
  --homepath="$GF_PATHS_HOME"               \
  --config="$GF_PATHS_CONFIG"               \
  --packaging=docker                        \
  "$@"                                      \
  cfg:default.log.mode="console"            \
  cfg:default.paths.data="$GF_PATHS_DATA"
