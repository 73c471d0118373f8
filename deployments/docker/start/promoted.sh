#!/bin/sh
# Patroni has this run once it has told PostgreSQL to lead. With summarize_wal on, PostgreSQL takes no writes before the end of the old timeline
# is summarized, and the process that does it sleeps for up to thirty seconds where little was written. To read its settings again it wakes up.
data=$1
case $3 in replica | standby_leader) exit 0 ;; esac
tries=0
while [ $tries -lt 300 ]; do
  case $(pg_controldata --pgdata="$data" 2>/dev/null) in *"in production"*) exit 0 ;; esac
  pkill -HUP -f '^postgres: .*walsummarizer'
  sleep 0.1
  tries=$((tries + 1))
done
exit 0
