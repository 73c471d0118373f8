/** Some trials of `bench/rehearsals.ts`: a process that is killed or interrupted, and servers that die or are moved by somebody else. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { removePlaces } from "../../e2e/support.ts";
import { Drill, type Trial } from "../../support/drill/trial.ts";
import { Rehearsed } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
beforeAll(async () => {
  await shop.create();
});
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const TRIALS: Trial[] = [
  // Killed as it promotes; told twice to end while the primary is down.
  { runbook: "move", act: "kill", step: 20, delayMs: 30, victim: 0 },
  { runbook: "move", act: "interrupt twice", step: 17, delayMs: 27, victim: 0 },
  // The former primary is started again beside the run; the new one dies.
  { runbook: "move", act: "server restarts", step: 16, delayMs: 100, victim: 0 },
  { runbook: "move", act: "server dies", step: 24, delayMs: 10, victim: 1 },
  { runbook: "move", act: "somebody moves it", step: 12, delayMs: 0, victim: 0 },
  { runbook: "destroy", act: "interrupt", step: 2, delayMs: 0, victim: 0 },
];

test.each(TRIALS)("$runbook, $act at step $step", async (trial) => {
  if (shop.writable()[0] !== "pg1") await shop.run("move", "pg1");
  const { problems, ends } = await new Drill(shop, trial).run();
  expect([problems, ends]).toEqual([[], ends]);
});
