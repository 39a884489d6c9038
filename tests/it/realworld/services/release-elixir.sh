#!/bin/sh
set -e

ROOTDIR="$(CDPATH='' cd "$(dirname "$0")/../.." && pwd -P)"
ERTS_BIN="$ROOTDIR/erts-13.1.5/bin/"
MODE="cli"
ERL=""
I=1
LENGTH=$#
while [ $I -le $LENGTH ]; do
  case "$1" in
    --no-halt) ERL="$ERL -noshell" ;;
    --cookie | --erl-config | --boot | --vm-args) shift; I=$((I + 1)) ;;
    --boot-var) shift 2; I=$((I + 2)) ;;
    +iex) MODE="iex" ;;
  esac
  I=$((I + 1))
  shift || true
done

if [ "$MODE" != "iex" ]; then ERL="-noshell -s elixir start_$MODE $ERL"; fi
set -- "$ERTS_BIN/erl" -elixir_root "$ROOTDIR/lib" $ERL "$@"
if [ -n "$ELIXIR_CLI_DRY_RUN" ]; then echo "$@"; else exec "$@"; fi
