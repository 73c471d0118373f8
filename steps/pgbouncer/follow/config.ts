import { PgdbaError } from "../../../engine/errors.ts";
import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import { readText } from "../../../engine/shared/read-file.ts";
import { validate } from "../../../engine/shared/validate.ts";
import type { JsonSchema } from "../../../engine/types.ts";
import type { ConsoleSpec } from "../../../providers/pgbouncer/console.ts";
import { SSL_MODES } from "../../../providers/postgres/connect.ts";

const MAX_BYTES = 256 * 1024;
const MAX_SECRET_BYTES = 4096;
const MAX_CA_BYTES = 4 * 1024 * 1024;

const text = { type: "string", minLength: 1 } as const;
const port = { type: "integer", minimum: 1, maximum: 65_535 } as const;
/** What goes into PgBouncer's file must not end the line, nor the word. */
const WORD = "^[^\\s'\"=;#%]+$";

/** What PgBouncer takes beside the place of a database, which is the follower's, and passwords, which stand in no file of ours. */
const SETTINGS = [
  "dbname",
  "pool_mode",
  "pool_size",
  "min_pool_size",
  "reserve_pool",
  "max_db_connections",
  "auth_user",
  "auth_dbname",
  "client_encoding",
  "datestyle",
  "timezone",
];
const setting = { type: ["string", "integer"], pattern: WORD } as const;

/** The file that the follower is told by, which whoever deploys PgBouncer writes. */
const FOLLOW_SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["members", "console", "route", "listen"],
  properties: {
    cluster: {
      ...text,
      description: "Patroni's scope; members of another one don't count, whatever they answer",
    },
    members: {
      type: "array",
      minItems: 1,
      description:
        "The members that are known at first, as this host reaches them; others are learnt from Patroni",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "host", "port", "api"],
        properties: {
          name: { ...text, description: "As Patroni knows it" },
          host: { type: "string", pattern: WORD, description: "Of its PostgreSQL" },
          port,
          api: { type: "string", pattern: "^https?://[^\\s/@]+$", description: "Patroni's URL" },
        },
      },
    },
    cafile: { ...text, description: "PEM file of the authorities of Patroni's certificates" },
    ttl: {
      type: "number",
      minimum: 1,
      default: 30,
      description: "Seconds; Patroni's own counts once it has answered",
    },
    poll_ms: { type: "integer", minimum: 50, maximum: 500, default: 200 },
    console: {
      type: "object",
      additionalProperties: false,
      required: ["host", "port", "user", "password_file"],
      description: "PgBouncer's console; user and password are those of the follower's HTTP, too",
      properties: {
        host: { ...text, description: "An address, or the folder of its socket" },
        port,
        user: { ...text, description: "One of admin_users" },
        password_file: {
          ...text,
          description: "The file that holds the password and nothing else",
        },
        sslmode: { type: "string", enum: SSL_MODES, default: "prefer" },
      },
    },
    route: {
      type: "object",
      additionalProperties: false,
      required: ["file"],
      properties: {
        file: {
          ...text,
          description:
            "PgBouncer reads its databases from there, by `%include`; nobody else writes it",
        },
        by: {
          type: "string",
          enum: ["name", "address"],
          default: "name",
          description:
            "`address`: the one that the member's host has at the moment, for PgBouncer may keep an old one",
        },
        databases: {
          type: "object",
          minProperties: 1,
          default: { "*": {} },
          description:
            "The databases that clients may name, `*` for all, each with further settings of PgBouncer",
          additionalProperties: {
            type: "object",
            additionalProperties: false,
            properties: Object.fromEntries(SETTINGS.map((name) => [name, setting])),
          },
        },
      },
    },
    listen: {
      type: "object",
      additionalProperties: false,
      required: ["port"],
      description: "Where the follower is asked",
      properties: {
        host: { ...text, default: "127.0.0.1" },
        port: { type: "integer", minimum: 0, maximum: 65_535 },
        certificate: {
          ...text,
          description: "PEM file with a private key and its certificate: it is asked by TLS then",
        },
      },
    },
  },
} as const satisfies JsonSchema;

type Written = FromSchema<typeof FOLLOW_SCHEMA>;

export interface FollowConfig {
  cluster: string | undefined;
  members: Written["members"];
  ca: string | undefined;
  ttlMs: number;
  pollMs: number;
  console: ConsoleSpec & { password: string };
  route: {
    file: string;
    by: "name" | "address";
    databases: Record<string, Record<string, string | number>>;
  };
  listen: { host: string; port: number; certificate: string | undefined };
}

/** @throws PgdbaError invalid_config | missing_secret */
export function readFollowConfig(file: string): FollowConfig {
  const hint = `Correct ${file}; docs/authoring.md shows one.`;
  let written: Written;
  try {
    written = JSON.parse(readText(file, { maxBytes: MAX_BYTES, code: "invalid_config", hint }));
  } catch (cause) {
    if (cause instanceof PgdbaError) throw cause;
    throw new PgdbaError("invalid_config", `${file} is not JSON`, { hint, cause });
  }
  const [problem] = validate(FOLLOW_SCHEMA, written as never, file);
  if (problem !== undefined) throw new PgdbaError("invalid_config", problem.message, { hint });
  const { console, route, listen, members } = written;
  const names = members.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new PgdbaError("invalid_config", `${file} names the member ${twice} twice`, { hint });
  return {
    cluster: written.cluster,
    members,
    ca:
      written.cafile === undefined
        ? undefined
        : readText(written.cafile, { maxBytes: MAX_CA_BYTES, code: "invalid_config", hint }),
    ttlMs: (written.ttl ?? 30) * 1000,
    pollMs: written.poll_ms ?? 200,
    console: {
      host: console.host,
      port: console.port,
      user: console.user,
      sslmode: console.sslmode,
      password: passwordIn(console.password_file),
    },
    route: {
      file: route.file,
      by: route.by ?? "name",
      databases: (route.databases ?? { "*": {} }) as FollowConfig["route"]["databases"],
    },
    listen: {
      host: listen.host ?? "127.0.0.1",
      port: listen.port,
      certificate: listen.certificate,
    },
  };
}

/** Without one anybody could pause the pooler. */
function passwordIn(file: string): string {
  const password = readText(file, {
    maxBytes: MAX_SECRET_BYTES,
    code: "missing_secret",
    hint: `Put the password of PgBouncer's admin into ${file}, mode 0600.`,
  }).replace(/\r?\n$/, "");
  if (password !== "") return password;
  throw new PgdbaError("missing_secret", `${file} is empty`, {
    hint: "Put the password of PgBouncer's admin there, mode 0600.",
  });
}
