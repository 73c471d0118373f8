/** Goes by the schedules of a folder: each command at its time, one after the other. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { sleep } from "../../../engine/shared/sleep.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { SpawnOptions, SpawnResult } from "../../../engine/types.ts";
import { dueAt } from "./due.ts";
import { type Entry, saidIn } from "./keeper.ts";
import { entryFile, type Memory, memoryFile } from "./memory.ts";

/** How often it looks: a schedule that was added or taken away counts from then on. */
const LOOK_MS = 2_000;
const MAX_FILE = 64 * 1024;

export interface Surroundings {
  folder: string;
  program: string[];
  now(): Date;
  signal: AbortSignal;
  spawn(argv: string[], options: SpawnOptions): Promise<SpawnResult>;
  log(message: string, level?: "info" | "warn"): void;
}

const NOTHING = { began_at: null, ended_at: null, exit_code: null, said: null, missed: null };

export class Scheduler {
  readonly #at: Surroundings;
  /** Names of those that are at work or wait for it. */
  readonly #busy = new Set<string>();
  #queue: Promise<void> = Promise.resolve();

  constructor(at: Surroundings) {
    this.#at = at;
  }

  /** Until the signal. */
  async run(): Promise<void> {
    const { signal, log } = this.#at;
    await this.#wake();
    log(`goes by ${this.#entries().length} schedules`);
    while (!signal.aborted) {
      await this.look("the scheduler was not running, or its clock was set");
      await sleep(LOOK_MS, signal).catch(() => {});
    }
    await this.#queue.catch(() => {});
  }

  /** What was at work when the former one ended has come to no end. */
  async #wake(): Promise<void> {
    for (const { name } of this.#entries()) {
      const memory = this.#memory(name);
      if (memory?.began_at == null || memory.ended_at !== null) continue;
      const message = "the scheduler ended while it was at work";
      const said = { success: false, message };
      await this.#remember(name, { ...memory, ended_at: this.#at.now().toISOString(), said });
    }
  }

  /** Begins what is due, and puts down what was missed; gives when all of it has ended. */
  async look(why: string): Promise<{ ended: Promise<void> }> {
    for (const entry of this.#entries()) {
      const { name } = entry;
      const memory = this.#memory(name) ?? { ...NOTHING, seen: entry.added_at };
      // Put in anew it counts from then on.
      const since = new Date(memory.seen < entry.added_at ? entry.added_at : memory.seen);
      const now = this.#at.now();
      const { due, missed } = dueAt(entry, since, now);
      if (due === null && missed === null) continue;
      const isBusy = this.#busy.has(name);
      const gone = [
        ...(missed === null ? [] : [missed]),
        ...(due !== null && isBusy ? [{ count: 1, at: due }] : []),
      ];
      const seen = (due ?? missed!.at).toISOString();
      const next: Memory = { ...memory, seen };
      for (const { count, at } of gone) {
        const reason = isBusy ? "the run before was still at work" : why;
        const all = (next.missed?.count ?? 0) + count;
        next.missed = { count: all, at: at.toISOString(), why: reason };
        this.#at.log(`${name} of ${at.toISOString()} was missed: ${reason}`, "warn");
      }
      await this.#remember(name, next);
      if (due === null || isBusy) continue;
      this.#busy.add(name);
      this.#queue = this.#queue
        .then(() => this.#work(entry))
        .catch((error: unknown) => this.#at.log(`${name}: ${(error as Error).message}`, "warn"))
        .finally(() => this.#busy.delete(name));
    }
    return { ended: this.#queue };
  }

  /** As cron would: one command after the other, for as long as they succeed. */
  async #work({ name, commands }: Entry): Promise<void> {
    const { folder, program, now, log, spawn, signal } = this.#at;
    if (signal.aborted || !existsSync(join(folder, entryFile(name)))) return;
    const began_at = now().toISOString();
    const keep = async (more: Partial<Memory>) => {
      const memory = this.#memory(name) ?? { ...NOTHING, seen: began_at };
      await this.#remember(name, { ...memory, began_at, ...more });
    };
    await keep({ ended_at: null, exit_code: null, said: null });
    log(`${name} begins`);
    let last: SpawnResult | undefined;
    for (const words of commands) {
      last = await spawn([...program, ...words, "--format", "json"], {
        env: { PGDBA_CALLER: "schedule" },
      });
      await writeWhole(join(folder, `${name}.json`), last.stdout);
      await writeWhole(join(folder, `${name}.log`), last.stderr);
      if (last.exit_code !== 0) break;
    }
    const exit_code = last?.exit_code ?? null;
    const said = saidIn(last?.stdout ?? "") ?? {
      success: exit_code === 0,
      message: `it ended with ${exit_code ?? last?.signal ?? "nothing"}`,
    };
    log(`${name}: ${said.message}`, said.success ? "info" : "warn");
    // It was taken away meanwhile.
    if (!existsSync(join(folder, entryFile(name)))) return;
    await keep({ ended_at: now().toISOString(), exit_code, said });
  }

  #entries(): Entry[] {
    const { folder, log } = this.#at;
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => file.endsWith(entryFile("")))
      .toSorted()
      .flatMap((file) => {
        const entry = this.#read<Entry>(file);
        if (entry === null) log(`${file} can't be read: nothing is done for it`, "warn");
        return entry ?? [];
      });
  }

  #memory(name: string): Memory | null {
    return this.#read<Memory>(memoryFile(name));
  }

  #read<T>(file: string): T | null {
    const text = readTextIfThere(join(this.#at.folder, file), { maxBytes: MAX_FILE });
    try {
      return text === undefined ? null : (JSON.parse(text) as T);
    } catch {
      return null;
    }
  }

  async #remember(name: string, memory: Memory): Promise<void> {
    await writeWhole(join(this.#at.folder, memoryFile(name)), `${JSON.stringify(memory)}\n`);
  }
}
