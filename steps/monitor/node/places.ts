/** Where things lie on a node that monitors, below the home of its account. The start script of its image knows the same places. */
export const HOME = "/var/lib/pgdba";
/** What pgdba puts there: what is to run, and with which configuration. */
export const FOLDER = `${HOME}/monitor`;
export const TARGETS = `${FOLDER}/targets`;
export const RULES = `${FOLDER}/rules`;
/** Those of the user's own, which `monitor setup` leaves alone. */
export const OWN_RULES = `${RULES}/own.rules.yml`;
/** In memory: what the programs log in by. */
export const RUN = "/run/monitoring";
export const SECRETS = "/run/secrets";
export const AUTHORITY = `${SECRETS}/ca.crt`;

export interface Ports {
  prometheus: number;
  alertmanager: number;
  postgres: number;
  pgdba: number;
  /** Of the exporter of the first PgBouncer; those of the others follow. */
  pgbouncer: number;
  node: number;
}

export const PORT: Ports = {
  prometheus: 9090,
  alertmanager: 9093,
  postgres: 9187,
  pgdba: 8432,
  pgbouncer: 9127,
  node: 9100,
};
