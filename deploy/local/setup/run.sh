#!/usr/bin/env bash
# Finds a Python for dewline (3.11 or later) and starts the set-up with it.
#     bash deploy/local/setup/run.sh [all|tests|machines|environment|lock]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

find_python() {
    local name
    for name in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

# Shows a command's output only if the command fails.
quietly() {
    local printed
    if ! printed="$("$@" 2>&1)"; then
        printf '%s\n' "$printed" >&2
        exit 1
    fi
}

if ! python="$(find_python)"; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        printf 'Python 3.11 or later is missing. Run\n\n    sudo apt-get install -y python3 python3-venv\n\nand start the set-up again.\n' >&2
        exit 2
    fi
    echo "[setup] Debian packages python3 python3-venv ..."
    quietly apt-get update -q
    DEBIAN_FRONTEND=noninteractive \
        quietly apt-get install -y -q --no-install-recommends python3 python3-venv
    if ! python="$(find_python)"; then
        echo "The python3 of this system is older than 3.11. Use Debian 12 or later." >&2
        exit 2
    fi
fi
PYTHONDONTWRITEBYTECODE=1 exec "$python" -m deploy.local.setup "$@"
