import { copyOf, type PgdbaError } from "../../engine/errors.ts";
import type { AccessFor, LockWord, Target, TargetFacts, TargetLock } from "../../engine/types.ts";

/** A name that no entry of the registry has. A run may make a cluster of it: then the target is what was registered. */
export class AbsentTarget implements Target {
  readonly name: string;
  readonly absent = true;
  readonly flags: readonly string[];
  readonly #why: PgdbaError;
  readonly #find: () => Promise<Target | undefined>;
  #made: Target | undefined;
  #holder: { holder: string; words: readonly LockWord[] | undefined } | undefined;
  #lock: TargetLock | undefined;

  /** `find` looks into the registry again; `why` tells those who need it that there is no such cluster. */
  constructor(name: string, why: PgdbaError, find: () => Promise<Target | undefined>) {
    this.name = name;
    this.flags = ["--cluster", name];
    this.#why = why;
    this.#find = find;
  }

  get cluster(): string {
    return this.name;
  }

  get labels(): readonly string[] {
    return this.#made?.labels ?? [];
  }

  get ownership(): Target["ownership"] {
    return this.#made?.ownership ?? "none";
  }

  get expectedIdentity(): string | null {
    return this.#made?.expectedIdentity ?? null;
  }

  async facts(): Promise<TargetFacts> {
    if (this.#made !== undefined) return this.#made.facts();
    return { state: "absent", why: this.#why, identity: null, capabilities: [], facts: {} };
  }

  async refresh(): Promise<TargetFacts> {
    if (this.#made !== undefined) return (await this.#made.refresh?.()) ?? this.#made.facts();
    this.#made = await this.#find();
    return this.facts();
  }

  /** @throws PgdbaError no_target */
  async use(what: string, on: AccessFor): Promise<unknown> {
    if (this.#made === undefined) await this.refresh();
    if (this.#made?.use === undefined) throw copyOf(this.#why);
    return this.#made.use(what, on);
  }

  /** There is no server to lock yet; the one that is made is locked as soon as it is there. */
  async lock(
    holder: string,
    words?: readonly LockWord[],
  ): Promise<TargetLock | { heldBy: string }> {
    this.#holder = { holder, words };
    return {
      held: () => this.#held(),
      release: async () => {
        this.#holder = undefined;
        await this.#lock?.release();
      },
    };
  }

  async close(): Promise<void> {
    await this.#made?.close();
  }

  async #held(): Promise<"held" | "unreachable" | { heldBy: string }> {
    if (this.#made === undefined) return "unreachable";
    if (this.#lock !== undefined) return this.#lock.held();
    const { holder = "", words } = this.#holder ?? {};
    const taken = await this.#made.lock?.(holder, words);
    if (taken === undefined) return "unreachable";
    if ("heldBy" in taken) return taken;
    this.#lock = taken;
    return taken.held();
  }
}
