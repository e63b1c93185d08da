#!/bin/sh
# Starts a program with passwords from files in its environment, for programs that cannot read files.
#
#   with-secrets.sh VARIABLE=SECRET ... -- PROGRAM ...
#
# SECRET is a file in /run/secrets (or in $DEWLINE_SECRETS); its first line is the password. It must
# not contain ${, because Logstash would replace a variable in it.
set -eu
folder="${DEWLINE_SECRETS:-/run/secrets}"
while [ "$1" != "--" ]; do
  IFS= read -r value < "$folder/${1#*=}" || [ -n "$value" ]
  case "$value" in
    *'${'*) echo "with-secrets.sh: $folder/${1#*=} contains \${: choose another password" >&2; exit 1 ;;
  esac
  export "${1%%=*}=$value"
  shift
done
shift
exec "$@"
