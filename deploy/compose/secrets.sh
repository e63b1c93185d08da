#!/bin/sh
# Makes every file that compose.yml names below site/secrets: passwords, and certificates of your own
# authority (site/authority). Existing files are kept, so you may run it again.
#
#   sh secrets.sh NAME ...      names and addresses that gateways use for this host
#
# Set DEWLINE_CLOUD to the path of `dewline-cloud` if it is not in PATH.
set -eu
[ $# -ge 1 ] || { echo "usage: sh secrets.sh NAME ..., such as cloud.example.org" >&2; exit 2; }
program="${DEWLINE_CLOUD:-dewline-cloud}"
umask 077
mkdir -p site/secrets
printf '[ca]\nfolder = "site/authority"\n' > site/ca.toml

ca() { "$program" --config site/ca.toml ca "$@" > /dev/null; }

issue() { # ROLE NAME...
  [ -e "site/secrets/$2.pem" ] || ca issue "$@" --out site/secrets
}

[ -e site/authority ] || ca init --name dewline
issue server mosquitto localhost "$@"
issue server api localhost "$@"
for server in elasticsearch kibana logstash mysql; do
  issue server "$server" localhost
done
for service in ingest rollout observer; do
  issue service "$service"
done
cp -f site/authority/ca.pem site/authority/services.pem site/authority/crl.pem \
  site/authority/services-crl.pem site/secrets/

for password in elastic_password kibana_system_password kibana_password kibana_encryption_key \
  search_password logstash_search_password logstash_password mysql_password mysql_root_password \
  api_token; do
  [ -e "site/secrets/$password" ] \
    || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "site/secrets/$password"
done

# Containers run under several accounts and mount single files of this folder. So all users may read
# the files, but only the owner may enter the folder.
chmod 0444 site/secrets/*
chmod 0700 site/secrets site/authority
