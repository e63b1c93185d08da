#!/bin/sh
# Starts a program with passwords from files in its environment, for programs that cannot read files.
#
#   with-secrets.sh VARIABLE=SECRET ... -- PROGRAM ...
#
# SECRET is a file in /run/secrets (or in $DEWLINE_SECRETS); its first line is the password.
set -eu
folder="${DEWLINE_SECRETS:-/run/secrets}"
while [ "$1" != "--" ]; do
  IFS= read -r value < "$folder/${1#*=}" || [ -n "$value" ]
  export "${1%%=*}=$value"
  shift
done
shift
exec "$@"
