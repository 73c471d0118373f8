#!/bin/sh
# Patroni has this run before it stops PostgreSQL. Once it has asked for the stop, it looks only at full seconds whether PostgreSQL is down, and
# keeps the leader key meanwhile. So the same stop is begun here, and Patroni finds it done. PostgreSQL does not end before the
# standbys that are connected have all of its WAL. A stop that takes longer than half a second is Patroni's to wait for, or to hasten.
read -r pid <"$1/postmaster.pid" || exit 0
pg_ctl stop --pgdata="$1" --mode=fast --no-wait >/dev/null 2>&1
looks=0
while [ $looks -lt 25 ] && kill -0 "$pid" 2>/dev/null; do
  sleep 0.02
  looks=$((looks + 1))
done
exit 0
