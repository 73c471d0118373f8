import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal } from "../../../engine/journal/journal.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { Secrets } from "../../../engine/secrets.ts";
import { answer, checkEffects, type Ended } from "./expect.ts";
import { type Drill, drill, generator } from "./generate.ts";
import { type Answers, withFailpoints, type World, worldOf } from "./world.ts";

// Nothing here needs to survive a power cut.
const root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "pgdba-crash-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A process that dies: from then on nothing of it has any effect. */
class Process {
  failpoints = 0;
  dead = false;
  readonly stop = new Stop();
  readonly #killAt: number;
  readonly #stopAt: number;

  constructor(killAt: number, stopAt: number) {
    this.#killAt = killAt;
    this.#stopAt = stopAt;
  }

  readonly failpoint = (): void => {
    this.failpoints += 1;
    if (this.failpoints === this.#killAt) this.dead = true;
    if (this.dead) throw new Error("this process is dead");
    if (this.failpoints === this.#stopAt) this.stop.request("SIGTERM");
  };
}

let places = 0;

/** One drill, and all processes that work on it one after the other. */
class Scene {
  readonly lines: string[] = [];
  readonly #world: World;
  readonly #stateDir = join(root, String(++places));
  readonly #journal = new Journal(this.#stateDir, new Secrets());

  constructor(world: World) {
    this.#world = world;
  }

  /** @returns how it ended; undefined when it died */
  async process(
    assume: Answers,
    killAt = 0,
    stopAt = 0,
  ): Promise<(Ended & { failpoints: number }) | undefined> {
    const one = new Process(killAt, stopAt);
    this.#world.effects = {
      add: (line) => {
        one.failpoint();
        this.lines.push(line);
        one.failpoint();
      },
      lines: () => this.lines,
    };
    const resume = this.#journal.runs(1).length > 0;
    try {
      const { exit, status, envelope } = await this.#world.run({
        journal: withFailpoints(this.#open(), one.failpoint),
        stateDir: this.#stateDir,
        resume,
        assume,
        stop: one.stop,
      });
      if (one.dead) return undefined;
      return { exit, status, error: envelope.error, failpoints: one.failpoints };
    } catch (thrown) {
      if (one.dead) return undefined;
      throw thrown;
    }
  }

  /** As a process of its own has it, on the same database. */
  #open(): Journal {
    return new Journal(this.#stateDir, new Secrets(), { db: this.#journal.db });
  }

  /** Resumes, and answers as hints say, until the run has come to an end. */
  async toItsEnd(where: string, random: () => number, before?: Ended): Promise<Ended> {
    let ended = before ?? (await this.process({}));
    for (let resumes = 0; ended?.status === "needs_operator"; resumes++) {
      expect(resumes, `${where}: it never comes to an end: ${ended.error?.hint}`).toBeLessThan(30);
      ended = await this.process(answer(ended.error?.hint ?? null, this.lines, random() < 0.5));
    }
    return ended!;
  }

  close(): void {
    this.#journal.close();
  }
}

async function scene<T>(world: World, work: (scene: Scene) => Promise<T>): Promise<T> {
  const one = new Scene(world);
  try {
    return await work(one);
  } finally {
    one.close();
  }
}

/** Everything that can be seen afterwards, but for how often what may be repeated was. */
const traces = (lines: readonly string[]) =>
  [...new Set(lines)].filter((line) => !line.startsWith("try ")).toSorted();

/** Dies at every point, and the next process at a random one; in the end all is as if nobody had died. */
async function dieEverywhere(seed: number, one: Drill): Promise<void> {
  const random = generator(seed + 1000);
  const world = await worldOf(one, { add() {}, lines: () => [] });
  const clean = await scene(world, async (place) => {
    const first = (await place.process({}))!;
    const ended = await place.toItsEnd(`seed ${seed}`, random, first);
    checkEffects(`seed ${seed}`, one, ended, place.lines);
    return { ...ended, failpoints: first.failpoints, traces: traces(place.lines) };
  });
  for (let killAt = 1; killAt <= clean.failpoints; killAt++) {
    const again = random() < 0.7 ? 1 + Math.floor(random() * clean.failpoints) : 0;
    const where = `seed ${seed}, killed at ${killAt}, then at ${again}`;
    await scene(world, async (place) => {
      const first = await place.process({}, killAt);
      // Who wins a race decides how many points there are, so the last of them may not be reached.
      if (!one.races) expect(first, where).toBeUndefined();
      const next = first ?? (await place.process({}, again));
      const ended = await place.toItsEnd(where, random, next);
      checkEffects(where, one, ended, place.lines);
      expect(ended.exit, where).toBe(clean.exit);
      if (!one.races) expect(traces(place.lines), where).toEqual(clean.traces);
    });
  }
}

/** Told to stop at a random point, and killed at a later one: what happened is taken back, and nothing else. */
async function stopAndDie(seed: number, one: Drill): Promise<void> {
  const random = generator(seed + 2000);
  const world = await worldOf(one, { add() {}, lines: () => [] });
  const { failpoints } = await scene(world, async (place) => (await place.process({}))!);
  for (let n = 0; n < 8; n++) {
    const stopAt = 1 + Math.floor(random() * failpoints);
    const killAt = stopAt + Math.floor(random() * 20);
    const where = `seed ${seed}, stopped at ${stopAt}, killed at ${killAt}`;
    await scene(world, async (place) => {
      const first = await place.process({}, killAt, stopAt);
      const ended = await place.toItsEnd(where, random, first);
      checkEffects(where, one, ended, place.lines);
    });
  }
}

for (let seed = 1; seed <= 12; seed++) {
  test(`a process that dies at any point, seed ${seed}`, async () => {
    await dieEverywhere(seed, drill(seed));
    await stopAndDie(seed, drill(seed));
  }, 300_000);
}
