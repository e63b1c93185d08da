#!/bin/sh
# Sets the owners of the volumes' folders. You may run it again. It runs as root with the capabilities
# CHOWN and FOWNER only, so each folder keeps group 0 with full access. Logstash 9.6.0 makes the
# folders of its dead letters itself; 8.19 was not tried, so they are made here.
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
