import type { JsonObject } from "../../../engine/types.ts";
import type { Health, Report } from "../../../steps/report/page/page.ts";
import { examine } from "../../runbooks/health/support.ts";
import { clientOf, createDatabase, type TestServer } from "../../support/postgres.ts";
import { compared, folder, read, run } from "./support.ts";

/** Names as an attacker would choose them, and such as only look strange. */
export const HOSTILE = [
  `<script>document.title='owned'</script>`,
  `"><img src=x onerror=document.title='owned'>`,
  `'";--</style></title></svg>`,
  "\u202Egnp.exe",
  "Ünïcode ☃ 表 🐘",
];

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A report of a real server with hostile names in every place that has names, and a history of `points` reports. */
export async function hostileReport(server: TestServer, points = 12): Promise<Report> {
  const database = await createDatabase(server);
  const statements = HOSTILE.flatMap((name) => {
    const table = quoted(name.slice(0, 40));
    return [
      `create table ${table} (id int primary key, ${quoted(`c${name}`)} text)`,
      `insert into ${table} select n, repeat('x', 50) from generate_series(1, 3000) n`,
      `create index ${quoted(`i1${name}`)} on ${table} (${quoted(`c${name}`)})`,
      `create index ${quoted(`i2${name}`)} on ${table} (${quoted(`c${name}`)})`,
      `select count(*) as ${quoted(name)} from ${table} where id > 10`,
    ];
  });
  await run(server, database, "create extension pg_stat_statements", ...statements);
  const client = await clientOf(server, database);
  try {
    await client.query(`set application_name = ${client.escapeLiteral(HOSTILE[1]!)}`);
    const place = { ...server, database };
    const health = (await examine(place, {
      thresholds: { "index-duplicate": {} },
    })) as unknown as Health;
    const now = await read(place);
    const stateDir = folder();
    const findings = health.findings as unknown as JsonObject[];
    for (let n = points; n > 0; n--) {
      const then = structuredClone(now);
      const at = new Date(Date.parse(now.server.taken_at) - n * 86_400_000).toISOString();
      const counters = {
        ...then.counters,
        taken_at: at,
        connections: 3 + (n % 4),
        wal_position: (now.counters.wal_position ?? 0) - n * 5e9,
      };
      const databases = Object.fromEntries(
        Object.entries(counters.databases).map(([name, figures]) => [
          name,
          {
            ...figures,
            bytes: Math.round((figures.bytes ?? 0) * (1 - n / 40)),
            commits: figures.commits - n * 1e6 - (n % 3) * 4e5,
            hit: figures.hit - n * 1e7,
            read: figures.read - n * 1e5,
          },
        ]),
      );
      const relations = Object.fromEntries(
        Object.entries(counters.relations).map(([name, bytes]) => [
          name,
          Math.round(bytes * (1 - n / 50)),
        ]),
      );
      await compared(
        stateDir,
        { ...then, counters: { ...counters, databases, relations } },
        { findings: findings.slice(n % 3) },
      );
    }
    const { trends } = await compared(stateDir, now, { findings });
    return { target: `cluster ${HOSTILE[0]}`, health, snapshot: now, trends };
  } finally {
    await client.end();
  }
}
