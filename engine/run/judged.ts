import { type Danger, rank, Union } from "../check/danger.ts";
import { type Outlines, outlineOf, outlinesOf } from "../check/outline.ts";
import { unionOf } from "../check/union.ts";
import type { RunJudged } from "../journal/rows.ts";
import type { GateInput } from "../gates/verdict.ts";
import { declarationsOf } from "../declared.ts";
import { PgdbaError } from "../errors.ts";
import type { Json, JsonObject, LockWord, Runbook, StepRegistry, StepType } from "../types.ts";
import type { Host, RunRequest } from "./request.ts";

/** The limits that the gates let through: no step may do more than this. */
export interface Judged extends Pick<Danger, "risk" | "hazards" | "locks"> {
  /** The runbook that is run first, to take a verified backup. */
  backup: string | null;
  /** A person said that data may be lost without one. */
  withoutBackup: boolean;
  /** The clusters that it was judged for; null where it touches none. */
  clusters: readonly string[] | null;
}

/** The unions that a run is judged by, as far as is known at the time. */
export class Dangers {
  readonly #request: RunRequest;
  readonly #registry: StepRegistry;
  readonly #outlines: Outlines;

  constructor({ registry, library }: Host, request: RunRequest) {
    this.#request = request;
    this.#registry = registry;
    this.#outlines = outlinesOf(library, registry, request.runbooks);
  }

  /** The danger of the run itself; `target` as expressions see it. */
  run(target?: JsonObject): Promise<Union> {
    return this.#of(this.#request.runbook, { params: this.#request.params, target });
  }

  /** The danger of the runbook that would take a verified backup first; undefined when there is none, or more than one. */
  async backup(target: JsonObject): Promise<Union | undefined> {
    const [name, more] = this.#request.backups;
    const runbook =
      name === undefined || more !== undefined ? undefined : this.#request.runbooks.get(name);
    return runbook && this.#of(runbook, { params: {}, target });
  }

  #of(
    { doc }: Runbook,
    known: { params: JsonObject; target: JsonObject | undefined },
  ): Promise<Union> {
    const parts = { registry: this.#registry, outlines: this.#outlines };
    return unionOf(outlineOf(doc, this.#registry), parts, { ...known, open: true });
  }
}

/**
 * A step is judged by its input as written. A type whose function did not see through a template must not get past the
 * gates with what that turned out to be. @throws PgdbaError step_refused
 */
export function assertJudged(judged: Judged, type: StepType, input: Json, path: string): void {
  const { risk, hazards, locks } = declarationsOf(type, input);
  const more = [
    ...(rank(risk) > rank(judged.risk) ? [risk] : []),
    ...hazards.filter((hazard) => !judged.hazards.includes(hazard)),
    ...(locks === "none" || ["all", locks].some((word) => judged.locks.includes(word as LockWord))
      ? []
      : [`locks ${locks}`]),
  ];
  if (more.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `${path} (${type.type}) says of its input that it is ${more.join(", ")}, and the run was let through without that`,
    {
      hint: `Nothing was done by it. The step type must declare this for the input as written, templates included; or the runbook says so itself, with \`risk\`, \`hazards\` and \`locks\`.`,
    },
  );
}

/** As the journal keeps it, beside the risk. */
export function judgedRow({
  hazards,
  locks,
  backup,
  withoutBackup,
}: Omit<Judged, "clusters">): RunJudged {
  return { hazards, locks, backup, withoutBackup };
}

/** The part of it that the gates look at. */
export function gateDanger(danger: Danger): GateInput["danger"] {
  const { risk, hazards, needs, steps, backup, locks, gives, takes, who } = danger;
  const touches = [hazards, needs, locks, gives, takes].some((words) => words.length > 0);
  return { risk, hazards, needs, steps, backup, touches, who };
}

/** A run with the one that precedes it. */
export function preceded(run: Union, backup: Union | undefined, name: string): Danger {
  if (backup === undefined) return run.danger(name);
  const whole = new Union(name);
  whole.absorbs(backup);
  whole.absorbs(run);
  return whole.danger(name);
}
