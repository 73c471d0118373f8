import type { Letter, Line } from "../observe/sample.ts";

type Event = Exclude<Line, { nodes: string }>;

/** Of one node, for as long as it is out of recovery on one timeline. */
interface Reign {
  /** The sample in which it last took a write. */
  at: number;
  /** Who has taken one since. */
  since: Set<string>;
}

/**
 * Where acknowledgements take longer than a sample lasts, two nodes that both take writes are never seen to do so in one. But one that takes a write, then
 * another node does, then it again, on its old timeline and without having been a standby meanwhile, has not handed anything over.
 */
export class Turns {
  readonly #reigns = new Map<string, Reign>();
  readonly #roles = new Map<string, string>();

  event(line: Event): void {
    if (line.event !== "role") return;
    const role = `${line.primary} ${line.timeline}`;
    if (this.#roles.get(line.node) !== role) this.#reigns.delete(line.node);
    this.#roles.set(line.node, role);
  }

  /** @returns the nodes of this sample that take writes by turns with others, and these */
  sample(at: number, letters: readonly (readonly [node: string, is: Letter])[]): string[] {
    const found = new Set<string>();
    const wrote = letters.filter(([, is]) => is === "W").map(([node]) => node);
    for (const [node, is] of letters) if (is === "S" || is === "D") this.#reigns.delete(node);
    for (const node of wrote) {
      const { since } = this.#reigns.get(node) ?? {};
      for (const one of since?.size ? [node, ...since] : []) found.add(one);
      this.#reigns.set(node, { at, since: new Set() });
    }
    for (const [node, reign] of this.#reigns)
      if (reign.at < at) for (const one of wrote) if (one !== node) reign.since.add(one);
    return letters.map(([node]) => node).filter((node) => found.has(node));
  }
}
