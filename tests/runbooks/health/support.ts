import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openLibrary } from "../../../engine/load/library.ts";
import type { JsonObject, Library } from "../../../engine/types.ts";
import { PostgresTarget } from "../../../providers/target/postgres.ts";
import check from "../../../steps/health/check.ts";
import { type Finding, flat } from "../../../steps/health/findings/findings.ts";
import type { Failure, Note } from "../../../steps/health/examine/select.ts";
import { fakeContext } from "../../support/context.ts";
import { through } from "../../support/target.ts";

const RUNBOOKS = join(import.meta.dir, "../../../runbooks");

export interface Report {
  summary: Record<
    | "critical"
    | "warning"
    | "info"
    | "consequences"
    | "ok"
    | "partial"
    | "skipped"
    | "errors"
    | "checks",
    number
  > & { worst: string };
  server: JsonObject;
  findings: Finding[];
  partial: Note[];
  skipped: Note[];
  unexamined_databases: { database: string; checks: number; reason: string; hint: string | null }[];
  errors: Failure[];
  passed: string[];
}

export interface Place {
  host: string;
  port: number;
  database?: string;
  user?: string;
  password?: string;
}

/** The checks that come with pgdba, and those in `dir` above them. */
export function libraryWith(dir?: string): Library {
  return openLibrary([
    { name: "builtin", dir: RUNBOOKS },
    ...(dir === undefined ? [] : [{ name: "project" as const, dir }]),
  ]);
}

/** The checks that come with pgdba, each for itself: no finding stands below another, none are made one. */
export function libraryWithoutCauses(): Library {
  const library = libraryWith();
  return {
    ...library,
    async load(name) {
      const doc = await library.load(name);
      const { explains: _, merge: __, ...data } = doc.data;
      return { ...doc, data };
    },
  };
}

export async function writeCheck(dir: string, name: string, text: string): Promise<void> {
  const file = join(dir, "health/checks", `${name}.yaml`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** Runs the step `check` against a real server, with the real expressions and documents. */
export async function examine(
  place: Place,
  input: JsonObject = {},
  library: Library = libraryWith(),
): Promise<Report> {
  const { host, port, database = "postgres", user = "postgres", password } = place;
  const target = new PostgresTarget({
    name: "test",
    cluster: null,
    labels: [],
    ownership: "none",
    expectedIdentity: null,
    flags: ["--host", host, "--port", String(port), "--user", user],
    spec: {
      host,
      port,
      user,
      database,
      password: () => password,
      sslmode: "disable",
      application_name: "test",
    },
  });
  const ctx = fakeContext({ target: through(target), library });
  try {
    return (await check.run(ctx, input)) as unknown as Report;
  } finally {
    await ctx.close();
    await target.close();
  }
}

/** `severity check object`, one per finding, those that stand below others or are made one with them included, sorted. */
export function shortly(report: Report): string[] {
  return flat(report.findings)
    .flatMap((finding) => [finding, ...finding.alike.map((one) => ({ ...finding, ...one }))])
    .map(
      ({ check: name, severity, object }) =>
        `${severity} ${name}${object === null ? "" : ` ${object}`}`,
    )
    .toSorted();
}

/** Asks until the answer is the wanted one, or for ten seconds; gives the last answer. */
export async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  for (const begun = performance.now(); ; await Bun.sleep(50)) {
    const answer = await ask();
    if (wanted(answer) || performance.now() - begun > 10_000) return answer;
  }
}
