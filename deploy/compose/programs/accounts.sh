#!/bin/sh
# Accounts and rights on Elasticsearch, each with the password of its secret. May be repeated: that
# is also how a new password comes into force.
set -eu
url="${DEWLINE_ELASTICSEARCH_URL:-https://elasticsearch:9200}"
secrets="${DEWLINE_SECRETS:-/run/secrets}"
prefix=dewline

account="$(mktemp)"
trap 'rm -f "$account"' EXIT
# in a file, for a command line can be read by everybody
printf 'user = "elastic:%s"\n' "$(cat "$secrets/elastic_password")" > "$account"

put() { # PATH, the document on standard input
  curl --silent --show-error --fail --max-time 30 --retry 5 --retry-connrefused \
    --cacert "$secrets/ca.pem" --config "$account" --request PUT \
    --header 'Content-Type: application/json' --data @- "$url/_security/$1"
  echo " $1"
}

password() { # SECRET
  printf '"password": "%s"' "$(cat "$secrets/$1")"
}

# the programs: templates and indices of the prefix
put role/dewline << END
{"cluster": ["monitor", "manage_index_templates"],
 "indices": [{"names": ["$prefix-*"], "privileges": ["all"]}]}
END
# Logstash: new documents, and dead letters under an id that may be there
put role/dewline_logstash << END
{"cluster": ["monitor"],
 "indices": [{"names": ["$prefix-*"], "privileges": ["create_doc"]},
             {"names": ["$prefix-dead-letter-all"], "privileges": ["index"]}]}
END
# people who look at dashboards
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
