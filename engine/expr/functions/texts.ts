import type { JsonSchema } from "../../types.ts";
import { BOOL, INT, STRING } from "../schema-types.ts";
import { method, fn, type Overload } from "./overload.ts";
import {
  charAt,
  contains,
  indexOf,
  join,
  lastIndexOf,
  lowerAscii,
  regex,
  replace,
  reverse,
  split,
  substring,
  trim,
  upperAscii,
} from "./text.ts";
import type { Work } from "../work.ts";

const STRINGS: JsonSchema = { type: "array", items: STRING };
const matches = ([text, pattern]: string[], work: Work): boolean =>
  regex(pattern!, work).test(text!, work);

/** Functions of text; positions count characters. */
export const TEXT_FUNCTIONS: Record<string, Overload[]> = {
  startsWith: [method("string", ["string"], BOOL, ([text, start]) => text.startsWith(start))],
  endsWith: [method("string", ["string"], BOOL, ([text, end]) => text.endsWith(end))],
  contains: [
    method("string", ["string"], BOOL, ([text, inner], work) => contains(text, inner, work)),
  ],
  matches: [method("string", ["string"], BOOL, matches), fn(["string", "string"], BOOL, matches)],
  lower: [method("string", [], STRING, ([text]) => text.toLowerCase())],
  upper: [method("string", [], STRING, ([text]) => text.toUpperCase())],
  lowerAscii: [method("string", [], STRING, ([text]) => lowerAscii(text))],
  upperAscii: [method("string", [], STRING, ([text]) => upperAscii(text))],
  trim: [method("string", [], STRING, ([text]) => trim(text))],
  reverse: [method("string", [], STRING, ([text], work) => reverse(text, work))],
  charAt: [method("string", ["int"], STRING, ([text, index]) => charAt(text, index))],
  indexOf: [
    method("string", ["string"], INT, ([text, inner], work) => indexOf(text, inner, 0n, work)),
    method("string", ["string", "int"], INT, ([text, inner, from], work) =>
      indexOf(text, inner, from, work),
    ),
  ],
  lastIndexOf: [
    method("string", ["string"], INT, ([text, inner], work) =>
      lastIndexOf(text, inner, undefined, work),
    ),
    method("string", ["string", "int"], INT, ([text, inner, from], work) =>
      lastIndexOf(text, inner, from, work),
    ),
  ],
  substring: [
    method("string", ["int"], STRING, ([text, from]) => substring(text, from, undefined)),
    method("string", ["int", "int"], STRING, ([text, from, to]) => substring(text, from, to)),
  ],
  replace: [
    method("string", ["string", "string"], STRING, ([text, from, to], work) =>
      replace(text, from, to, -1n, work),
    ),
    method("string", ["string", "string", "int"], STRING, ([text, from, to, limit], work) =>
      replace(text, from, to, limit, work),
    ),
  ],
  split: [
    method("string", ["string"], STRINGS, ([text, separator], work) =>
      split(text, separator, -1n, work),
    ),
    method("string", ["string", "int"], STRINGS, ([text, separator, limit], work) =>
      split(text, separator, limit, work),
    ),
  ],
  join: [
    method("list", [], STRING, ([list], work) => join(list, "", work)),
    method("list", ["string"], STRING, ([list, separator], work) => join(list, separator, work)),
  ],
};
