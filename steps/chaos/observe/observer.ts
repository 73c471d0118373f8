import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Way } from "../load/leader.ts";
import { type Look, ObservedNode } from "./node.ts";
import type { Line, Samples } from "./sample.ts";

export interface ObserverOptions {
  members: readonly { name: string; way: Way }[];
  /** Microseconds since the load began. */
  now(): number;
  probe(pg: PgSession, node: string): Promise<void>;
  /** The holder of the leader key, by its name; undefined where nobody keeps one. @throws when it can't be asked */
  holder: (() => Promise<string | null>) | undefined;
}

const EVERY_MS = 100;
const HOLDER_MS = 200;
/** Of two hours and a half; more are not kept, which is told. */
const MOST_LINES = 100_000;

/** Looks at every node directly, ten times a second, for as long as a drill lasts. */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #nodes: ObservedNode[];
  readonly #lines: Line[] = [];
  readonly #timer: Timer;
  readonly #over = new AbortController();
  readonly #looks = new Map<string, Look>();
  #holder: string | null | undefined;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#nodes = options.members.map(
      ({ name, way }) =>
        new ObservedNode({
          way,
          probe: (pg) => options.probe(pg, name),
          looked: (look) => this.#looked(name, look),
        }),
    );
    for (const node of this.#nodes) node.tick();
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
    if (options.holder !== undefined) void this.#follow(options.holder);
  }

  /** What was seen so far. */
  samples(): Samples {
    const members = this.#options.members.map(({ name }) => name);
    const cut = this.#lines.length >= MOST_LINES;
    return { format: 1, members, every_ms: EVERY_MS, lines: this.#lines, ...(cut ? { cut } : {}) };
  }

  /** The last letters of all nodes, in the order of the members. */
  get last(): string {
    const line = this.#lines.findLast((one) => "nodes" in one);
    return line !== undefined && "nodes" in line ? line.nodes : "";
  }

  async stop(): Promise<Samples> {
    if (!this.#over.signal.aborted) {
      this.#over.abort();
      clearInterval(this.#timer);
      await Promise.all(this.#nodes.map((node) => node.close()));
    }
    return this.samples();
  }

  #tick(): void {
    this.#add({
      at: Math.round(this.#options.now()),
      nodes: this.#nodes.map((node) => node.sample()).join(""),
    });
    for (const node of this.#nodes) node.tick();
  }

  #looked(node: string, look: Look): void {
    const before = this.#looks.get(node);
    this.#looks.set(node, look);
    const at = Math.round(this.#options.now());
    const { primary, timeline, streaming, sync } = look;
    if (before?.primary !== primary || before.timeline !== timeline)
      this.#add({ at, event: "role", node, primary, timeline });
    // A standby may have standbys of its own; what counts is who follows the one that takes writes.
    const same = before?.primary && before.streaming === streaming && before.sync === sync;
    if (primary && !same) this.#add({ at, event: "standbys", node, streaming, sync });
  }

  async #follow(ask: () => Promise<string | null>): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        const holder = await ask();
        if (holder !== this.#holder && !this.#over.signal.aborted) {
          this.#holder = holder;
          this.#add({ at: Math.round(this.#options.now()), event: "leader", holder });
        }
      } catch {
        // A store that can't be asked tells nothing.
      }
      await Bun.sleep(HOLDER_MS);
    }
  }

  #add(line: Line): void {
    if (this.#lines.length < MOST_LINES && !this.#over.signal.aborted) this.#lines.push(line);
  }
}
