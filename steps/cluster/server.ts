import { isAbsolute, resolve } from "node:path";
import { SSL_MODES } from "../../providers/postgres/connect.ts";
import { isPatroniSession } from "../../providers/patroni/signs.ts";
import { identityOf } from "../../providers/postgres/identity.ts";
import { openSession } from "../../providers/postgres/session.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { defineStep } from "../define.ts";
import { given } from "./discover/entry.ts";
import { assertNew } from "./discover/new.ts";
import { announce, usual } from "./discover/passwords.ts";

const ABOUT = `SELECT current_setting('server_version_num')::int / 10000 AS version, pg_is_in_recovery() AS standby,
  EXISTS (SELECT FROM pg_stat_activity a WHERE ${isPatroniSession("a")}) AS patroni`;
const TEXT = { type: ["string", "null"] } as const;

export default defineStep({
  type: "cluster.server",
  summary: "Look at a PostgreSQL server alone that is to be registered",
  docs: `Connects, and changes nothing. \`entry\` holds the part that \`cluster.record\` writes; the password is named by a variable, and is not in it. A server that Patroni runs gives a
warning: its whole cluster is better taken over by \`cluster.discover\`.`,
  example: `- cluster.server: {pg_host: db9, password_env: BILLING_PASSWORD}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["pg_host"],
    properties: {
      pg_host: { type: "string", minLength: 1 },
      pg_port: { type: ["integer", "null"], minimum: 1, maximum: 65_535 },
      pg_user: { type: "string", default: "postgres" },
      pg_database: { type: "string", default: "postgres" },
      password_env: {
        type: ["string", "null"],
        pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
        description: "The variable that holds the password of `pg_user`",
      },
      sslmode: { type: "string", enum: SSL_MODES, default: "prefer" },
      sslrootcert: TEXT,
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["version", "system_identifier", "standby", "superuser", "entry"],
    properties: {
      version: { type: "integer", description: "PostgreSQL's major version" },
      system_identifier: {
        ...TEXT,
        description: "Null where the role may not read it",
      },
      standby: { type: "boolean" },
      superuser: { type: "boolean" },
      entry: {
        type: "object",
        additionalProperties: false,
        required: ["postgres"],
        properties: { postgres: CLUSTER_PARTS.postgres },
      },
    },
  },
  async run(ctx, input) {
    const passwordEnv = input.password_env ?? usual(ctx.env);
    announce(ctx, [passwordEnv]);
    const file = input.sslrootcert ?? undefined;
    const postgres = {
      host: input.pg_host,
      port: input.pg_port ?? 5432,
      user: input.pg_user ?? "postgres",
      database: input.pg_database ?? "postgres",
      sslmode: input.sslmode ?? ("prefer" as const),
      sslrootcert: file === undefined || isAbsolute(file) ? file : resolve(ctx.cwd, file),
    };
    const session = await openSession({
      ...postgres,
      application_name: `pgdba/${ctx.run.id}`,
      password: () => (passwordEnv === undefined ? undefined : ctx.env[passwordEnv]),
    });
    try {
      const { rows } = await session.ask(ABOUT);
      const { version, standby, patroni } = rows[0]! as Record<string, never>;
      const identity = await identityOf(session);
      if (identity !== null) await assertNew(ctx, identity, [postgres]);
      if (patroni)
        ctx.warn(
          "Patroni seems to run this server: `pgdba cluster connect --name NAME --patroni-url http://HOST:8008` takes over the whole cluster",
        );
      return {
        version,
        system_identifier: identity,
        standby,
        superuser: session.info.superuser,
        entry: { postgres: given({ ...postgres, password_env: passwordEnv }) },
      };
    } finally {
      await session.close();
    }
  },
});
