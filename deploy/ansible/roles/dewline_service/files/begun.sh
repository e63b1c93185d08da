#!/bin/sh
# What units began with: `begun.sh ask|keep UNIT ... -- FILE ...`
#
# `ask` prints the units that began before their files were as they are now. `keep` writes down what
# the units that run have begun with, so that `ask` need not compare times again: clocks step. Only
# for a unit that began by itself since, as at a boot, it looks at times, and then as the clock goes
# now, whatever it said when the unit began.
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

began_at() { # UNIT: seconds since 1970; fails if it never began
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
