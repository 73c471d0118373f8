import { isMapping } from "../json.ts";
import { declarationsOf } from "../declared.ts";
import { evaluate } from "../expr/cel.ts";
import { readsOnly } from "../expr/free-names.ts";
import { renderInput } from "../expr/render.ts";
import { isUnknown, UnknownValue, unknownOutput } from "../expr/unknown.ts";
import type {
  ActionStep,
  Json,
  JsonObject,
  ParamSpec,
  Risk,
  Step,
  StepRegistry,
  StepType,
} from "../types.ts";
import { namedIn } from "./call-graph.ts";
import { isSevere, type Place, saidIn, Union } from "./danger.ts";
import type { Outline, Outlines } from "./outline.ts";
import { validateParams } from "./params.ts";

/** The values that are known when a run is judged. */
export interface Known {
  /** Parameters of the runbook; all are unknown without it. */
  params?: JsonObject | undefined;
  /** The variable `target` of expressions; unknown without it. */
  target?: JsonObject | undefined;
  /**
   * True when a step counts whose `when` reads only `params` and `target`, while some of their values are not known. The words that such a step
   * gives count in any case, for the needs of later steps are checked again when they begin.
   */
  open: boolean;
}

/** A step's part of the union, with its place in the document that was asked about. */
export type Watcher = (part: Union, place: Place) => void;

/** A runbook that is called with more sets of parameters than these is judged as if nothing of them were known. */
const MAX_SETS = 20;

/** The union over the runbook of `outline`. A step whose `when` is decided and false does not count. */
export function unionOf(
  outline: Outline,
  parts: { registry: StepRegistry; outlines: Outlines },
  known: Known,
  watcher?: Watcher,
): Promise<Union> {
  return new Walk(parts.registry, parts.outlines, known).document(
    outline,
    paramsOf(outline.data, known.params),
    known.open,
    watcher,
  );
}

/** A document, and the way to walk it. */
interface Inside {
  name: string;
  params: JsonObject;
  open: boolean;
  union: Union;
  watcher?: Watcher | undefined;
}

class Walk {
  readonly #registry: StepRegistry;
  readonly #outlines: Outlines;
  readonly #target: object;
  /** By name, then by parameters. */
  readonly #known = new Map<string, Map<string, Union>>();
  readonly #walking = new Set<string>();

  constructor(registry: StepRegistry, outlines: Outlines, { target }: Known) {
    this.#registry = registry;
    this.#outlines = outlines;
    this.#target = target ?? unknownOutput("target");
  }

  /** Adds the statements of the document, the acts of its steps, and all that it extends or replaces. */
  async document(
    { name, data, steps, below }: Outline,
    params: JsonObject,
    open: boolean,
    watcher?: Watcher,
  ): Promise<Union> {
    const own = { step: null, of: name };
    const said = saidIn(data);
    const union = new Union(name);
    union.adds(own, said);
    union.needsAll(said.needs, own);
    // Only its steps are asked whether they tell their danger.
    const done = new Union(name);
    const each: Watcher = (part, place) => {
      done.atLeast(part.risk, part.riskBy);
      for (const [hazard, who] of part.hazards) done.hazards.set(hazard, who);
      watcher?.(part, place);
    };
    await this.#list(steps, { name, params, open, union, watcher: each });
    for (const word of said.gives) union.gives.add(word);
    if (losesBy(data, said, done)) union.backupBy ??= own;
    for (const one of below) {
      const values = paramsOf(one.data, params);
      const under = await this.document({ ...one, below: [] }, values, open);
      union.absorbsBelow(under, name);
      const ghost = new Union(name);
      ghost.absorbsBelow(under, name);
      watcher?.(ghost, { path: ["risk"], key: false });
    }
    return union;
  }

  async #list(steps: readonly Step[], inside: Inside): Promise<void> {
    for (const step of steps) await this.#step(step, inside);
  }

  async #step(step: Step, inside: Inside): Promise<void> {
    const counts = this.#counts(step, inside.params);
    if (counts === "no") return;
    if (counts === "open" && !inside.open) return this.#onlyGives([step], inside);
    if (step.kind === "block") {
      const { block, rescue = [], always = [] } = step;
      return this.#list([...block, ...rescue, ...always], inside);
    }
    await this.#action(step, inside);
    if (step.undo) await this.#list(step.undo, inside);
  }

  async #action(step: ActionStep, inside: Inside): Promise<void> {
    const { name, union, watcher } = inside;
    const type = await this.#type(step);
    if (type === undefined) return;
    const who = { step: step.id, of: name };
    const said = declarationsOf(type, step.input);
    const part = new Union(name);
    part.steps.add(type.type);
    part.adds(who, { ...said, locks: [said.locks] });
    part.needsAll(said.needs, who);
    if (said.hazards.includes("loses") && isSevere(said)) part.backupBy = who;
    const at = [...step.at, step.type];
    watcher?.(part, { path: at, key: true });
    union.absorbs(part);
    for (const { text, path } of namedIn(type, step.input)) {
      const called = await this.#called(text, step, inside);
      if (called === undefined) continue;
      watcher?.(called, { path: [...at, ...path], key: false });
      union.absorbs(called);
    }
    for (const word of said.takes) union.takes.add(word);
    for (const word of said.gives) union.gives.add(word);
  }

  /** Undefined for one that there isn't, and for one that calls itself: both are told elsewhere. */
  async #called(
    name: string,
    step: ActionStep,
    { params, open }: Inside,
  ): Promise<Union | undefined> {
    const outline = await this.#outlines(name);
    if (outline === undefined || this.#walking.has(name)) return undefined;
    const given = isMapping(step.input) ? step.input["params"] : undefined;
    let values = this.#given(outline.data, isMapping(given) ? given : {}, params);
    const sets = this.#known.get(name) ?? new Map<string, Union>();
    this.#known.set(name, sets);
    let key = `${open}\n${keyOf(values)}`;
    const many = sets.size >= MAX_SETS && !sets.has(key);
    if (many) {
      key = "";
      values = paramsOf(outline.data, undefined);
    }
    const before = sets.get(key);
    if (before) return before;
    this.#walking.add(name);
    const union = await this.document(outline, values, many || open);
    this.#walking.delete(name);
    sets.set(key, union);
    return union;
  }

  /** The parameters of a call, as far as they are known now. */
  #given(data: JsonObject, given: JsonObject, params: JsonObject): JsonObject {
    const inner: JsonObject = Object.create(null);
    for (const [name, spec] of Object.entries(specsIn(data))) {
      try {
        const value = renderInput(given[name] ?? null, {}, this.#variables(params));
        const open = { [name]: { ...spec, secret: false } };
        inner[name] = validateParams(open, { [name]: value })[name] ?? null;
      } catch {
        // The value is made of the output of an earlier step, or is wrong, which another check reports.
        inner[name] = unknown(name);
      }
    }
    return inner;
  }

  /** Tells whether a step runs, as far as `params` and `target` decide it. */
  #counts({ when }: Step, params: JsonObject): "yes" | "no" | "open" {
    if (when === undefined || !readsOnly(when, ["params", "target"])) return "yes";
    try {
      return evaluate(when, this.#variables(params)) === false ? "no" : "yes";
    } catch (thrown) {
      return thrown instanceof UnknownValue ? "open" : "yes";
    }
  }

  /** Adds the words that steps give which may run or not. */
  async #onlyGives(steps: readonly Step[], inside: Inside): Promise<void> {
    const union = new Union(inside.name);
    const certain = steps.map((step) => ({ ...step, when: "true" }));
    await this.#list(certain, { ...inside, union, watcher: undefined });
    for (const word of union.gives) inside.union.gives.add(word);
  }

  #variables(params: JsonObject): { params: JsonObject; target: object } {
    return { params, target: this.#target };
  }

  /** Undefined for one that there isn't, or that is broken: both are told elsewhere. */
  async #type({ type }: ActionStep): Promise<StepType | undefined> {
    if (!this.#registry.has(type)) return undefined;
    return this.#registry.get(type).catch(() => undefined);
  }
}

/** True when a runbook says that data may be lost with the parts that its steps destroy or break. */
function losesBy(
  data: JsonObject,
  { risk, hazards }: { risk: Risk; hazards: readonly string[] },
  steps: Union,
): boolean {
  const severe = isSevere({ risk: steps.risk, hazards: steps.hazards.keys() });
  if (hazards.includes("loses"))
    return severe || risk === "destructive" || hazards.includes("fault");
  // A runbook that only says that it is destructive, and not how, may lose data.
  return risk === "destructive" && data["hazards"] === undefined && steps.risk !== "destructive";
}

function specsIn(data: JsonObject): Record<string, ParamSpec> {
  const params = isMapping(data["params"]) ? data["params"] : {};
  return Object.fromEntries(Object.entries(params).filter(([, spec]) => isMapping(spec))) as Record<
    string,
    ParamSpec
  >;
}

/** The values of all parameters: as given, else their defaults; unknown where nobody has said anything. */
function paramsOf(data: JsonObject, given: JsonObject | undefined): JsonObject {
  const params: JsonObject = Object.create(null);
  for (const [name, spec] of Object.entries(specsIn(data))) {
    if (given === undefined) params[name] = unknown(name);
    else if (Object.hasOwn(given, name)) params[name] = given[name]!;
    else params[name] = spec.required === true ? unknown(name) : (spec.default ?? null);
  }
  return params;
}

function keyOf(params: JsonObject): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${isUnknown(value) ? "?" : JSON.stringify(value)}`)
    .join("\n");
}

function unknown(name: string): Json {
  return unknownOutput(`params.${name}`) as Json;
}
