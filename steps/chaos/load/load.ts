import { PgdbaError } from "../../../engine/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { Clients, stateOf, type Write } from "../../clients.ts";
import type { Header, Way } from "../history/lines.ts";
import { History, type Times } from "../history/write.ts";
import { Reader } from "./reader.ts";
import { type Answer, write } from "./sql.ts";

export type Open = (attempt: number) => Promise<PgSession>;

export interface LoadOptions {
  file: string;
  header: Header;
  /** `connections`: of this way, where it is to have another number. */
  ways: { way: Way; open: Open; connections?: number }[];
  connections: number;
  synchronous_commit: string;
}

/** A connection that gives no answer for so long has another one put beside it, ms. */
const REPLACE_MS = 1_000;
/** How often a client reads what is there, by each way, ms. */
const READ_MS = 500;

/** The workload of a drill: writers that are due by the clock, by each way, and a reader beside them. All goes into the history. */
export class Load {
  readonly history: History;
  readonly #began: number;
  readonly #clients: Clients<Answer>[];
  readonly #readers: Reader[];
  /** A client that is cut off together with a node is promised nothing. */
  readonly #promised: Way[];
  readonly #phases = new Map<string, number>();
  /** By way: when the last of what is acknowledged was sent. */
  readonly #wrote = new Map<Way, number>();
  #acknowledged = 0;
  #stopped: Promise<void> | undefined;

  constructor({ file, header, ways, connections, synchronous_commit }: LoadOptions) {
    const history = new History(file, header);
    this.history = history;
    this.#began = performance.now();
    const { lists } = header;
    // A server that gives up lets a reader see what it has not acknowledged: those of all ways but this one tell of that.
    const read = ways.filter(({ way }) => way !== "inside");
    this.#promised = read.map(({ way }) => way);
    this.#readers = read.map(
      ({ way, open }) =>
        new Reader({
          open,
          everyMs: READ_MS,
          lists,
          last: () => history.last,
          since: () => this.now(),
          seen: (times, reign, ids) => history.seen(way, times, reign, ids),
          list: (times, reign, list) => history.list(way, times, reign, list),
        }),
    );
    this.#clients = ways.map(
      ({ way, open, connections: own = connections }) =>
        new Clients<Answer>({
          open,
          write: (pg, id) => write(pg, { id, mode: synchronous_commit, lists }),
          next: () => history.next(),
          everyMs: 1000 / header.rate,
          connections: own,
          patienceMs: header.deadline_ms,
          replaceMs: REPLACE_MS,
          ok: (one, { reign, lsn }) => {
            this.#acknowledged += 1;
            this.#wrote.set(way, Math.max(this.#us(one.sent), this.#wrote.get(way) ?? 0));
            history.ok(one.id, way, this.#times(one), reign, lsn);
          },
          failed: (one, error) => history.failed(one.id, way, this.#times(one), stateOf(error)),
          unknown: (one, error) => history.unknown(one.id, way, this.#times(one), stateOf(error)),
          unsent: (id, due) => history.unsent(id, way, this.#us(due)),
          refused: (at, error) => history.refused(way, this.#us(at), stateOf(error)),
          stalled: (at, ms) =>
            history.phase(
              this.#us(at),
              "stalled",
              `this process stood still for ${Math.round(ms)} ms`,
            ),
        }),
    );
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Microseconds since the load began. */
  now(): number {
    return this.#us(performance.now());
  }

  phase(name: string, text = ""): number {
    const at = this.now();
    this.history.phase(at, name, text);
    this.#phases.set(name, at);
    return at;
  }

  /** When the last phase of one of these names began: of the first that has begun. */
  begun(...names: string[]): number | undefined {
    return names.map((name) => this.#phases.get(name)).find((at) => at !== undefined);
  }

  /** Whether all who are promised anything have written since. */
  hasWritten(since: number): boolean {
    return this.#promised.every((way) => (this.#wrote.get(way) ?? -1) >= since);
  }

  /** Waits until so many operations are acknowledged, and some by each way. @throws PgdbaError timeout; the signal's reason when aborted */
  async reached(count: number, ms: number, signal: AbortSignal): Promise<void> {
    const ends = performance.now() + ms;
    while (this.#acknowledged < count || (count > 0 && !this.hasWritten(0))) {
      signal.throwIfAborted();
      if (performance.now() > ends)
        throw new PgdbaError(
          "timeout",
          `The cluster acknowledged ${this.#acknowledged} of ${count} operations in ${ms / 1000} s${this.hasWritten(0) ? "" : `, and not one by each way (${this.#promised.join(", ")})`}`,
          {
            hint: "A drill begins with a cluster that works: look at pgdba cluster status. Else give a lower rate, or a smaller warm_up.",
          },
        );
      await Bun.sleep(20);
    }
  }

  /** @throws PgdbaError io_failed when the history is not on disk */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all([...this.#clients, ...this.#readers].map((one) => one.stop()));
      this.history.phase(this.now(), "stopped");
      this.history.close();
    })();
    return this.#stopped;
  }

  #times({ due, sent, done }: Write): Times {
    return { due: this.#us(due), sent: this.#us(sent), done: this.#us(done) };
  }

  #us(at: number): number {
    return (at - this.#began) * 1000;
  }
}
