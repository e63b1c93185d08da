#!/bin/sh
# Makes accounts and roles in Elasticsearch, with the passwords in the secrets. You may run it again,
# for example to set changed passwords.
set -eu
url="${DEWLINE_ELASTICSEARCH_URL:-https://elasticsearch:9200}"
secrets="${DEWLINE_SECRETS:-/run/secrets}"
prefix=dewline

account="$(mktemp)"
trap 'rm -f "$account"' EXIT
# The password is in a file, because other users can read a command line.
printf 'user = "elastic:%s"\n' "$(cat "$secrets/elastic_password")" > "$account"

put() { # PATH; reads the document from standard input
  curl --silent --show-error --fail --max-time 30 --retry 5 --retry-connrefused \
    --cacert "$secrets/ca.pem" --config "$account" --request PUT \
    --header 'Content-Type: application/json' --data @- "$url/_security/$1"
  echo " $1"
}

password() { # SECRET
  printf '"password": "%s"' "$(cat "$secrets/$1")"
}

# dewline's programs: templates and indices with the prefix
put role/dewline << END
{"cluster": ["monitor", "manage_index_templates"],
 "indices": [{"names": ["$prefix-*"], "privileges": ["all"]}]}
END
# Logstash: may create documents, and overwrite dead letters with the same id. With auto_configure, a
# missing index is answered with 404; without it, with 403.
put role/dewline_logstash << END
{"cluster": ["monitor"],
 "indices": [{"names": ["$prefix-*"], "privileges": ["create_doc", "auto_configure"]},
             {"names": ["$prefix-dead-letter-all"], "privileges": ["index"]}]}
END
# users of the dashboards
put role/dewline_reader << END
{"indices": [{"names": ["$prefix-*"], "privileges": ["read", "view_index_metadata"]}]}
END

put user/dewline << END
{"roles": ["dewline"], $(password search_password)}
END
put user/dewline_logstash << END
{"roles": ["dewline_logstash"], $(password logstash_search_password)}
END
put user/dewline_kibana << END
{"roles": ["kibana_admin", "dewline_reader"], $(password kibana_password)}
END
put user/kibana_system/_password << END
{$(password kibana_system_password)}
END
