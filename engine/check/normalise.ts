import { isMapping } from "../json.ts";
import type {
  ActionStep,
  BlockStep,
  DocPath,
  Json,
  JsonObject,
  Step,
  StepRegistry,
} from "../types.ts";
import { suggest } from "../shared/suggest.ts";
import type { Finding, Report } from "./report.ts";
import { ACTION_ONLY, BLOCK_ONLY, COMMON, STEP, WORDS } from "./structure.ts";
import { didYouMean, offMessage } from "./messages.ts";
import { validate } from "./validate.ts";

/** The place of an id, so that a reference to it from elsewhere can be explained. */
export interface Place {
  at: DocPath;
  /** Id of the foreach block around it. */
  loop: string | undefined;
  /** Id of the step whose undo it is part of. */
  undoOf: string | undefined;
}

export interface Normalised {
  steps: Step[];
  places: Map<string, Place>;
}

/** The steps of a document as steps with unique ids; what is wrong with their shape goes into the report. */
export function normalise(
  raw: readonly Json[],
  report: Report,
  registry: StepRegistry,
): Normalised {
  const places = new Map<string, Place>();
  const unnamed: { step: Step; place: Place }[] = [];

  const list = (value: Json | undefined, at: DocPath, around: Omit<Place, "at">): Step[] =>
    Array.isArray(value)
      ? value.flatMap((item, i) => (isMapping(item) ? [oneStep(item, [...at, i], around)] : []))
      : [];

  const oneStep = (value: JsonObject, at: DocPath, around: Omit<Place, "at">): Step => {
    report.addSchema(at, validate(STEP, value, "step"));
    const type = typeKey(value, at, report, registry);
    const step = {
      ...common(value),
      at,
      id: typeof value["id"] === "string" ? value["id"] : "",
    } as Step;
    const place = { ...around, at };
    if (WORDS.includes(step.id)) report.add([...at, "id"], unsayable(step.id));
    if (step.id === "") unnamed.push({ step, place });
    else if (places.has(step.id))
      report.add([...at, "id"], duplicate(step.id, report, places.get(step.id)!));
    else places.set(step.id, place);

    if (value["block"] !== undefined) {
      const block = step as BlockStep;
      const inside = step.foreach === undefined ? around : { ...around, loop: step.id };
      block.kind = "block";
      block.block = list(value["block"], [...at, "block"], inside);
      if (value["rescue"] !== undefined)
        block.rescue = list(value["rescue"], [...at, "rescue"], inside);
      if (value["always"] !== undefined)
        block.always = list(value["always"], [...at, "always"], inside);
      if (isMapping(value["output"])) block.output = value["output"];
      return block;
    }
    const action = step as ActionStep;
    action.kind = "action";
    action.type = type ?? "";
    action.input = (type === undefined ? undefined : value[type]) ?? {};
    if (value["undo"] === false) action.undo = false;
    else if (value["undo"] !== undefined)
      action.undo = list(value["undo"], [...at, "undo"], { ...around, undoOf: step.id });
    return action;
  };

  const steps = list(raw as Json[], ["steps"], { loop: undefined, undoOf: undefined });
  nameAll(unnamed, places);
  return { steps, places };
}

function unsayable(id: string): Finding {
  return {
    rule: "reserved-name",
    message: `\`${id}\` is a word of CEL: \`steps.${id}\` can't be written`,
    hint: "Choose another id.",
  };
}

function duplicate(id: string, report: Report, first: Place): Finding {
  return {
    rule: "duplicate-id",
    message: `there is already a step \`${id}\` on line ${report.lineOf([...first.at, "id"])}`,
    hint: "Ids are unique in a runbook, blocks included.",
  };
}

/** `sql_query_1` and so on, in the order of the document, passing over ids that are taken. */
function nameAll(unnamed: { step: Step; place: Place }[], places: Map<string, Place>): void {
  const counts = new Map<string, number>();
  for (const { step, place } of unnamed) {
    const base = step.kind === "block" ? "block" : step.type.replaceAll(/[^a-z0-9_]/g, "_");
    let n = counts.get(base) ?? 0;
    do n += 1;
    while (places.has(`${base}_${n}`));
    counts.set(base, n);
    step.id = `${base}_${n}`;
    places.set(step.id, place);
  }
}

/** The common keys that are of the right shape; the report has said what isn't. */
function common(value: JsonObject): Partial<Step> {
  const out: JsonObject = {};
  for (const [key, schema] of Object.entries(COMMON)) {
    const item = value[key];
    if (item === undefined || key === "id" || validate(schema, item, key).length > 0) continue;
    out[key] = schema["x-lang"] === "cel" && typeof item === "boolean" ? String(item) : item;
  }
  const retry = out["retry"];
  if (isMapping(retry) && typeof retry["on"] === "boolean")
    out["retry"] = { ...retry, on: String(retry["on"]) };
  return out as Partial<Step>;
}

/** The key that says what a step does; exactly one must. @returns undefined for a block, or when there is none */
function typeKey(
  value: JsonObject,
  at: DocPath,
  report: Report,
  registry: StepRegistry,
): string | undefined {
  const isBlock = value["block"] !== undefined;
  const own = isBlock ? BLOCK_ONLY : ACTION_ONLY;
  const other = isBlock ? ACTION_ONLY : BLOCK_ONLY;
  const candidates: string[] = [];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(COMMON, key) || Object.hasOwn(own, key)) continue;
    if (Object.hasOwn(other, key)) {
      const message = isBlock
        ? `a block has no \`${key}\`; give it to the steps in it`
        : `\`${key}\` belongs to a block, and this step has no \`block\``;
      report.add([...at, key], { rule: "unknown-key", message }, true);
    } else candidates.push(key);
  }
  const types = candidates.filter((key) => registry.has(key));
  const names = registry.names();
  const chosen = isBlock
    ? undefined
    : (types[0] ?? candidates.find((key) => suggest(key, names) !== undefined) ?? candidates[0]);
  for (const key of candidates)
    if (key !== chosen) report.add([...at, key], surplus(key, chosen, registry), true);
  if (
    chosen === undefined &&
    !isBlock &&
    !Object.keys(value).some((key) => Object.hasOwn(other, key))
  ) {
    report.add(
      at,
      {
        rule: "missing-type",
        message: "the step does not say what to do",
        hint: "Add a step type such as `sql.query:`, or `block:`.",
      },
      true,
    );
  }
  if (chosen !== undefined && types.length === 0)
    report.add([...at, chosen], unknownType(chosen, registry), true);
  return chosen;
}

function unknownType(type: string, registry: StepRegistry): Finding {
  const off = registry.off?.();
  const file = off?.files.get(type);
  if (off && file !== undefined)
    return { rule: "type-off", message: offMessage(type, file), hint: off.hint };
  const known = [
    ...registry.names(),
    ...(off?.files.keys() ?? []),
    ...Object.keys({ ...COMMON, ...ACTION_ONLY, ...BLOCK_ONLY }),
  ];
  return {
    rule: "unknown-type",
    message: `there is no step type \`${type}\``,
    hint: didYouMean(type, known) ?? "`pgdba help steps` lists them all.",
  };
}

function surplus(key: string, chosen: string | undefined, registry: StepRegistry): Finding {
  const what = chosen === undefined ? "a block" : `a \`${chosen}\` step`;
  if (registry.has(key))
    return {
      rule: "two-types",
      message: `${what} can't be a \`${key}\` step as well`,
      hint: "Make it a step of its own.",
    };
  const close = suggest(
    key,
    Object.keys({ ...COMMON, ...(chosen === undefined ? BLOCK_ONLY : ACTION_ONLY) }),
  );
  return {
    rule: "unknown-key",
    message: `unknown key \`${key}\` in ${what}`,
    hint: close && `Did you mean ${close}?`,
  };
}
