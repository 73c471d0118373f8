import type { Role } from "../contract.ts";

/** What a container with this role is like inside: the start scripts of the images, and ours, keep to it. */
export interface RoleLayout {
  /** The account that its service runs as. */
  user: string;
  /** A folder of that account; where it is a volume, it outlives the container. */
  home: string;
  volume: boolean;
  /** Where its start script puts secrets: in memory, never in a layer of the container. */
  memory?: string;
  /** Of another role, when its image serves this one, too. */
  image?: Role;
  /** What runs in it, where that is not said by its image. */
  entrypoint?: readonly string[];
  /** All of them are published; the first is that of the service. */
  ports: readonly number[];
  /** The names of the secrets that it is given; those that a spec lacks are left out. */
  secrets: readonly string[];
}

export const CONFIG_DIR = "/etc/pgdba";
export const SECRETS_DIR = "/run/secrets";
export const PASSFILE = `${SECRETS_DIR}/pgpass`;
export const HOME_DIR = "/var/lib/pgdba";
export const WAL_DIR = "/var/lib/pgdba-wal";
/** The volume for backups, which all servers share. */
export const BACKUPS_DIR = "/var/lib/pgdba-backups";
export const PGDATA = `${HOME_DIR}/data`;

export const PORT = {
  postgres: 5432,
  patroni: 8008,
  etcd: 2379,
  pgbouncer: 6432,
  follower: 6433,
  prometheus: 9090,
  alertmanager: 9093,
};

const PROGRAM = `${HOME_DIR}/bin/pgdba`;
const SCHEDULER = `until test -x ${PROGRAM}; do sleep 1; done
export PGDBA_HOME=${HOME_DIR} HOME=${HOME_DIR}
exec ${PROGRAM} run backup/scheduler --no-input`;

export const ROLES: Partial<Record<Role, RoleLayout>> = {
  etcd: {
    user: "etcd",
    home: HOME_DIR,
    volume: true,
    ports: [PORT.etcd],
    secrets: ["etcd", "etcd_root"],
  },
  postgres: {
    user: "postgres",
    home: HOME_DIR,
    volume: true,
    memory: "/run/patroni",
    ports: [PORT.postgres, PORT.patroni],
    secrets: ["superuser", "replication", "rewind", "patroni", "etcd", "pgbouncer", "owner"],
  },
  pgbouncer: {
    user: "postgres",
    home: HOME_DIR,
    volume: false,
    memory: "/run/pgbouncer",
    ports: [PORT.pgbouncer, PORT.follower],
    secrets: ["pgbouncer", "pgbouncer_admin"],
  },
  // pgdba itself runs there, as an ordinary user: it is put there later, and the image has PostgreSQL's client programs.
  backup: {
    user: "postgres",
    home: HOME_DIR,
    volume: true,
    image: "postgres",
    entrypoint: ["tini", "--", "sh", "-c", SCHEDULER],
    ports: [],
    secrets: ["superuser", "replication"],
  },
  // Its programs are started once pgdba has put there what they are to do.
  monitoring: {
    user: "postgres",
    home: HOME_DIR,
    volume: true,
    memory: "/run/monitoring",
    ports: [PORT.prometheus, PORT.alertmanager],
    secrets: ["monitor"],
  },
};

export const layoutOf = (role: Role): RoleLayout => ROLES[role] ?? ROLES.postgres!;
