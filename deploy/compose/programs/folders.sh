#!/bin/sh
# Gives the volumes to the accounts that write in them, and makes the folders that Logstash expects
# to find. May be repeated; it runs as root with no capability but CHOWN and FOWNER, so each folder
# stays open to group 0.
#
#   folders.sh [ROOT]
set -eu
root="${1:-}"

own() { # ACCOUNT FOLDER...
  account="$1"
  shift
  for folder in "$@"; do
    mkdir -p "$root$folder"
    chown "$account:0" "$root$folder"
    chmod 0770 "$root$folder"
  done
}

own 10001 /srv/lake /srv/models /srv/signing /srv/report /srv/spark
own 1000 /var/lib/logstash \
  /var/lib/logstash/dead_letter_queue \
  /var/lib/logstash/dead_letter_queue/dewline-search \
  /var/lib/logstash/dead_letter_queue/dewline-elasticsearch \
  /var/lib/logstash/dewline-dead-letters
