import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answer, checkEffects, type Ended } from "./expect.ts";
import { type Drill, drill, generator } from "./generate.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "pgdba-crash-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

type Result = Ended & { failpoints: number };

/** One drill, in processes of their own. */
class Scene {
  readonly #stateDir: string;
  readonly #drill: Drill;
  static places = 0;

  constructor(one: Drill) {
    this.#drill = one;
    this.#stateDir = join(root, String(++Scene.places));
  }

  get lines(): string[] {
    const file = join(this.#stateDir, "effects");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  }

  /** Resumes where there is a run on record. @returns undefined when the process killed itself */
  async process(assume: object, killAt = 0): Promise<Result | undefined> {
    const job = {
      stateDir: this.#stateDir,
      effects: join(this.#stateDir, "effects"),
      drill: this.#drill,
      killAt,
      assume,
    };
    const child = Bun.spawn(
      [process.execPath, join(import.meta.dir, "driver.ts"), JSON.stringify(job)],
      { stdout: "pipe", stderr: "pipe" },
    );
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    await child.exited;
    if (child.signalCode === "SIGKILL") return undefined;
    if (out === "") throw new Error(err);
    return JSON.parse(out) as Result;
  }

  async toItsEnd(where: string): Promise<Result> {
    let ended = (await this.process({}))!;
    for (let resumes = 0; ended.status === "needs_operator"; resumes++) {
      expect(resumes, `${where}: it never comes to an end: ${ended.error?.hint}`).toBeLessThan(30);
      ended = (await this.process(answer(ended.error?.hint ?? null, this.lines, true)))!;
    }
    return ended;
  }
}

/** Points to be killed at, spread over all of them. */
const KILLS = 14;

// What a simulated death can't show: the database and its lock as a killed process leaves them.
for (const seed of [3, 6, 10]) {
  test(`kill -9 at points of seed ${seed}`, async () => {
    const one = drill(seed);
    const random = generator(seed);
    const clean = new Scene(one);
    const first = (await clean.process({}))!;
    const { exit } = first.status === "needs_operator" ? await clean.toItsEnd("clean") : first;
    const step = first.failpoints / KILLS;
    const points = Array.from({ length: KILLS }, (_, n) => 1 + Math.floor((n + random()) * step));
    const worker = async (): Promise<void> => {
      for (let killAt = points.pop(); killAt !== undefined; killAt = points.pop()) {
        const where = `seed ${seed}, killed at ${killAt}`;
        const place = new Scene(one);
        expect(await place.process({}, killAt), where).toBeUndefined();
        const ended = await place.toItsEnd(where);
        checkEffects(where, one, ended, place.lines);
        expect(ended.exit, where).toBe(exit);
      }
    };
    // Two at a time: the machine has two cores.
    await Promise.all([worker(), worker()]);
  }, 300_000);
}
