import { sleep } from "../../../engine/shared/sleep.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Reign } from "../history/lines.ts";
import type { Times } from "../history/write.ts";
import { read } from "./sql.ts";

export interface ReaderOptions {
  open(attempt: number): Promise<PgSession>;
  everyMs: number;
  lists: number;
  /** The last id that was given out. */
  last(): number;
  /** Microseconds since the load began. */
  since(): number;
  seen(times: Times, reign: Reign, ids: readonly number[]): void;
  list(
    times: Times,
    reign: Reign,
    list: { key: number; same: number; more: readonly number[] },
  ): void;
}

/** It asks for as many of the ids before the last one. */
const BACK = 2_000;
/** It waits so long after an error, and for the last answer, ms. */
const AGAIN_MS = 200;
const LAST_MS = 1_000;

/** A client that reads what is there while others write: what it has read must not go away again. */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #over = new AbortController();
  readonly #known = new Set<number>();
  readonly #lists = new Map<number, number[]>();
  readonly #loop: Promise<void>;
  #pg: PgSession | undefined;
  #key = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.race([this.#loop, Bun.sleep(LAST_MS)]);
    await this.#pg?.close().catch(() => {});
    await Promise.race([this.#loop, Bun.sleep(LAST_MS)]);
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const pg = await this.#options.open(attempt);
        this.#pg = pg;
        try {
          while (!signal.aborted && pg.alive()) {
            await this.#read(pg);
            await sleep(this.#options.everyMs, signal).catch(() => {});
          }
        } finally {
          void pg.close().catch(() => {});
        }
      } catch {
        // A reading that failed proves nothing; the writers tell of the errors.
        await sleep(AGAIN_MS, signal).catch(() => {});
      }
    }
  }

  async #read(pg: PgSession): Promise<void> {
    const { last, lists, since, seen, list } = this.#options;
    const key = this.#key++ % lists;
    const sent = since();
    const answer = await read(pg, Math.max(1, last() - BACK), key);
    const times = { due: sent, sent, done: since() };
    const fresh = answer.ids.filter((id) => !this.#known.has(id));
    for (const id of fresh) this.#known.add(id);
    seen(times, answer.reign, fresh);
    const before = this.#lists.get(key) ?? [];
    let same = 0;
    while (same < before.length && before[same] === answer.list[same]) same++;
    this.#lists.set(key, answer.list);
    list(times, answer.reign, { key, same, more: answer.list.slice(same) });
  }
}
