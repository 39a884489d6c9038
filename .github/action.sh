#!/usr/bin/env bash
# The script of action.yml: installs imgarch, scans, and exits with the scan's exit code. Inputs are INPUT_* variables.
set -euo pipefail

repository=imgarch/imgarch

# Prints the path of the binary: INPUT_BINARY, or a downloaded release whose checksum was verified.
install() {
  if [[ -n ${INPUT_BINARY:-} ]]; then
    echo "$INPUT_BINARY"
    return
  fi
  local os arch target directory base
  case "$(uname -s)" in
    Linux) os=unknown-linux-musl ;;
    Darwin) os=apple-darwin ;;
    *) echo "imgarch: no release for $(uname -s)" >&2; return 2 ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) echo "imgarch: no release for $(uname -m)" >&2; return 2 ;;
  esac
  target="$arch-$os"
  directory=$(mktemp -d "${RUNNER_TEMP:-/tmp}/imgarch.XXXXXX")
  if [[ ${INPUT_VERSION:-latest} == latest ]]; then
    base="https://github.com/$repository/releases/latest/download"
  else
    base="https://github.com/$repository/releases/download/$INPUT_VERSION"
  fi
  for file in "imgarch-$target.tar.gz" "imgarch-$target.tar.gz.sha256"; do
    curl --fail --silent --show-error --location --retry 3 --output "$directory/$file" "$base/$file"
  done
  (cd "$directory" && sha256sum --check --status "imgarch-$target.tar.gz.sha256" 2>/dev/null ||
    shasum -a 256 --check --status "imgarch-$target.tar.gz.sha256") ||
    { echo "imgarch: the checksum of the download does not match" >&2; return 2; }
  tar -xzf "$directory/imgarch-$target.tar.gz" -C "$directory"
  echo "$directory/imgarch"
}

# Appends each non-empty line of $1 to `arguments`, each preceded by $2 if that is given.
add_lines() {
  local line
  while IFS= read -r line; do
    if [[ -n ${line//[[:space:]]/} ]]; then
      [[ -z ${2:-} ]] || arguments+=("$2")
      arguments+=("$line")
    fi
  done <<<"$1"
}

imgarch=$(install)
report="${RUNNER_TEMP:-/tmp}/imgarch.json"
sarif=${INPUT_SARIF:-imgarch.sarif}

arguments=(scan --format github --format "sarif=$sarif" --format "json=$report" --fail-on "${INPUT_FAIL_ON:-error}")
add_lines "${INPUT_TARGET:-}" --target
[[ -z ${INPUT_DOCKERFILE:-} ]] || arguments+=(--dockerfile "$INPUT_DOCKERFILE")
[[ -z ${INPUT_BASELINE:-} ]] || arguments+=(--baseline "$INPUT_BASELINE")
add_lines "${INPUT_ARGS:-}"
arguments+=(--)
add_lines "${INPUT_IMAGE:-}"

code=0
"$imgarch" "${arguments[@]}" || code=$?
{
  echo "exit-code=$code"
  echo "sarif=$sarif"
  echo "report=$report"
} >>"${GITHUB_OUTPUT:-/dev/null}"
exit "$code"
