import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { openNodes } from "../../providers/nodes/open.ts";
import { isLeader } from "../../providers/patroni/members.ts";
import { SSL_MODES } from "../../providers/postgres/connect.ts";
import { openSession } from "../../providers/postgres/session.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import { placeIn } from "../../providers/target/member-name.ts";
import { defineStep } from "../define.ts";
import { assertNew } from "./discover/new.ts";
import { entryOf, given } from "./discover/entry.ts";
import { judgeFound, type Judged } from "./discover/judge.ts";
import { mayLater, type Ways } from "./discover/may.ts";
import { announce, usual } from "./discover/passwords.ts";
import { findMembers, type Found } from "./discover/probe.ts";
import { namedCluster } from "./entry/name.ts";

const TEXT = { type: ["string", "null"] } as const;
const VARIABLE = { type: ["string", "null"], pattern: "^[A-Za-z_][A-Za-z0-9_]*$" } as const;
const URL_TEXT = { type: "string", pattern: "^https?://[^\\s/@]+/?$" } as const;
const PLACES = { type: "array", items: { type: "string", minLength: 1 } } as const;

export default defineStep({
  type: "cluster.discover",
  summary:
    "Find all members of a running Patroni cluster from one, and check that they are one cluster",
  docs: `Asks Patroni's REST API and the PostgreSQL of every member, and changes nothing. All must show one system identifier, and there must be
one leader. A member that can't be reached from here, or that receives no WAL, is refused unless \`accept_problems\` says otherwise: then it is a
warning. \`entry\` holds the parts that \`cluster.record\` writes. Passwords are named by variables, and none is in the output.`,
  example: `- cluster.discover:
    patroni_url: [http://db1:8008]
    pg_user: postgres
    password_env: ORDERS_PASSWORD
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["patroni_url"],
    properties: {
      patroni_url: {
        type: "array",
        minItems: 1,
        items: URL_TEXT,
        description: "URLs of Patroni's REST API; one member is enough",
      },
      members: {
        type: "object",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          properties: { patroni: URL_TEXT, postgres: { type: "string", minLength: 1 } },
        },
        description:
          "Where a member is reached from here, by its name, where that is another place than the one that Patroni tells",
      },
      pg_host: {
        ...TEXT,
        description: "Where the primary is reached; the leader's place without it",
      },
      pg_port: { type: ["integer", "null"], minimum: 1, maximum: 65_535 },
      pg_user: { type: "string", default: "postgres" },
      pg_database: { type: "string", default: "postgres" },
      password_env: {
        ...VARIABLE,
        description: "The variable that holds the password of `pg_user`",
      },
      sslmode: { type: "string", enum: SSL_MODES, default: "prefer" },
      sslrootcert: TEXT,
      patroni_user: { ...TEXT, description: "For the verbs of the REST API that change something" },
      patroni_password_env: VARIABLE,
      patroni_cafile: TEXT,
      namespace: { type: "string", default: "service" },
      etcd: { type: "array", items: URL_TEXT, description: "URLs of etcd, for its clients" },
      etcd_user: TEXT,
      etcd_password_env: VARIABLE,
      etcd_cafile: TEXT,
      pgbouncer: { ...PLACES, description: "host:port of each PgBouncer" },
      pgbouncer_user: TEXT,
      pgbouncer_password_env: VARIABLE,
      provider: { type: ["string", "null"] },
      ssh_user: TEXT,
      accept_problems: { type: "boolean", default: false },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "scope",
      "version",
      "system_identifier",
      "leader",
      "members",
      "problems",
      "may",
      "entry",
      "beside",
    ],
    properties: {
      scope: { ...TEXT, description: "The cluster's name in Patroni" },
      version: { type: "integer", description: "PostgreSQL's major version" },
      system_identifier: { type: "string" },
      leader: { type: "string" },
      members: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "role", "patroni", "postgres", "reached"],
          properties: {
            name: { type: "string" },
            role: { type: "string", enum: ["leader", "replica"] },
            patroni: {
              type: "string",
              description: "The URL by which its API is reached from here",
            },
            postgres: { type: "string", description: "host:port by which it is reached from here" },
            reached: { type: "boolean" },
          },
        },
      },
      problems: { type: "array", items: { type: "string" } },
      may: {
        type: "array",
        description: "What may be done with it later",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["what", "can", "why"],
          properties: {
            what: { type: "string" },
            can: { type: "boolean" },
            why: { type: "string" },
          },
        },
      },
      entry: {
        type: "object",
        additionalProperties: false,
        required: ["postgres", "patroni", "nodes"],
        description: "The parts of its entry in the registry",
        properties: {
          postgres: CLUSTER_PARTS.postgres,
          patroni: CLUSTER_PARTS.patroni,
          nodes: CLUSTER_PARTS.nodes,
        },
      },
      beside: {
        type: "object",
        additionalProperties: false,
        description: "Further parts of it, those that were named",
        properties: {
          dcs: CLUSTER_PARTS.dcs,
          pgbouncer: CLUSTER_PARTS.pgbouncer,
          provider: CLUSTER_PARTS.provider,
          place: CLUSTER_PARTS.place,
        },
      },
    },
  },
  async run(ctx, input) {
    const passwordEnv = input.password_env ?? usual(ctx.env);
    announce(ctx, [
      passwordEnv,
      input.patroni_password_env,
      input.etcd_password_env,
      input.pgbouncer_password_env,
    ]);
    for (const place of [
      ...(input.pgbouncer ?? []),
      ...Object.values(input.members ?? {}).flatMap(({ postgres }) => postgres ?? []),
    ])
      assertPlace(place);
    const spec = {
      user: input.pg_user ?? "postgres",
      database: input.pg_database ?? "postgres",
      sslmode: input.sslmode ?? ("prefer" as const),
      sslrootcert: input.sslrootcert ?? undefined,
      application_name: `pgdba/${ctx.run.id}`,
      password: () => (passwordEnv === undefined ? undefined : ctx.env[passwordEnv]),
    };
    const found = await findMembers({
      endpoints: input.patroni_url.map((url) => url.replace(/\/$/, "")),
      cafile: input.patroni_cafile ?? undefined,
      overrides: input.members ?? {},
      spec,
      signal: ctx.signal,
    });
    const judged = judgeFound(found, input.accept_problems === true);
    await assertNew(
      ctx,
      judged.identity,
      found.map(({ reach }) => reach),
    );
    for (const problem of judged.problems) ctx.warn(problem);
    const entry = entryOf(found, judged, {
      postgres: {
        host: input.pg_host ?? null,
        port: input.pg_port ?? null,
        passwordEnv,
        sslrootcert: input.sslrootcert ?? null,
        user: spec.user,
        database: spec.database,
        sslmode: spec.sslmode,
      },
      patroni: {
        user: input.patroni_user ?? null,
        passwordEnv: input.patroni_password_env ?? null,
        cafile: input.patroni_cafile ?? null,
        namespace: input.namespace ?? "service",
      },
      etcd: {
        endpoints: input.etcd ?? [],
        user: input.etcd_user ?? null,
        passwordEnv: input.etcd_password_env ?? null,
        cafile: input.etcd_cafile ?? null,
      },
      pgbouncer: {
        instances: input.pgbouncer ?? [],
        user: input.pgbouncer_user ?? null,
        passwordEnv: input.pgbouncer_password_env ?? null,
      },
      provider: (input.provider ?? null) as never,
      sshUser: input.ssh_user ?? null,
      cwd: ctx.cwd,
    });
    const at = entry.postgres!;
    const ways: Ways = {
      superuser: await primaryAt(judged, { ...spec, host: at.host, port: Number(at.port) }),
      patroniAccount: input.patroni_user != null,
      dcs: entry.dcs !== undefined,
      pgbouncer: entry.pgbouncer !== undefined,
      provider:
        input.provider == null ? null : await reachedBy(ctx, input.provider, entry.place, found),
    };
    return {
      scope: judged.scope,
      version: entry.version!,
      system_identifier: judged.identity,
      leader: judged.leader.name,
      members: found.map((one) => ({
        name: one.name,
        role: isLeader(one) ? "leader" : "replica",
        patroni: one.api,
        postgres: `${one.reach.host}:${one.reach.port}`,
        reached: one.status !== null && one.server !== null,
      })),
      problems: judged.problems,
      may: mayLater(ways),
      entry: { postgres: entry.postgres!, patroni: entry.patroni!, nodes: entry.nodes! },
      beside: given({
        dcs: entry.dcs,
        pgbouncer: entry.pgbouncer,
        provider: entry.provider,
        place: entry.place,
      }),
    };
  },
});

/** @throws PgdbaError invalid_param */
function assertPlace(text: string): void {
  if (placeIn(text) !== undefined) return;
  throw new PgdbaError("invalid_param", "This is not a host with a port", {
    hint: "Write db1:5432, 10.0.0.1:5432 or [::1]:5432.",
  });
}

/** Sees that the primary is what answers at the registered place; tells whether the role is a superuser. @throws PgdbaError */
async function primaryAt(
  { identity, leader }: Judged,
  spec: Parameters<typeof openSession>[0],
): Promise<boolean> {
  const session = await openSession(spec);
  try {
    const { rows } = await session.ask("SELECT pg_is_in_recovery() AS standby");
    const isLeaders = rows[0]?.["standby"] === (leader.server?.standby ?? false);
    const { identityOf } = await import("../../providers/postgres/identity.ts");
    const shown = await identityOf(session);
    if (isLeaders && (shown === null || shown === identity)) return session.info.superuser;
    throw new PgdbaError(
      "step_refused",
      `${spec.host}:${spec.port} is not the primary of this cluster: ${
        isLeaders ? `its system identifier is ${shown}` : "it is a standby"
      }`,
      {
        hint: `Give --pg-host and --pg-port of the primary, or leave them out: ${leader.name} leads now.`,
      },
    );
  } finally {
    await session.close();
  }
}

/** Whether a provider reaches the hosts of all members. */
async function reachedBy(
  ctx: StepContext,
  provider: string,
  place: unknown,
  found: readonly Found[],
): Promise<NonNullable<Ways["provider"]>> {
  try {
    const opened = await openNodes(provider, {
      cluster: namedCluster(ctx),
      stateDir: ctx.run.stateDir,
      env: ctx.env,
      place: (place ?? {}) as JsonObject,
      secret: async (name) => {
        throw new PgdbaError("missing_secret", `no secret ${name} is known yet`, { hint: "None." });
      },
    });
    try {
      const { id: run } = ctx.run;
      const nodes = await opened.nodes({ run, path: ctx.step.path, signal: ctx.signal }).list();
      const missing = found.filter(({ name }) => !nodes.some(({ node }) => node === name));
      const names = missing.map(({ name }) => name).join(", ");
      return {
        name: provider,
        why: missing.length === 0 ? null : `${provider} does not find the node of ${names}`,
      };
    } finally {
      await opened.close();
    }
  } catch (thrown) {
    return { name: provider, why: toPgdbaError(thrown).message };
  }
}
