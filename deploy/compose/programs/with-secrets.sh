#!/bin/sh
# Starts a program that takes passwords from its environment alone, with those of files.
#
#   with-secrets.sh VARIABLE=SECRET ... -- PROGRAM ...
#
# SECRET is a file in /run/secrets (DEWLINE_SECRETS for another folder); its first line counts.
set -eu
folder="${DEWLINE_SECRETS:-/run/secrets}"
while [ "$1" != "--" ]; do
  IFS= read -r value < "$folder/${1#*=}" || [ -n "$value" ]
  export "${1%%=*}=$value"
  shift
done
shift
exec "$@"
