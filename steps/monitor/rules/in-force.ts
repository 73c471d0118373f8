/** The thresholds that are in force for one cluster: the defaults of checks and runbooks as the user's layers have them, and what is given over them. */
import { PgdbaError } from "../../../engine/errors.ts";
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { JsonObject, Library } from "../../../engine/types.ts";
import text from "../../../monitoring/thresholds.yaml" with { type: "text" };
import builtIn from "../../../monitoring/prometheus/rules/thresholds.rules.yml" with { type: "text" };
import { type ThresholdList, thresholdRules, thresholdsOf } from "./thresholds.ts";

export type Over = Record<string, Record<string, number>>;

export interface Changed {
  /** The file of rules. */
  rules: string;
  /** Params of health checks that are other than pgdba's own. */
  checks: Over;
}

/** @throws PgdbaError invalid_param for a threshold that there is not, or that is no number */
export async function thresholdsInForce(library: Library, over: Over): Promise<Changed> {
  const list = (await parseYaml(text, "thresholds.yaml", {
    code: "internal",
  })) as unknown as ThresholdList;
  const docs = new Map<string, JsonObject>();
  const names = [
    ...Object.keys(list.checks).map((name) => `${list.under}/${name}`),
    ...Object.values(list.runbooks).flatMap((params) =>
      Object.values(params).map(({ runbook }) => runbook),
    ),
  ];
  for (const name of names)
    if (library.find(name) !== undefined) docs.set(name, (await library.load(name)).data);
  const own = await builtInValues();
  const declared = (name: string, param: string): unknown =>
    (docs.get(name)?.["params"] as Record<string, { default?: unknown }> | undefined)?.[param]
      ?.default;
  const found = thresholdsOf(list, {
    check: (name, param) => declared(`${list.under}/${name}`, param) ?? own.get(`${name} ${param}`),
    runbook: (name, param) => declared(name, param) ?? `${own.get(placeOf(list, name, param))}s`,
  }).map((one) => ({ ...one, value: over[one.check]?.[one.param] ?? one.value }));
  for (const [check, params] of Object.entries(over))
    for (const param of Object.keys(params))
      if (!found.some((one) => one.check === check && one.param === param))
        throw new PgdbaError("invalid_param", `There is no threshold ${check}.${param}`, {
          hint: `There are ${[...new Set(found.map((one) => one.check))].join(", ")}, each with ${[...new Set(found.map((one) => one.param))].join(", ")}.`,
        });
  const checks: Over = {};
  for (const { check, param, value } of found)
    if (check in list.checks && own.get(`${check} ${param}`) !== value)
      checks[check] = { ...checks[check], [param]: value };
  return { rules: thresholdRules(found), checks };
}

/** The check and the param that a runbook's param is the threshold of. */
function placeOf(list: ThresholdList, name: string, param: string): string {
  for (const [check, params] of Object.entries(list.runbooks))
    for (const [own, at] of Object.entries(params))
      if (at.runbook === name && at.param === param) return `${check} ${own}`;
  return "";
}

/** By check and param, as pgdba's own file has them. */
async function builtInValues(): Promise<Map<string, number>> {
  const { groups } = (await parseYaml(builtIn, "thresholds.rules.yml", {
    code: "internal",
  })) as unknown as {
    groups: { rules: { expr: string; labels: { check: string; param: string } }[] }[];
  };
  return new Map(
    groups.flatMap(({ rules }) =>
      rules.map(({ expr, labels }) => [
        `${labels.check} ${labels.param}`,
        Number(/^vector\((.*)\)$/.exec(expr)?.[1]),
      ]),
    ),
  );
}
