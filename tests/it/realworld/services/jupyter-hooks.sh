#!/bin/bash
if [ "$#" -ne 1 ]; then
    echo "Should pass exactly one directory"
    return 1
fi
if [[ ! -d "${1}" ]]; then
    echo "Directory ${1} does not exist or is not a directory"
    return 1
fi
echo "Running hooks in: ${1} as uid: $(id -u) gid: $(id -g)"
for f in "${1}/"*; do
    [ -e "${f}" ] || continue
    case "${f}" in
        *.sh)
            echo "Sourcing shell script: ${f}"
            source "${f}"
            ;;
        *)
            if [ -x "${f}" ]; then
                "${f}"
            else
                echo "Ignoring non-executable: ${f}"
            fi
            ;;
    esac
done
