import { PgdbaError } from "../errors.ts";
import type { Declarations } from "../declared.ts";
import type { Target, TargetFacts, TargetState } from "../types.ts";
import type { TestCase } from "./case.ts";

/** The target of one case. What its steps give and take changes it, as it would change a real one. */
export class MockTarget implements Target {
  readonly name: string;
  readonly cluster: string;
  readonly labels: readonly string[];
  readonly ownership: Target["ownership"];
  readonly expectedIdentity = null;
  readonly #test: NonNullable<TestCase["target"]>;
  readonly #capabilities: Set<string>;
  #state: TargetState;

  /** Without `capabilities`, a target that is up has all that the runbook needs, and any other one nothing. */
  constructor({ target: test = {} }: TestCase, needs: readonly string[]) {
    this.name = test.name ?? "test";
    this.cluster = test.cluster ?? "test";
    this.labels = test.labels ?? [];
    this.ownership = test.ownership ?? "managed";
    this.#test = test;
    this.#state = test.state ?? "up";
    this.#capabilities = new Set(test.capabilities ?? (this.#state === "up" ? needs : []));
  }

  async facts(): Promise<TargetFacts> {
    const { identity, facts = {}, provider, can } = this.#test;
    const verbs = Array.isArray(can) ? Object.fromEntries(can.map((verb) => [verb, true])) : can;
    const state = this.#state;
    return {
      state,
      ...(state === "up" ? {} : { why: this.#why() }),
      identity: identity ?? (state === "up" ? "1" : null),
      capabilities: [...this.#capabilities],
      facts: {
        ...facts,
        ...(provider === undefined ? {} : { provider }),
        ...(verbs === undefined ? {} : { can: verbs }),
      },
    };
  }

  #why(): PgdbaError {
    const hint = "The case says so with `target.state`.";
    const code = this.#state === "absent" ? "no_target" : "connection_failed";
    return new PgdbaError(code, `${this.name} is ${this.#state}`, { hint });
  }

  /** @throws PgdbaError capability_missing for a step that needs what nothing has given so far, or what was taken away */
  assertHas(needs: readonly string[], path: string): void {
    const missing = needs.filter((need) => !this.#capabilities.has(need));
    if (missing.length === 0) return;
    throw new PgdbaError(
      "capability_missing",
      `${path} needs ${missing.join(", ")}, which ${this.name} does not have at this point of the case`,
      { hint: "Say so under `target.capabilities`, or let an earlier step give it." },
    );
  }

  /** A step was done. A server that is there again is up. */
  done({ gives, takes }: Pick<Declarations, "gives" | "takes">): void {
    for (const word of takes) this.#capabilities.delete(word);
    for (const word of gives) this.#capabilities.add(word);
    if (gives.includes("postgres")) this.#state = "up";
    else if (takes.includes("postgres")) this.#state = "down";
  }

  async close(): Promise<void> {}
}
