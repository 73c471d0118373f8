import { isMapping } from "../json.ts";
import type { DocPath, Json, JsonObject, JsonSchema, ParamSpec } from "../types.ts";
import type { Report } from "./report.ts";
import { schemaProblems } from "./schema-problems.ts";
import { texts, valueSchema } from "./scope.ts";
import { NAME, PARAM, SUBSCHEMA, WORDS } from "./structure.ts";
import { shown } from "./messages.ts";
import { validate } from "./validate.ts";

/** Flags of pgdba itself, which a parameter of the same name would hide. A runbook may take `--database` and `--host` for itself: see `OWN_FLAGS`. */
const RESERVED_PARAMS = [
  "cluster",
  "port",
  "user",
  "config",
  "format",
  "plan",
  "yes",
  "confirm",
  "lock_wait",
  "version",
  "no_input",
  "runbooks",
  "events",
  "help",
  "i_know_what_i_am_doing",
  "quiet",
  "verbose",
  "debug",
] as const;

/** Checks `params` of a runbook. @returns those that are sound enough to go on with */
export function checkParams(params: Json | undefined, report: Report): Record<string, ParamSpec> {
  const specs: Record<string, ParamSpec> = Object.create(null);
  const positions = new Map<number, string>();
  for (const [name, spec] of Object.entries(isMapping(params) ? params : {})) {
    const path = ["params", name];
    if (!new RegExp(NAME).test(name) || WORDS.includes(name)) {
      report.add(
        path,
        {
          rule: "bad-name",
          message: `\`${name}\` can't be the name of a parameter`,
          hint: "Use lower-case letters, digits and _, a letter first, and no word of CEL such as `in`.",
        },
        true,
      );
    } else if ((RESERVED_PARAMS as readonly string[]).includes(name)) {
      report.add(
        path,
        {
          rule: "reserved-param",
          message: `\`${name}\` is a flag of pgdba itself`,
          hint: "Choose another name.",
        },
        true,
      );
    }
    specs[name] = {};
    if (!checkSchema(spec, path, report, PARAM)) continue;
    const sound = spec as ParamSpec;
    specs[name] = sound;
    checkSecret(sound, path, report);
    checkDefault(sound, path, report);
    checkBeside(sound, isMapping(params) ? params : {}, path, report);
    if (sound.runbook !== undefined && sound.type !== "boolean" && sound.type !== "string")
      report.add([...path, "runbook"], {
        rule: "runbook-param-type",
        message: "only a boolean or a text asks for another runbook",
        hint: "Write `type: boolean` or `type: string`.",
      });
    if (sound.confirms === true && sound.type !== "string")
      report.add([...path, "confirms"], {
        rule: "confirms-param-type",
        message: "the answer to a question is a text",
        hint: "Write `type: string`.",
      });
    if (sound.positional === undefined) continue;
    const other = positions.get(sound.positional);
    if (other !== undefined)
      report.add([...path, "positional"], {
        rule: "duplicate-positional",
        message: `\`${other}\` is bare word ${sound.positional} already`,
      });
    positions.set(sound.positional, name);
  }
  return specs;
}

function checkBeside({ target }: ParamSpec, params: JsonObject, path: DocPath, report: Report) {
  if (typeof target !== "object" || Object.hasOwn(params, target.from)) return;
  report.add([...path, "target", "from"], {
    rule: "unknown-param",
    message: `there is no parameter \`${target.from}\``,
    hint: "It takes the cluster that --cluster names.",
  });
}

/** The value of a variable or a file is text. */
function checkSecret({ secret, type }: ParamSpec, path: DocPath, report: Report): void {
  if (secret !== true || [type ?? []].flat().every((one) => one === "string")) return;
  report.add([...path, "type"], {
    rule: "secret-param-type",
    message: "a secret is text: it is read from a variable or a file",
    hint: "Write `type: string`; an expression such as int(params.x) makes a number of it.",
  });
}

function checkDefault(spec: ParamSpec, path: DocPath, report: Report): void {
  if (spec.default === undefined) return;
  const at = [...path, "default"];
  if (spec.secret === true) {
    report.add(at, {
      rule: "secret-param-default",
      message: "a secret must not stand in a runbook",
      hint: "Remove the default; the value is given as env:NAME or file:PATH.",
    });
    return;
  }
  report.addSchema(at, validate(valueSchema(spec), spec.default, "default"));
}

/** Checks a JSON Schema that a document holds, all levels of it. @returns whether it may be used */
export function checkSchema(
  schema: Json,
  path: DocPath,
  report: Report,
  level: JsonSchema = SUBSCHEMA,
): schema is JsonObject {
  const problems = schemaProblems(schema, String(path.at(-1)), { level });
  report.addSchema(path, problems);
  return problems.every(({ severity }) => severity === "warning") && isMapping(schema);
}

/** Warns of parameters that nothing reads: no text of `used` speaks of `params.<name>`, nor of `params` as a whole. */
export function warnUnused(
  specs: Record<string, ParamSpec>,
  used: readonly (Json | undefined)[],
  report: Report,
): void {
  const read = new Set<string>();
  for (const { text } of used.flatMap((value) => [...texts(value ?? null)])) {
    for (const found of text.matchAll(/\bparams\b(?:\s*\.\s*(\w+)|\s*\[\s*(['"])(\w+)\2\s*\])?/g)) {
      const name = found[1] ?? found[3];
      if (name === undefined) return;
      read.add(name);
    }
  }
  for (const name of Object.keys(specs)) {
    // The engine reads one that names the target, or another runbook.
    if (read.has(name) || specs[name]?.target || specs[name]?.runbook !== undefined) continue;
    report.add(
      ["params", name],
      {
        severity: "warning",
        rule: "unused-param",
        message: `nothing uses the parameter ${shown(name)}`,
        hint: "Remove it, or use it.",
      },
      true,
    );
  }
}
