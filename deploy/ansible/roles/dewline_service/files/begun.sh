#!/bin/sh
# Finds units that run with old files: `begun.sh ask|keep UNIT ... -- FILE ...`
#
# `keep` saves a digest of the files for each running unit. `ask` prints the units whose files have
# changed since they started. It compares the saved digest, because times are unreliable: clocks may be
# set. If a unit was started after `keep`, as at a boot, `ask` compares the files' times with the
# unit's start. It computes the start from the time since boot and the present clock.
set -eu
kept="${BEGUN_KEPT:-/run/dewline-begun}"
what="$1"
shift
units=
while [ "$1" != -- ]; do
  units="$units $1"
  shift
done
shift

of() { # PROPERTY UNIT
  systemctl show --property="$1" --value "$2"
}

began_at() { # UNIT: prints the start, seconds since 1970; fails if the unit never started
  since_boot_us="$(of InactiveExitTimestampMonotonic "$1")"
  [ "${since_boot_us:-0}" -gt 0 ] || return 1
  awk -v now="$(date +%s.%N)" -v us="$since_boot_us" '{ printf "%.3f", now - $1 + us / 1e6 }' \
    /proc/uptime
}

newer() { # SECONDS FILE ...
  at="$1"
  shift
  [ -n "$(find "$@" ! -type d -newermt "@$at" -print -quit 2>/dev/null)" ]
}

digest="$(find "$@" ! -type d -exec sh -c '
  for file; do
    if [ -L "$file" ]; then echo "$file $(readlink "$file")"; else sha256sum "$file"; fi
  done' sh {} + 2>/dev/null | sort | sha256sum | cut -d " " -f 1)"

for unit in $units; do
  id="$(of InvocationID "$unit")"
  [ -n "$id" ] || continue
  if [ "$what" = keep ]; then
    mkdir -p "$kept"
    echo "$id $digest" > "$kept/$unit"
    continue
  fi
  known="$(cat "$kept/$unit" 2>/dev/null || true)"
  if [ "${known%% *}" = "$id" ]; then
    [ "$known" = "$id $digest" ] || echo "$unit"
  elif at="$(began_at "$unit")" && newer "$at" "$@"; then
    echo "$unit"
  fi
done
