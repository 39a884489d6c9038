#!/bin/sh
set -e

SELF=$(readlink "$0" || true)
if [ -z "$SELF" ]; then SELF="$0"; fi
RELEASE_ROOT="$(CDPATH='' cd "$(dirname "$SELF")/.." && pwd -P)"
export RELEASE_ROOT
export RELEASE_NAME="${RELEASE_NAME:-"hello"}"
export RELEASE_VSN="${RELEASE_VSN:-"$(cut -d' ' -f2 "$RELEASE_ROOT/releases/start_erl.data")"}"
export RELEASE_COMMAND="$1"
export RELEASE_MODE="${RELEASE_MODE:-"embedded"}"
REL_VSN_DIR="$RELEASE_ROOT/releases/$RELEASE_VSN"
. "$REL_VSN_DIR/env.sh"

start () {
  export_release_sys_config
  REL_EXEC="$1"
  shift
  exec "$REL_VSN_DIR/$REL_EXEC" \
       --cookie "$RELEASE_COOKIE" \
       --erl-config "$REL_VSN_DIR/sys" \
       --boot "$REL_VSN_DIR/start" \
       --boot-var RELEASE_LIB "$RELEASE_ROOT/lib" \
       --vm-args "$REL_VSN_DIR/vm.args" "$@"
}

export_release_sys_config () {
  RELEASE_COOKIE="$(cat "$RELEASE_ROOT/releases/COOKIE")"
}

case $1 in
  start) start "elixir" --no-halt ;;
  start_iex) start "iex" --werl ;;
  daemon) exec "$RELEASE_ROOT/erts-13.1.5/bin/run_erl" -daemon /tmp/ /tmp/ "exec $0 start" ;;
  version) echo "$RELEASE_NAME $RELEASE_VSN" ;;
  *) echo "usage: $(basename "$0") COMMAND" >&2; exit 1 ;;
esac
