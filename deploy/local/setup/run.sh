#!/usr/bin/env bash
# Finds a Python that dewline runs on (3.11 or later) and hands over to the set-up itself.
#     bash deploy/local/setup/run.sh [all|environment|lock]
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

if ! python="$(find_python)"; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        printf 'Python 3.11 or later is missing. Run\n\n    sudo apt-get install -y python3 python3-venv\n\nand start again.\n' >&2
        exit 2
    fi
    echo "[setup] Debian packages python3 python3-venv ..."
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3 python3-venv >/dev/null
    python="$(find_python)"
fi
PYTHONDONTWRITEBYTECODE=1 exec "$python" -m deploy.local.setup "$@"
