import { isMapping } from "../json.ts";
import type { JsonSchema } from "../types.ts";

/** How deep the names go that `show` tells: those of an output, of what it holds, and of what that holds. */
const LEVELS = 3;

/** The names of an output, each with its type and what it is; none of what lies within. */
export function outputNames({ properties = {} }: JsonSchema): JsonSchema {
  const shown = Object.entries(properties).map(([name, { type, description }]) => [
    name,
    {
      ...(type === undefined ? {} : { type }),
      ...(description === undefined ? {} : { description }),
    },
  ]);
  return { type: "object", properties: Object.fromEntries(shown) };
}

/** The same with the names and types of what lies within, which is what a path of `--select` is made of. */
export function outputPaths({ properties = {} }: JsonSchema): JsonSchema {
  const shown = Object.entries(properties).map(([name, schema]) => {
    const { description } = schema;
    return [
      name,
      { ...together([schema], LEVELS - 1), ...(description === undefined ? {} : { description }) },
    ];
  });
  return { type: "object", properties: Object.fromEntries(shown) };
}

/** The names and types that any of the schemas has. */
function together(schemas: readonly JsonSchema[], levels: number): JsonSchema {
  const forms = schemas.flatMap(formsOf);
  const types = forms.every(({ type }) => type !== undefined)
    ? [...new Set(forms.flatMap(({ type }) => type as string | string[]))]
    : [];
  const inner = forms.flatMap(({ properties = {} }) => Object.entries(properties));
  const names = Map.groupBy(levels > 0 ? inner : [], ([name]) => name);
  const items =
    levels > 0 ? forms.flatMap((form) => (isMapping(form["items"]) ? [form["items"]] : [])) : [];
  return {
    ...(types.length === 0 ? {} : { type: types.length === 1 ? types[0]! : types }),
    ...(names.size === 0
      ? {}
      : {
          properties: Object.fromEntries(
            [...names].map(([name, some]) => [
              name,
              together(
                some.map(([, one]) => one),
                levels - 1,
              ),
            ]),
          ),
        }),
    ...(items.length === 0 ? {} : { items: together(items as JsonSchema[], levels) }),
  };
}

/** What a schema allows one of; itself where that is all. */
function formsOf(schema: JsonSchema): JsonSchema[] {
  const some = (schema["anyOf"] ?? schema["oneOf"]) as JsonSchema[] | undefined;
  return some === undefined ? [schema] : some.flatMap(formsOf);
}
