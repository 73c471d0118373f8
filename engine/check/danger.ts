import type { DocPath, Hazard, JsonObject, LockWord, Risk } from "../types.ts";
import { HAZARDS, LOCKED_PARTS, RISKS } from "../types.ts";

/** The word by which a runbook tells that it has made a backup and seen that it can be restored. */
export const VERIFIED_BACKUP = "verified_backup";

/** The runbook, or the step of it, that says something. */
export interface Who {
  step: string | null;
  /** The name of the runbook. */
  of: string;
  /** Set where that runbook does not run, but is extended or replaced by this one. */
  by?: string;
}

/** A place in a document: the key there, or its value. */
export interface Place {
  path: DocPath;
  key: boolean;
}

/** All that a run would do: the union over a runbook, the runbooks that it calls, and all that these extend or replace. */
export interface Danger {
  risk: Risk;
  hazards: Hazard[];
  /** The words that the target must have when the run begins, because no earlier step gives them. */
  needs: string[];
  gives: string[];
  takes: string[];
  /** `all` stands alone; empty when nothing is locked. */
  locks: LockWord[];
  /** The step types that would run. */
  steps: string[];
  /** The first that asks for a verified backup, in words. */
  backup: string | null;
  /** In words, the part that has the risk, and the first that has each hazard or needs each word. */
  who: { risk: string; hazards: Record<string, string>; needs: Record<string, string> };
}

/** True when a verified backup is worth it: data may be lost with the part that is destroyed or broken on purpose. */
export function isSevere({ risk, hazards }: { risk: Risk; hazards: Iterable<Hazard> }): boolean {
  return risk === "destructive" || [...hazards].includes("fault");
}

/** Collects what a runbook and its steps would do, in the order of the steps. */
export class Union {
  risk: Risk = "read";
  riskBy: Who;
  backupBy: Who | null = null;
  readonly hazards = new Map<Hazard, Who>();
  readonly locks = new Map<LockWord, Who>();
  readonly needs = new Map<string, Who>();
  readonly gives = new Set<string>();
  readonly takes = new Set<string>();
  readonly steps = new Set<string>();

  constructor(name: string) {
    this.riskBy = { step: null, of: name };
  }

  adds(
    who: Who,
    {
      risk,
      hazards,
      locks,
    }: { risk: Risk; hazards: readonly Hazard[]; locks: readonly LockWord[] },
  ): void {
    this.atLeast(risk, who);
    for (const hazard of hazards) this.#first(this.hazards, hazard, who);
    for (const word of locks) if (word !== "none") this.#first(this.locks, word, who);
  }

  atLeast(risk: Risk, who: Who): void {
    if (rank(risk) <= rank(this.risk)) return;
    this.risk = risk;
    this.riskBy = who;
  }

  needsAll(words: Iterable<string>, who: Who): void {
    for (const word of words) if (!this.gives.has(word)) this.#first(this.needs, word, who);
  }

  /** All of a runbook that is called here. */
  absorbs(other: Union): void {
    for (const [word, who] of other.needs) this.needsAll([word], who);
    for (const [word, who] of other.locks) this.#first(this.locks, word, who);
    for (const word of other.gives) this.gives.add(word);
    for (const word of other.takes) this.takes.add(word);
    this.#judgedAs(other);
  }

  /** A document that is extended or replaced here does not run, but it is judged for the parts that do. */
  absorbsBelow(other: Union, name: string): void {
    const of = (who: Who): Who => ({ ...who, by: name });
    const ghost = new Union(name);
    ghost.atLeast(other.risk, of(other.riskBy));
    for (const [hazard, who] of other.hazards) ghost.hazards.set(hazard, of(who));
    ghost.backupBy = other.backupBy && of(other.backupBy);
    for (const type of other.steps) ghost.steps.add(type);
    this.#judgedAs(ghost);
  }

  #judgedAs(other: Union): void {
    this.atLeast(other.risk, other.riskBy);
    for (const [hazard, who] of other.hazards) this.#first(this.hazards, hazard, who);
    for (const type of other.steps) this.steps.add(type);
    this.backupBy ??= other.backupBy;
  }

  #first<K>(map: Map<K, Who>, key: K, who: Who): void {
    if (!map.has(key)) map.set(key, who);
  }

  /** As the runbook `name` is told of it. */
  danger(name: string): Danger {
    const words = <K extends string>(map: Map<K, Who>): Record<string, string> =>
      Object.fromEntries([...map].map(([key, who]) => [key, inWords(who, name)]));
    return {
      risk: this.risk,
      hazards: HAZARDS.filter((hazard) => this.hazards.has(hazard)),
      needs: [...this.needs.keys()],
      gives: [...this.gives],
      takes: [...this.takes],
      locks: this.locks.has("all") ? ["all"] : LOCKED_PARTS.filter((word) => this.locks.has(word)),
      steps: [...this.steps].toSorted(),
      backup: this.backupBy && inWords(this.backupBy, name),
      who: {
        risk: inWords(this.riskBy, name),
        hazards: words(this.hazards),
        needs: words(this.needs),
      },
    };
  }
}

/** "step `kill`", "step `kill` of `team/drill`", "`chaos/kill`, which `team/drill` extends or replaces". */
export function inWords({ step, of, by }: Who, asked: string): string {
  const whose = by === undefined ? "" : ` (which \`${by}\` extends or replaces)`;
  if (step === null) return `\`${of}\`${whose}`;
  return of === asked && by === undefined
    ? `step \`${step}\``
    : `step \`${step}\` of \`${of}\`${whose}`;
}

/** The statements of a document about itself; the check of its structure reports unknown words. */
export function saidIn(data: JsonObject): {
  risk: Risk;
  hazards: Hazard[];
  locks: LockWord[];
  needs: string[];
  gives: string[];
} {
  const words = (key: string): string[] =>
    [data[key] ?? []].flat().filter((one): one is string => typeof one === "string");
  const risk = data["risk"] as Risk;
  return {
    risk: RISKS.includes(risk) ? risk : "read",
    hazards: words("hazards") as Hazard[],
    locks: words("locks") as LockWord[],
    needs: words("needs"),
    gives: words("gives"),
  };
}

export function rank(risk: Risk): number {
  return RISKS.indexOf(risk);
}
