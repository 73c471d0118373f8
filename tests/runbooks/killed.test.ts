/** Runbooks that mend a server are killed in the middle; `bench/mending-crashes.ts` does it to all of them, at all moments. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { place, removePlaces } from "../e2e/support.ts";
import { runIn } from "../support/live.ts";
import { ACTS, openScene } from "../support/mending/drill.ts";
import type { Scene } from "../support/mending/scene.ts";
import { clean, trial, type Way } from "../support/mending/trial.ts";
import { VERSIONS_HERE } from "../support/planted.ts";

setDefaultTimeout(300_000);

const scenes = new Map<number, Scene>();
beforeAll(async () => {
  for (const version of VERSIONS_HERE) scenes.set(version, await openScene(version, []));
}, 300_000);
afterAll(async () => {
  for (const scene of scenes.values()) await scene.stop();
  removePlaces();
});

/** Of moments that fit, the last one is met. None is one of a clock: such a one may not be met on a busy machine. */
const KILLS: [act: string, version: 13 | 18, way: Way, moment: RegExp][] = [
  ["sequence/widen --method batches", 13, "resume", /^acted filled/],
  ["maintenance/reindex", 18, "give up", /^acted/],
  ["index/create", 13, "resume", /^acted/],
  ["index/drop", 18, "give up", /^acted/],
  ["role/password", 13, "give up", /^acted/],
  ["partition/add", 18, "give up", /^acted made/],
  ["constraint/validate", 13, "resume", /^acted .*0/],
  ["maintenance/analyze", 18, "resume", /^ended .*1/],
];

test.each(KILLS)(
  "%s on PostgreSQL %d, killed in the middle: %s",
  async (name, version, way, when) => {
    const scene = scenes.get(version)!;
    const act = ACTS[name]!;
    const known = await clean(scene, name, act);
    const moment = known.moments.findLast((one) => when.test(one))!;
    const { said, problems } = await trial(scene, name, act, known, moment, way);
    expect([moment, problems]).toEqual([moment, []]);
    expect(said.join()).toMatch(/done|kept/);
  },
);

test.each([[[]], [["--give-up"]]])(
  "a password that somebody has set since the kill stays, resumed with %j",
  async (more) => {
    const scene = scenes.get(18)!;
    const act = ACTS["role/password (made)"]!;
    await scene.ready("from_password_since", "");
    await act.plant!(scene);
    const at = place();
    const env = scene.env("primary");
    const words = act.words as string[];
    const killed = await scene.begin(at, { ...env, KILL_AT: "acted password" }, words).ended();
    await scene.sql("ALTER ROLE app PASSWORD 'third'");
    const look = () => scene.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'");
    const third = await look();
    const ended = await scene.run(at, env, ["resume", runIn(killed.stderr)!, ...more]);
    expect(ended.exit).toBe(more.length === 0 ? 5 : 130);
    expect(JSON.stringify(ended.envelope.error.run.warnings)).toContain("by somebody else");
    expect(await look()).toEqual(third);
    expect([...new Bun.Glob("passwords/*").scanSync(at.home)]).toEqual([]);
  },
);
