/** Where things lie on a node that monitors, below the home of its account. The start script of its image knows the same places. */
export const HOME = "/var/lib/pgdba";
/** What pgdba puts there: what is to run, and with which configuration. */
export const FOLDER = `${HOME}/monitor`;
export const TARGETS = `${FOLDER}/targets`;
export const RULES = `${FOLDER}/rules`;
/** In memory: what the programs log in by. */
export const RUN = "/run/monitoring";
const SECRETS = "/run/secrets";
export const AUTHORITY = `${SECRETS}/ca.crt`;

export const PORT = {
  prometheus: 9090,
  alertmanager: 9093,
  postgres: 9187,
  pgdba: 8432,
  /** Of the first PgBouncer; each has an exporter of its own. */
  pgbouncer: 9127,
  node: 9100,
} as const;
