/**
 * What every provider must hold, against the real thing. A provider's test is one call of this. What a place can't is skipped, with its
 * own reason in the name of the test.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import { type Verb, VERBS } from "../../../providers/nodes/contract.ts";
import { providerOf } from "../../../providers/nodes/open.ts";
import { faultCases } from "./contract/faults.ts";
import { fileCases } from "./contract/files.ts";
import { jobCases } from "./contract/jobs.ts";
import { lifeCases } from "./contract/life.ts";
import { wholeCases } from "./contract/whole.ts";
import { workCases } from "./contract/work.ts";
import { type PlaceUnderTest, World } from "./contract/world.ts";

/** A test of something that takes these verbs. */
export type Case = (
  verbs: readonly Verb[],
  title: string,
  body: () => Promise<void>,
  timeoutMs?: number,
) => void;

/** They take a whole cluster: tests/e2e/tls.test.ts, tests/e2e/life.test.ts. */
const ELSEWHERE: readonly Verb[] = ["certify", "schedule", "monitor"];

export async function nodesContract(place: PlaceUnderTest): Promise<void> {
  const world = new World(place, (await providerOf(place.provider)).roles);
  const can = await world.nodes().can();
  const tried = new Set<Verb>(ELSEWHERE);
  const one: Case = (verbs, title, body, timeoutMs = 30_000) => {
    for (const verb of verbs) tried.add(verb);
    const lacks = verbs.find((verb) => !can[verb].can);
    const answer = lacks === undefined ? undefined : can[lacks];
    if (answer === undefined || answer.can)
      return test(title, body, timeoutMs * (place.slower ?? 1));
    test.skip(`${title} [${place.provider} can't ${lacks}: ${answer.why}]`, body);
  };

  describe(`nodes of ${place.provider}`, () => {
    beforeAll(() => world.begin(), 120_000);
    afterAll(() => world.end(), 60_000);

    test("it says of every verb whether it has it, and why not; one that it lacks does nothing", async () => {
      expect(Object.keys(can).toSorted()).toEqual([...VERBS].toSorted());
      const until = { id: "none", afterMs: 1000 };
      const peers = { nodes: ["b"] };
      const nodes = world.nodes();
      const calls: Partial<Record<Verb, () => Promise<unknown>>> = {
        kill_process: () => nodes.kill("a", "process"),
        kill_patroni: () => nodes.kill("a", "patroni"),
        kill_node: () => nodes.kill("a", "node"),
        kill_power: () => nodes.kill("a", "power"),
        freeze: () => nodes.freeze("a"),
        partition: () => nodes.partition("a", { from: peers, direction: "both" }, until),
        fill_disk: () => nodes.fillDisk("a", { of: "data", leaveBytes: 0 }, until),
        slow_network: () => nodes.slowNetwork("a", { to: peers, delayMs: 10 }, until),
        slow_disk: () => nodes.slowDisk("a", { of: "data", bytesPerSecond: 1 }, until),
        arm: () => nodes.arm({ thaw: "a" }, until),
        lease: () => nodes.lease("me"),
      };
      for (const verb of VERBS) {
        const answer = can[verb];
        if (answer.can) continue;
        expect(answer.why.length).toBeGreaterThan(20);
        const error: unknown = await calls[verb]?.().catch((thrown: unknown) => thrown);
        if (calls[verb] === undefined) continue;
        expect(error).toBeInstanceOf(PgdbaError);
        expect(error).toMatchObject({ code: "unsupported", nothingDone: true });
        expect((error as PgdbaError).message).toContain(answer.why);
      }
    });

    wholeCases(world, one);
    lifeCases(world, one);
    workCases(world, one);
    jobCases(world, one);
    fileCases(world, one);
    faultCases(world, one);

    test("no verb is left out of this suite", () => {
      expect(VERBS.filter((verb) => !tried.has(verb))).toEqual([]);
    });
  });
}
