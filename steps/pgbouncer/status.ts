import { toPgdbaError } from "../../engine/errors.ts";
import type { Json, JsonSchema } from "../../engine/types.ts";
import type { PgbouncerAccess, PgbouncerInstance } from "../../providers/pgbouncer/contract.ts";
import { CONSOLE } from "../../providers/pgbouncer/console.ts";
import { defineStep } from "../define.ts";
import { INSTANCES, meant } from "./ask/instances.ts";

const text = { type: "string" } as const;
const textOrNull = { type: ["string", "null"] } as const;
const count = { type: ["integer", "null"] } as const;

const POOL = {
  database: text,
  user: text,
  clients_active: { type: "integer" },
  clients_waiting: { type: "integer" },
  servers_active: { type: "integer" },
  servers_idle: { type: "integer" },
  longest_wait_ms: { type: "integer" },
} as const satisfies Record<string, JsonSchema>;

const ONE = {
  instance: text,
  address: text,
  up: { type: "boolean", description: "Its console answers" },
  version: textOrNull,
  member: { ...textOrNull, description: "Where clients are sent; null for nowhere" },
  clients: {
    ...textOrNull,
    description: "`go on`, `wait`, or `unknown`; null without an answer of the follower",
  },
  held_by: { ...textOrNull, description: "Who asked to hold them back" },
  held_ms: { ...count, description: "After this they go on by themselves" },
  clients_active: count,
  clients_waiting: count,
  servers_active: count,
  longest_wait_ms: count,
  pools: {
    type: "array",
    items: {
      type: "object",
      additionalProperties: false,
      required: Object.keys(POOL),
      properties: POOL,
    },
  },
  why: { ...textOrNull, description: "What is wrong, or why clients are where they are" },
} as const satisfies Record<string, JsonSchema>;

export default defineStep({
  type: "pgbouncer.status",
  summary:
    "Tell how the PgBouncers of the cluster are: pools, waiting clients, route, pause and who asked for it",
  docs: `One that does not answer is no error: \`up\` is false, and \`why\` says the reason.`,
  example: `- pgbouncer.status: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: { instances: INSTANCES },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["instances"],
    properties: {
      instances: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: Object.keys(ONE),
          properties: ONE,
        },
      },
    },
  },
  async run(ctx, { instances }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const names = meant(pgbouncer, instances);
    const those = pgbouncer.instances.filter(({ name }) => names.includes(name));
    return { instances: (await Promise.all(those.map((one) => look(pgbouncer, one)))) as Json[] };
  },
});

async function look(pgbouncer: PgbouncerAccess, { name, host, port, follower }: PgbouncerInstance) {
  const [console, followed] = await Promise.all([
    settled(Promise.all([pgbouncer.show(name, "pools"), pgbouncer.show(name, "version")])),
    settled(pgbouncer.follower(name)),
  ]);
  const [rows, versions] = console.value ?? [[], []];
  const pools = rows.filter(({ database }) => database !== CONSOLE).map(poolOf);
  const state = followed.value ?? null;
  const sum = (key: "clients_active" | "clients_waiting" | "servers_active") =>
    console.value === undefined ? null : pools.reduce((all, pool) => all + pool[key], 0);
  return {
    instance: name,
    address: `${host}:${port}`,
    up: console.value !== undefined,
    version: textIn(versions[0]?.["version"]),
    member: state?.route?.member ?? null,
    clients: state?.clients ?? null,
    held_by: state?.paused?.holder ?? null,
    held_ms: state?.paused?.leftMs ?? null,
    clients_active: sum("clients_active"),
    clients_waiting: sum("clients_waiting"),
    servers_active: sum("servers_active"),
    longest_wait_ms:
      console.value === undefined
        ? null
        : Math.max(0, ...pools.map((pool) => pool.longest_wait_ms)),
    pools,
    why:
      console.why ??
      followed.why ??
      (follower === undefined
        ? "it has no follower: its route and pause are nobody's"
        : (state?.why ?? null)),
  };
}

function poolOf(row: Record<string, unknown>) {
  const number = (key: string) => Number(row[key] ?? 0);
  return {
    database: String(row["database"]),
    user: String(row["user"]),
    clients_active: number("cl_active"),
    clients_waiting: number("cl_waiting"),
    servers_active: number("sv_active"),
    servers_idle: number("sv_idle") + number("sv_used"),
    longest_wait_ms: number("maxwait") * 1000 + Math.round(number("maxwait_us") / 1000),
  };
}

/** "PgBouncer 1.18.0" */
function textIn(version: unknown): string | null {
  return typeof version === "string" ? version.replace(/^PgBouncer /, "") : null;
}

async function settled<T>(asked: Promise<T>): Promise<{ value?: T; why?: string }> {
  return asked.then(
    (value) => ({ value }),
    (error: unknown) => ({ why: toPgdbaError(error).message }),
  );
}
