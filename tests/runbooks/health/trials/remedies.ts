import { expect } from "bun:test";
import { join } from "node:path";
import { systemClock } from "../../../../engine/clock.ts";
import type { Envelope } from "../../../../engine/types.ts";
import apply from "../../../../steps/config/apply.ts";
import type { Finding } from "../../../../steps/health/findings/findings.ts";
import { resolveTarget } from "../../../../providers/target/resolve.ts";
import { fakeContext } from "../../../support/context.ts";
import type { TestServer } from "../../../support/postgres.ts";
import { libraryWith } from "../support.ts";
import { statementsOf } from "./statements.ts";
import type { Deed, Trial, World } from "./trial.ts";
import { PGDBA_SOURCE } from "../../../support/source.ts";

/** What the comments among the statements of a remedy tell, and what is done about it. */
const PLACES: [RegExp, (world: World, name: string) => { database?: string; primary?: true }][] = [
  [/^in database (.+):$/, (_, name) => ({ database: unquoted(name) })],
  [/^on the primary:$/, () => ({ primary: true })],
];
const BY_COMMAND = /^(alter system set|select pg_reload_conf)/;
const RESTART = "then restart the server";
const library = libraryWith();

/**
 * Does what each finding tells: its SQL as it stands, in the place that it names; the server is restarted once for all that ask for
 * it, and what they name after that comes then.
 * @param first whether it is the first time that these are told
 */
export async function carryOut(
  world: World,
  trials: readonly Trial[],
  findings: readonly Finding[],
  first: boolean,
) {
  const plan: Plan = { restart: new Set(), later: [] };
  for (const finding of findings) {
    // What stands below a cause has no remedy of its own; its cause has one, whether it is on trial or not.
    if (finding.caused_by.length > 0 && finding.remedy.sql === null) continue;
    const mine = trials.filter(({ check }) => check === finding.check);
    if (mine.length === 0 && finding.consequences.length === 0) continue;
    // When its cause is just gone, it may be on its way out.
    if (!first && finding.remedy.sql === null && mine.every(({ remedy }) => remedy === undefined))
      continue;
    const deed = mine.find(({ remedy }) => remedy !== undefined)?.remedy as Deed | undefined;
    const server = mine[0]?.on === "standby" ? world.standby : world.server;
    const inWords =
      finding.remedy.sql === null &&
      finding.remedy.params?.["settings"] === undefined &&
      !(await mends(finding));
    if (deed === undefined || (deed.also && !inWords))
      await runAsWritten(world, finding, server, plan, mine[0]?.commands);
    if (deed !== undefined && (!deed.also || inWords)) {
      expect(`${finding.remedy.text}`).toMatch(deed.told);
      plan.later.push(() => deed.does(world, finding));
    }
  }
  for (const server of plan.restart) await server.restart();
  for (const work of plan.later) await work();
}

/** What is left when all that can be done at once is done. */
interface Plan {
  restart: Set<TestServer>;
  later: (() => Promise<unknown>)[];
}

async function runAsWritten(
  world: World,
  finding: Finding,
  server: TestServer,
  plan: Plan,
  commands?: readonly number[],
) {
  const { sql, runbook, params } = finding.remedy;
  // The command does the same as the statements: each is run on some version.
  const here = sql === null || (commands?.includes(server.version) ?? server.version % 2 === 0);
  if (here && runbook !== "config/apply" && (await mends(finding)))
    return runCommand(world, finding.check, answered(finding));
  const byCommand = here && runbook === "config/apply";
  expect([finding.check, sql !== null || byCommand]).toEqual([finding.check, true]);
  if (byCommand) {
    const waiting = await applySettings(world, server, params?.["settings"] as object);
    if (waiting.length > 0) plan.restart.add(server);
  }
  let restart = false;
  let where: { database?: string; primary?: true } = {};
  for (const statement of statementsOf(sql ?? "")) {
    for (const comment of statement.comments) {
      if (comment === RESTART) {
        restart = true;
        plan.restart.add(server);
        continue;
      }
      const place = PLACES.find(([pattern]) => pattern.test(comment));
      // A remedy that is only a comment is none.
      expect([finding.check, comment, place === undefined]).toEqual([
        finding.check,
        comment,
        false,
      ]);
      where = place![1](world, place![0].exec(comment)?.[1] ?? "");
    }
    if (statement.sql === "" || (byCommand && BY_COMMAND.test(statement.sql))) continue;
    const { database, primary } = where;
    const run = () =>
      world.query(statement.sql, {
        server: primary ? world.server : server,
        ...(database === undefined ? {} : { database }),
      });
    if (restart) plan.later.push(run);
    else await run();
  }
}

/** True where the runbook that a finding names does more than look. */
async function mends({ remedy: { runbook } }: Finding): Promise<boolean> {
  return runbook !== null && (await library.load(runbook)).data["risk"] !== "read";
}

/** The param whose value a runbook asks for once more. */
const ASKED: Record<string, string> = { "slot/drop": "slot" };

/** The command of a finding, with the answer that a person gives where it takes away what can't be got back. */
function answered({ remedy: { runbook, params, command } }: Finding): string | null {
  const asked = params?.[ASKED[runbook ?? ""] ?? ""];
  if (asked === undefined) return command;
  expect(command).not.toMatch(/ --(yes|confirmed)\b/);
  return `${String(command)} --confirmed ${String(asked)} --yes`;
}

/** Runs the command of a finding as it stands, in a shell where nobody is at a terminal to be asked. */
export async function runCommand(
  { server }: World,
  check: string,
  command: string | null,
): Promise<void> {
  const child = Bun.spawn(["sh", "-c", command ?? ""], {
    env: {
      PATH: `${join(import.meta.dir, "../../../../engine")}:${process.env["PATH"]}`,
      HOME: server.dataDir,
      PGDBA_SOURCE,
      PGDBA_HOME: `${server.dataDir}.state`,
      PGDBA_ETC: `${server.dataDir}.etc`,
      PGPASSWORD: server.password,
      PGSSLMODE: "disable",
      ROLE_PASSWORD: "again",
    },
    stdout: "pipe",
    stderr: "ignore",
  });
  const { error } = JSON.parse(await new Response(child.stdout).text()) as Envelope;
  expect([check, command, error]).toEqual([check, command, null]);
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** What the runbook config/apply does; gives the settings that wait for a restart. */
export async function applySettings(
  world: World,
  server: TestServer,
  settings: object,
): Promise<string[]> {
  const stateDir = `${server.dataDir}.state`;
  const target = await resolveTarget({
    flags: { host: server.host, port: server.port, user: "postgres", database: "postgres" },
    env: { PGPASSWORD: world.server.password, PGSSLMODE: "disable" },
    stateDir,
    onSecret: () => {},
  });
  const ctx = fakeContext({ clock: systemClock, run: { stateDir } });
  try {
    const done: any = await apply.run(Object.assign(ctx, { target }), { settings } as never);
    return done.awaiting_restart;
  } finally {
    await ctx.close();
    await target.close();
  }
}
